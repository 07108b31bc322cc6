"""The industrial shifts: as strong as their severity says, repeatable, and nothing moves."""

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import styleaug.evaluate.optics
import styleaug.evaluate.shifts
from styleaug.evaluate.corruptions import Condition, corrupt_images
from styleaug.evaluate.optics import convolve, places, shoulder, to_camera, to_linear
from styleaug.evaluate.shifts import SHIFTS

BLURS = ("defocus", "vibration_blur")
SEVERITIES = range(1, 6)
every_shift = pytest.mark.parametrize("name", SHIFTS)


def drawn(height=64, width=80, *, gray=False):
    """A part: a tilted plane of tone, grain of a few levels, a dark scratch, a bright spot."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    picture = 90 + 60 * x / width + 30 * y / height + 8 * rng.standard_normal((height, width))
    picture[height // 2 : height // 2 + 2, width // 4 :] -= 60
    picture[: height // 6, : width // 6] += 60
    colours = np.array([1, 1, 1] if gray else [1, 0.9, 0.7])
    return (picture[..., None] * colours).round().clip(0, 255).astype(np.uint8)


def shifted(images, name, severity, *, seed=0):
    return corrupt_images(images, Condition(name, severity), seed=seed)


def copies(picture, count):
    return np.repeat(picture[None], count, axis=0)


def lit(name, image, severity, seed=0):
    """The share of its light that each pixel (H, W) of a flat float image has after a shift."""
    out = SHIFTS[name](image, severity, np.random.default_rng(seed))
    return (to_linear(out) / to_linear(image))[..., 0]


def rms(a, b):
    return np.sqrt(np.square(a.astype(float) - b).mean())


def test_the_suite_has_its_eleven_shifts():
    assert list(SHIFTS) == [
        "exposure", "gradient_light", "hot_spot", "shadow_edge", "colour_temperature",
        "sensor_response", "defocus", "sensor_noise", "vibration_blur", "dust", "finish_change",
    ]  # fmt: skip


# ---------------------------------------------------------------- what comes out


@every_shift
@pytest.mark.parametrize("severity", [1, 5])
def test_a_new_array_of_the_same_kind(name, severity):
    images = copies(drawn(), 2)
    before = images.copy()
    out = shifted(images, name, severity)
    assert out.dtype == np.uint8
    assert out.shape == images.shape
    assert out.flags.c_contiguous
    assert not np.shares_memory(out, images)
    assert (images == before).all()
    assert (out != images).any()


@every_shift
@pytest.mark.parametrize("severity", [1, 5])
def test_shifts_themselves_are_pure_functions_of_floats_in_range(name, severity):
    image = drawn() / 255
    before = image.copy()
    out = SHIFTS[name](image, severity, np.random.default_rng(0))
    assert out.shape == image.shape
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1
    assert (image == before).all()


@every_shift
def test_views_and_read_only_arrays_come_out_as_their_copies(name):
    view = copies(drawn(), 4)[::2, ::-1, :, ::-1]
    view.flags.writeable = False
    out = shifted(view, name, 3)
    assert out.flags.c_contiguous
    assert (out == shifted(view.copy(), name, 3)).all()


@every_shift
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (50, 3), (1, 7), (17, 11)])
@pytest.mark.parametrize("gray", [True, False])
def test_any_size(name, size, gray):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (*size, 1 if gray else 3), dtype=np.uint8)
    image = np.broadcast_to(image, (*size, 3))
    for severity in (1, 5):
        assert shifted(image[None], name, severity).shape == (1, *size, 3)


@every_shift
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_images_stay_finite(name, level):
    """Logarithms and powers have no slope, or no value, at black: a warning would fail here."""
    shifted(np.full((2, 9, 12, 3), level, np.uint8), name, 5)


@every_shift
def test_no_images_give_no_images(name):
    assert shifted(np.zeros((0, 8, 8, 3), np.uint8), name, 1).shape == (0, 8, 8, 3)


# ---------------------------------------------------------------- randomness


@pytest.mark.parametrize("name", [name for name in SHIFTS if name != "defocus"])
def test_seeds_and_images_differ(name):
    images = copies(drawn(), 8)
    first, second = (shifted(images, name, 4, seed=seed) for seed in (0, 1))
    assert (first != second).any()
    assert (first != first[:1]).any()


def test_every_image_of_every_condition_draws_for_itself(monkeypatch):
    drawn_first = []

    def remember(image, severity, rng):
        drawn_first.append(rng.random())
        return image

    for name in ("dust", "exposure"):
        monkeypatch.setitem(SHIFTS, name, remember)
        for severity in (1, 2):
            for seed in (0, 1):
                shifted(copies(drawn(), 3), name, severity, seed=seed)
    assert len({*drawn_first}) == len(drawn_first) == 24


def test_levels_are_rounded_not_cut_off(monkeypatch):
    monkeypatch.setitem(SHIFTS, "dust", lambda image, severity, rng: image + 0.7 / 255)
    assert (shifted(np.full((1, 2, 2, 3), 99, np.uint8), "dust", 1) == 100).all()


# ---------------------------------------------------------------- strength


@every_shift
def test_change_rises_with_severity(name):
    images = copies(drawn(), 24)
    change = [rms(shifted(images, name, severity), images) for severity in SEVERITIES]
    assert change == sorted(change)
    assert change[0] > 0.5, "severity 1 must be visible"
    assert change[4] > 1.5 * change[0]
    assert change[4] < 80, "severity 5 must leave something to see"


@pytest.mark.parametrize("name", [name for name in SHIFTS if name not in BLURS])
def test_the_scratch_stays_visible(name):
    """At severity 5 the scratch is still darker than its surroundings, beyond the grain."""
    images = copies(drawn(gray=True), 12)
    out = shifted(images, name, 5)[..., 0].astype(float)
    scratch = out[:, 32:34, 24:].mean((1, 2))
    around = out[:, [28, 29, 36, 37], 24:].mean((1, 2))
    assert (around - scratch > 4).all()


@every_shift
def test_gray_stays_gray_but_for_the_colour_of_the_lamp(name):
    out = shifted(copies(drawn(gray=True), 3), name, 5)
    assert (out == out[..., :1]).all() == (name != "colour_temperature")


def test_exposure_is_off_by_stops_and_not_up_where_half_would_clip():
    dark, bright = (np.full((2, 2, 1), level) for level in (0.3, 0.9))
    for severity, stops in enumerate((0.2, 0.45, 0.75, 1.05, 1.4), start=1):
        found = {
            round(float(np.log2(lit("exposure", dark, severity, s)[0, 0])), 2) for s in range(9)
        }
        assert found == {-stops, stops}
    assert all(lit("exposure", bright, 5, seed).max() < 1 for seed in range(9))


@pytest.mark.parametrize(("severity", "height"), [(1, 2.0), (5, 0.65)])
def test_a_small_lamp_stands_above_the_rim(severity, height):
    """Where the lamp is and at the centre, half a side away, its law tells the light."""
    for seed in range(8):
        light = lit("gradient_light", np.full((129, 129, 1), 0.3), severity, seed)
        assert light[64, 64] / light.max() == pytest.approx(
            (1 + 0.25 / height**2) ** -1.5, rel=0.01
        )
        # exposure makes up for half of the loss, in stops
        assert light.max() * light.mean() == pytest.approx(1, rel=0.01)


def test_a_mirrored_lamp_is_a_lobe_somewhere_on_the_image():
    """The logarithm of a Gaussian is a quadratic form: of its place, its widths and its peak."""
    image = np.zeros((40, 80, 1))
    y, x = (axis[..., 0] + np.zeros((40, 80)) for axis in places(image))
    spots = []
    for seed in range(16):
        light = to_linear(SHIFTS["hot_spot"](image, 5, np.random.default_rng(seed)))[..., 0]
        seen = light > 1e-3
        terms = np.stack(
            [np.ones(seen.sum()), y[seen], x[seen], y[seen] ** 2, x[seen] ** 2, (y * x)[seen]]
        )
        c, cy, cx, cyy, cxx, cyx = np.linalg.lstsq(terms.T, np.log(light[seen]), rcond=None)[0]
        form = -np.array([[2 * cyy, cyx], [cyx, 2 * cxx]])
        spot = np.linalg.solve(form, [cy, cx])
        wide, narrow = 1 / np.sqrt(np.linalg.eigvalsh(form))
        assert 0.12 <= narrow <= 0.18
        assert 1 <= wide / narrow <= 2
        assert np.exp(c + spot @ [cy, cx] / 2) == pytest.approx(0.62, rel=0.01)
        spots.append(np.abs(spot))
    assert 0.2 < np.max(spots, 0)[0] <= 0.25
    assert 0.4 < np.max(spots, 0)[1] <= 0.5


def test_a_shadow_has_the_penumbra_of_a_round_lamp():
    """Beside it lies all of the light, or what is left; in it, light changes fastest midway."""
    for seed in range(8):
        light = lit("shadow_edge", np.full((256, 256, 1), 0.5), 5, seed)
        assert (light.min(), light.max()) == pytest.approx((0.3, 1), abs=1e-3)
        visible = np.abs((light - 0.3) / 0.7 - 0.5)
        assert (visible < 0.1).sum() < ((visible > 0.35) & (visible < 0.45)).sum()


def test_a_sensor_keeps_its_pivot_but_for_gamma():
    level = to_camera(np.full((1, 1, 1), 0.1))
    found = set()
    for seed in range(16):
        signs = np.random.default_rng(seed).random
        lowest = SimpleNamespace(random=signs, uniform=lambda low, high: low)
        out = SHIFTS["sensor_response"](level, 5, lowest)
        found.add(round(float(np.log(out.item()) / np.log(level.item())), 2))
    assert found == {1.32, round(1 / 1.32, 2)}


def test_each_grain_and_fibre_of_dust_takes_its_part_of_the_light(monkeypatch):
    spots = [(y, x) for y in (-0.35, 0.35) for x in (-0.35, 0.35)]
    for seed in range(8):
        left = [(0.0, 0.0), *spots]  # four grains, then a fibre
        monkeypatch.setattr(
            styleaug.evaluate.optics, "random_place", lambda *_, left=left: left.pop()
        )
        light = lit("dust", np.full((256, 256, 1), 0.5), 1, seed)
        corners = [
            light[rows, columns]
            for rows in (np.s_[:40], np.s_[216:])
            for columns in (np.s_[:40], np.s_[216:])
        ]
        for part in (*corners, light[64:192, 64:192]):
            assert 0.7 <= part.min() <= 0.87
        assert not left


def test_lamps_warm_and_cool():
    """Red and blue go opposite ways, and the brightness of a plain part stays."""
    part = np.full((20, 4, 4, 3), 120, np.uint8)
    red, green, blue = shifted(part, "colour_temperature", 3)[:, 0, 0].astype(float).T
    assert ((red - 120) * (blue - 120) < 0).all()
    assert (red > blue).any()
    assert (red < blue).any()
    light = [to_linear(channel / 255) for channel in (red, green, blue)]
    luminance = np.tensordot([0.2126, 0.7152, 0.0722], light, 1)
    np.testing.assert_allclose(luminance, to_linear(np.array(120 / 255)), rtol=0.02)


def test_noise_grows_with_light_and_has_rows():
    dark, bright = (np.full((400, 400, 1), level) for level in (0.3, 0.8))
    rng = np.random.default_rng(0)
    noises = [to_linear(SHIFTS["sensor_noise"](image, 3, rng)) for image in (dark, bright)]
    for noise, image in zip(noises, (dark, bright), strict=True):
        light = to_linear(image)[0, 0, 0]
        expected = np.sqrt(light * 320 + 1 + 0.6**2) / 320  # shot, read-out, row; 320 at white
        assert noise.std() == pytest.approx(expected, rel=0.05)
        assert noise.mean() == pytest.approx(light, rel=0.02)
    rows, columns = (noises[0].mean(axis).std() for axis in (1, 0))
    assert rows > 1.2 * columns


def test_a_finish_leaves_steps_and_changes_grain():
    image = drawn(gray=True)
    image[:, :40] //= 4  # a step of two stops
    out = shifted(copies(image, 8), "finish_change", 5)[..., 0].astype(float)
    image = image[..., 0].astype(float)
    patch = np.s_[..., 40:60, 50:75]
    grain = out[patch].std((1, 2)) / image[40:60, 50:75].std()
    assert ((grain < 0.8) | (grain > 1.25)).all()
    assert (grain < 0.8).any()
    assert (grain > 1.25).any()
    step = out[:, 40:, 45:].mean((1, 2)) - out[:, 40:, :35].mean((1, 2))
    np.testing.assert_allclose(step, image[40:, 45:].mean() - image[40:, :35].mean(), rtol=0.1)


# ---------------------------------------------------------------- labels stay true


def displacement(a, b):
    """Shift (rows, columns) of b against a, from the peak of the phase correlation."""
    spectrum = np.fft.fft2(a - a.mean()) * np.fft.fft2(b - b.mean()).conj()
    peak = np.fft.ifft2(spectrum / np.maximum(np.abs(spectrum), 1e-9)).real
    return np.unravel_index(peak.argmax(), peak.shape)


@pytest.mark.parametrize("name", [name for name in SHIFTS if name not in BLURS])
def test_nothing_moves(name):
    image = drawn(gray=True)
    for out in shifted(copies(image, 6), name, 5):
        assert displacement(image[..., 0].astype(float), out.mean(2)) == (0, 0)


@pytest.mark.parametrize("name", BLURS)
@pytest.mark.parametrize("size", [(65, 65), (90, 121)])
def test_blurs_spread_a_dot_about_its_place(name, size):
    """The centre of mass of its light stays, and none gets lost."""
    place = (30, 34)
    image = np.zeros((*size, 1))
    image[place] = 0.9
    for seed in range(8):
        light = to_linear(SHIFTS[name](image, 5, np.random.default_rng(seed)))[..., 0]
        assert light.sum() == pytest.approx(to_linear(image).sum(), rel=1e-6)
        centre = [np.average(axis, weights=light) for axis in np.indices(size)]
        np.testing.assert_allclose(centre, place, atol=0.02)
        assert light.max() < 0.7 * to_linear(image).max()


@pytest.mark.parametrize("name", BLURS)
def test_blurs_scale_with_the_image(name):
    """Twice the pixels on the same part: the same part of the field of view is blurred."""

    def spread(size):
        image = np.zeros((size, size, 1))
        image[size // 2, size // 2] = 1
        light = to_linear(SHIFTS[name](image, 5, np.random.default_rng(2)))[..., 0]
        y, x = np.indices(light.shape) - size // 2
        return np.sqrt(np.average(y**2 + x**2, weights=light)) / size

    assert spread(512) == pytest.approx(spread(256), rel=0.1)


@pytest.mark.parametrize(("name", "spread"), [("defocus", 4 / np.sqrt(2)), ("vibration_blur", 2.8)])
def test_blurs_are_as_wide_as_they_say_at_256_pixels(name, spread):
    """Root mean square distances: of an even disk the radius over the root of 2."""
    image = np.zeros((128, 256, 1))
    image[64, 128] = 1
    y, x = np.indices((128, 256))
    for seed in range(4):
        light = to_linear(SHIFTS[name](image, 5, np.random.default_rng(seed)))[..., 0]
        found = np.average((y - 64) ** 2 + (x - 128) ** 2, weights=light)
        # a point is shared out among four pixels: 1/6 on each axis
        assert found == pytest.approx(spread**2 + 1 / 3, rel=0.05)


def test_convolution_mirrors_at_the_rim_and_keeps_odd_kernels_upright():
    image = np.arange(12.0).reshape(3, 4, 1)
    psf = np.zeros((3, 3))
    psf[0, 1] = 1  # takes each value one row up
    np.testing.assert_allclose(convolve(image, psf)[:2], image[1:], atol=1e-12)
    np.testing.assert_allclose(convolve(image, psf)[2], image[2], atol=1e-12)


def test_places_are_those_of_pixel_centres_in_longer_sides():
    y, x = places(np.zeros((2, 4, 3)))
    assert y.shape == (2, 1, 1)
    assert x.shape == (1, 4, 1)
    assert y.ravel().tolist() == [-0.125, 0.125]
    assert x.ravel().tolist() == [-0.375, -0.125, 0.125, 0.375]


def test_highlights_roll_off_to_white():
    light = np.array([0, 0.5, 0.9, 1.0, 1.1, 3])
    np.testing.assert_allclose(shoulder(light), [0, 0.5, 0.9, 0.975, 1, 1])


def test_the_camera_curve_has_an_inverse():
    levels = np.linspace(0, 1, 256)
    np.testing.assert_allclose(to_camera(to_linear(levels)), levels, atol=2e-4)
    assert (np.diff(to_linear(levels)) > 0).all()


# ---------------------------------------------------------------- errors, and independence


@pytest.mark.parametrize("module", [styleaug.evaluate.shifts, styleaug.evaluate.optics])
def test_the_suite_shares_nothing_with_the_augmentation(module):
    """What a model was trained on must not be what it is tested on."""
    nodes = ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
    sources = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    own = {name for name in sources if name.startswith("styleaug")}
    assert own <= {"styleaug.evaluate.optics", "styleaug.images.checks"}
