"""Coarse maps and averages; and that no image shows where a CPU's bands of rows end."""

import pytest
import torch
from torch.nn import functional as F

from helpers import FULL, distance, pictures
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment
from styleaug.nn import noise, resample
from styleaug.nn.resample import average, bands_of, interpolate


@pytest.mark.parametrize("size", [(8, 12), (2, 3), (5, 31), (1, 1), (40, 9)])
@pytest.mark.parametrize("rows", [None, slice(0, 1), slice(3, 17), slice(19, 20)])
def test_some_rows_are_those_of_the_whole(size, rows):
    maps = torch.rand(2, 3, *size)
    whole = F.interpolate(maps, size=(20, 48), mode="bilinear", align_corners=False)
    wanted = whole if rows is None else whole[:, :, rows]
    torch.testing.assert_close(interpolate(maps, (20, 48), rows), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(8, 16), (2, 3), (1, 5)])
def test_four_times_the_size_is_what_torch_interpolates(size):
    maps = torch.rand(2, 3, *size)
    wanted = F.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)
    torch.testing.assert_close(interpolate(maps, wanted.shape[-2:]), wanted)


@pytest.mark.parametrize("size", [(5, 8), (20, 48), (1, 1), (7, 11)])
def test_averages_are_torchs(size):
    images = torch.rand(2, 3, 20, 48)
    torch.testing.assert_close(average(images, size), F.adaptive_avg_pool2d(images, size))


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 700, 1000), (1, 1, 3, 2_000_000)])
def test_bands_hold_every_row_once(shape):
    found = list(bands_of(torch.empty(1).expand(shape)))
    assert [k for band in found for k in range(band.start, band.stop)] == list(range(shape[2]))


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "stage",
    [
        Relight(strength=1.0),
        Defocus(sigma=3.0),
        SensorNoise(sigma=0.2),
        lambda pack: Restyle(pack=pack, working_size=32, **FULL),
        lambda pack: StyleAugment([Restyle(pack=pack, working_size=32), Relight(), Defocus()]),
    ],
    ids=["relight", "defocus", "noise", "restyle", "all"],
)
def test_no_image_shows_where_bands_end(stage, channels, pack, monkeypatch):
    stage = stage if isinstance(stage, torch.nn.Module) else stage(pack)
    images = pictures(2, channels, 61, 76, dtype=torch.float32)
    drawn = stage.draw(2, torch.Generator().manual_seed(1))
    whole = stage.render(images, drawn)
    assert distance(whole, images) > 5
    monkeypatch.setattr(resample, "_BAND", 1000)
    monkeypatch.setattr(noise, "_PART", 512)
    assert distance(stage.render(images, drawn), whole) < 0.05


@pytest.mark.usefixtures("float32")
def test_a_batch_taken_image_by_image_is_the_batch(pack, monkeypatch):
    """Each image gets its own params, whatever others of the batch get and wherever it lies."""
    images = pictures(9, 3, 24, 40, dtype=torch.float32)
    stages = [Restyle(pack=pack, p=0.6), Relight(p=0.5), Defocus(p=0.6), SensorNoise(p=0.6)]
    augment = StyleAugment(stages, p=0.8)
    drawn = augment.draw(9, torch.Generator().manual_seed(3))
    whole = augment.render(images, drawn)
    monkeypatch.setattr("styleaug.stages.apply._PIECE", 1)
    assert distance(augment.render(images, drawn), whole) < 0.05
