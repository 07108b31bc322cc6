"""benchmarks/newstyles, on tiny folders."""

import sys
from functools import partial

import pytest
import torch

from benchmarks.docs.pages import fill
from benchmarks.newstyles import __main__ as newstyles
from benchmarks.newstyles import gatys
from benchmarks.pictures import spread_pictures
from benchmarks.rows import Rows
from benchmarks.speed import against
from helpers import pictures
from styleaug import Relight, StylePack
from styleaug.images.io import to_image
from styleaug.styles import learn
from styleaug.styles.probes import optimise_probes

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folders(tmp_path):
    for name, seed in (("parts", 0), ("looks", 10)):
        (tmp_path / name).mkdir()
        for k in range(3):
            image = to_image(pictures(3, 40, 48, seed=seed + k))
            image.save(tmp_path / name / f"{name}-{k}.png")
    return tmp_path


def arguments(folders, *options: str) -> list[str]:
    folder = str(folders)
    return ["--content", f"{folder}/parts", "--styles", f"{folder}/looks", *options]


def shown(folders, template: str) -> str:
    """What the docs say of results in this folder, wherever its lines break."""
    return " ".join(fill(f"<!-- results: {template} -->\n<!-- /results -->", folders).split())


def test_pictures_are_spread_over_the_files_of_folders_that_take_turns(folders):
    names, images = spread_pictures([folders / "parts", folders / "looks"], 3, 24)
    assert names == ["parts/parts-0.png", "looks/looks-1.png", "parts/parts-2.png"]
    assert images.shape == (3, 3, 24, 24)


def test_gatys_compares_both_variants_on_each_pair(folders):
    options = ["--size", "32", "--steps", "8", "--batch", "2", "--rounds", "1"]
    out = folders / "newstyles"
    gatys.main(arguments(folders, "--pairs", "1", *options, "--out", str(out)))
    found = Rows.load(out / "gatys.json")
    slow, fast = found.where(content="parts/parts-0.png", style="looks/looks-1.png")
    assert (slow["method"], slow["steps"], fast["method"]) == ("textbook", 8, "fast")
    assert min(fast["objective"], slow["objective"], fast["seconds"], slow["seconds"]) > 0
    assert str(folders) not in (out / "gatys.json").read_text()
    assert Rows.load(out / "gatys-batch.json").rows[0]["batch"] == 2
    text = shown(folders, "gatys")
    assert "| parts/parts-0.png | looks/looks-1.png |" in text
    reached = int(fast["objective"] <= slow["objective"])
    assert f"below the textbook's objective on {reached} of 1 pairs" in text
    before = (out / "gatys.json").read_text()
    gatys.main(arguments(folders, "--pairs", "0", *options, "--out", str(out)))
    assert (out / "gatys.json").read_text() == before  # the batch alone was measured anew


def test_newstyles_judges_every_method_and_the_choice(folders, monkeypatch):
    for module in (newstyles, learn):
        monkeypatch.setattr(module, "optimise_probes", partial(optimise_probes, steps=16))
    out = folders / "newstyles" / "unseen.json"
    options = ["--count", "1", "--contents", "1", "--own", "2", "--steps", "2", "--out", str(out)]
    newstyles.main(arguments(folders, *options))
    found = Rows.load(out)
    assert found.each("style") == ["looks-1"]
    by_method = {row["method"]: row for row in found.rows}
    assert set(by_method) == {"encode", "fit", "gatys"}
    assert by_method["gatys"]["objective"] < by_method["encode"]["objective"]
    for row in found.rows:
        assert 0 < row["style part"] < row["objective"]
        assert row["seconds"] > 0
    assert len(found.where(chosen=True)) == len(found.where(best=True)) == 1
    assert found.meta["pack"]["id"] == StylePack.load().id
    text = shown(folders, "newstyles unseen")
    assert "| gatys | 1.00 |" in text
    chosen = found.where(chosen=True)[0]["method"]
    assert "fitted on 1 other images of the same datasets" in text
    assert f"on 1 more images of these datasets: {chosen} 1;" in text


def test_another_checkout_is_timed_beside_this_one_and_leaves_it_as_it_was():
    """Both packages have one name: that of the other checkout must not stay."""
    before = {name: m for name, m in sys.modules.items() if name.split(".")[0] == "styleaug"}
    ours, theirs = (
        against.build("Relight()"),
        against.build("Relight()", against.RESULTS.parents[1]),
    )
    assert type(ours) is Relight
    assert type(theirs).__name__ == "Relight"
    assert type(theirs) is not Relight
    after = {name: m for name, m in sys.modules.items() if name.split(".")[0] == "styleaug"}
    assert all(after[name] is module for name, module in before.items())
    batch = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    assert ours(batch).shape == theirs(batch).shape == batch.shape
