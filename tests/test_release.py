"""What a release says of itself in several files is the same in all of them."""

import re
import runpy
from pathlib import Path

import pytest
import yaml

from styleaug import __version__

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
USES = re.compile(r"uses: (\S+)")


def jobs_of(name):
    """The jobs of a workflow, by name."""
    return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text("utf-8"))["jobs"]


def test_the_citation_names_this_version():
    """CITATION.cff holds the version of the package."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == __version__


def test_the_changelog_has_an_entry_for_this_version():
    """CHANGELOG.md describes the version, or what is still unreleased."""
    titles = re.findall(
        r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert titles[0] in (__version__, "Unreleased")


def test_the_versions_of_python_that_are_claimed_are_tested():
    """Classifiers, the lower bound and the workflow name the same versions of Python."""
    claimed = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PROJECT)
    assert jobs_of("ci")["test"]["strategy"]["matrix"]["python"] == claimed
    assert re.search(r'^requires-python = ">=(.+)"', PROJECT, re.MULTILINE)[1] == claimed[0]
    smoked = jobs_of("package")["smoke"]["strategy"]["matrix"]["python"]
    assert smoked == [claimed[0], claimed[-1]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_the_rights_and_the_time_that_it_needs(path):
    """Workflows read unless a job says more, name a version of each action, and end."""
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(re.search(r"^\./|@(v\d+|release/v\d+)$", action) for action in USES.findall(text))
    jobs = [job for job in workflow["jobs"].values() if "uses" not in job]
    assert all("timeout-minutes" in job for job in jobs)


def test_the_workflows_run_targets_that_exist():
    """Each ``make`` of a workflow names a target of the Makefile."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    run = [
        t for path in WORKFLOWS for t in re.findall(r"\bmake ([a-z-]+)", path.read_text("utf-8"))
    ]
    assert len(run) > 5
    assert set(run) <= set(targets)


def test_what_contributors_are_told_to_touch_is_there():
    """Files, folders and targets that CONTRIBUTING.md names exist."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:styleaug|tests|docs|benchmarks|\.github)/[\w./-]*)`", text)
    named += re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", text)
    named = [n for n in named if "NAME" not in n]
    assert len(named) > 20
    assert [n for n in named if not (ROOT / n).exists()] == []
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= set(targets)


def test_what_a_distribution_lacks_and_what_it_must_not_hold_is_found():
    """``make package`` names missing weights and files that do not belong there."""
    check = runpy.run_path(str(ROOT / "tests/wheel/contents.py"))
    code = check["files_below"]("styleaug")
    wrong = check["wrong_in_wheel"](code | {"tests/conftest.py"})
    assert "lacks styleaug/pretrained/vgg16/vgg16.safetensors" in wrong
    assert "holds tests/conftest.py" in wrong
    assert not [w for w in wrong if w.endswith("styleaug/pack.py")]
    wrong = check["wrong_in_sdist"](code | {"docs/try/node_modules/a.js", "docs/try/app.js"})
    assert "lacks pretrained/vgg16/vgg16.safetensors" in wrong
    assert [w for w in wrong if w.startswith("holds")] == ["holds docs/try/node_modules/a.js"]
