"""Relight: neutral does nothing, nothing clips, no edge moves, and the strength scales it."""

import math
from math import exp

import pytest
import torch

from helpers import distance, pictures
from styleaug import Relight
from styleaug.stages.relight import NAMES, PARAMETERS, RelightParams, neutral_values, relight

ACTING = [name for name in NAMES if "_" not in name]  # gradient acts, gradient_angle says where
ENDS = [(n, end) for n in ACTING for end in PARAMETERS[n][1:] if end != PARAMETERS[n][0]]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def lit(count=1, **values):
    """Neutral light, but for the given parameters."""
    light = neutral_values(count).clone()
    for name, value in values.items():
        light[:, NAMES.index(name)] = value
    return light


def drawn(strength, count=64, seed=0):
    return Relight(strength=strength).draw(count, generator(seed)).values


def is_neutral(values):
    return ~RelightParams(values).active


@pytest.mark.parametrize("channels", [1, 3])
def test_neutral_light_changes_nothing_that_eight_bits_show(channels):
    """A stage does not even call relight() for it: there it is exact, see test_contracts."""
    images = pictures(2, channels, 20, 30, dtype=torch.float32)
    assert is_neutral(lit(2)).all()
    assert (relight(images, lit(2)) - images).abs().max() < 0.1 / 255


@pytest.mark.parametrize(("name", "value"), ENDS)
def test_every_parameter_acts_on_its_own_over_its_whole_range(name, value):
    images = pictures(1, 3, 40, 60, dtype=torch.float32)
    out = relight(images, lit(**{name: value}))
    assert not is_neutral(lit(**{name: value})).any()
    assert out.min() >= 0
    assert out.max() <= 1
    assert (out - images).abs().mean() > 0.02


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(ACTING)))
def test_where_a_fault_lies_means_nothing_without_the_fault(name):
    assert is_neutral(lit(**{name: PARAMETERS[name][2]})).all()


@pytest.mark.parametrize("size", [(16, 16), (17, 41), (100, 30)])
def test_strong_random_light_stays_within_zero_and_one(size):
    extremes = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, *size)
    for images in (extremes, pictures(2, 3, *size, dtype=torch.float32)):
        out = relight(images.repeat(32, 1, 1, 1), drawn(1))
        assert out.shape == (64, 3, *size)
        assert out.isfinite().all()
        assert out.min() >= 0
        assert out.max() <= 1


def test_what_lies_outside_is_clamped_first():
    """A restyling overshoots a little; a power of a negative number would be NaN."""
    images = torch.linspace(-0.5, 1.5, 64 * 16 * 16).view(64, 1, 16, 16).expand(64, 3, 16, 16)
    assert torch.equal(relight(images, drawn(1)), relight(images.clamp(0, 1), drawn(1)))
    assert relight(images, drawn(1)).isfinite().all()


def test_brighter_pixels_stay_brighter():
    """At each place and in each channel light is monotone, polarity apart."""
    light = drawn(1)
    light[:, NAMES.index("invert")] = 0
    levels = torch.linspace(0, 1, 12).view(12, 1, 1, 1).expand(12, 3, 24, 36)
    out = torch.stack([relight(levels, row.expand(12, -1)) for row in light])
    assert (out.diff(dim=1) >= -1e-6).all()
    inverted = relight(levels, lit(12, invert=1))
    assert (inverted.diff(dim=0) < 0).all()


def test_highlights_below_white_are_not_clipped():
    """A bright defect on a bright surface survives the strongest overexposure."""
    levels = torch.tensor([0.90, 0.95, 0.99, 0.999]).view(4, 1, 1, 1).expand(4, 3, 16, 16)
    out = relight(levels, lit(4, exposure=0.9, gradient=0.9, spot=1.2, gamma=-0.5))
    assert (out.diff(dim=0) > 0).all()
    assert out.max() < 1


def test_contrast_survives_the_densest_haze_and_the_flattest_curve():
    """Three tenths of the range are left by the curve, more than a half by the haze."""
    levels = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 16, 16)
    for fault, left in (("contrast", 0.3), ("haze", 0.55)):
        reach = PARAMETERS[fault][1] or PARAMETERS[fault][2]
        out = relight(levels, lit(2, **{fault: reach}))
        assert (out[1] - out[0]).min() > left - 0.01, fault


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_steeper_curve_clips_nothing(level):
    """Black and white stay, the order stays, and around the level differences grow by the gain."""
    levels = torch.linspace(0, 1, 101).view(101, 1, 1, 1).expand(101, 3, 2, 2)
    out = relight(levels, lit(101, contrast=0.6, contrast_level=level))[:, 0, 0, 0]
    assert (out.diff() > 0.002).all()
    assert [out[0].item(), out[-1].item()] == pytest.approx([0, 1], abs=1e-3)
    middle = round(100 * level)
    assert out[middle].item() == pytest.approx(level, abs=1e-3)
    slope = (out[middle + 1] - out[middle - 1]) / 0.02
    assert 1.5 < slope.item() < exp(0.6)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_plan_may_hold_black_or_white_still(level):
    levels = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 3, 4, 4)
    out = relight(levels, lit(3, contrast=0.5, contrast_level=level))[:, 0, 0, 0]
    assert out.isfinite().all()
    assert [out[0].item(), out[2].item()] == pytest.approx([0, 1], abs=1e-3)


def test_haze_is_denser_at_one_end():
    out = relight(torch.full((1, 1, 20, 80), 0.1), lit(haze=0.4, haze_angle=torch.pi))
    assert (out[0, 0].diff(dim=1) < 0).all()
    assert 0.1 < out[0, 0, 0, -1] < out[0, 0, 0, 0] < 0.1 + 0.4 * 0.6


@pytest.mark.parametrize(("axis", "flat"), [(0.0, -1), (1.0, -2)])
def test_strobe_bands_are_rows_or_columns_of_the_given_period(axis, flat):
    light = lit(strobe=0.2, strobe_axis=axis, strobe_period=0.25, strobe_phase=0.0)
    out = relight(torch.full((1, 1, 64, 64), 0.4), light)[0, 0]
    assert out.std(flat).max() < 1e-5
    profile = out.mean(flat)
    assert profile.sub(profile.mean()).sign().diff().ne(0).sum() == pytest.approx(8, abs=1)


def test_response_steepens_the_middle_and_flattens_the_ends():
    levels = torch.tensor([0.0, 0.05, 0.475, 0.525, 1.0]).view(5, 1, 1, 1).expand(5, 1, 16, 16)
    out = relight(levels, lit(5, response=0.7))[:, 0, 0, 0]
    assert out[3] - out[2] > 1.2 * 0.05
    assert out[1] - out[0] < 0.6 * 0.05
    assert out[-1] == pytest.approx(1, abs=1e-3)


def test_edges_do_not_move():
    """The steepest step of every row stays between the same two pixels."""
    images = torch.full((64, 3, 32, 48), 0.3)
    images[..., 21:] = 0.6
    steps = relight(images, drawn(1)).diff(dim=-1).abs()
    assert (steps.argmax(-1) == 20).float().mean() > 0.999


def test_fields_have_no_edge_of_their_own():
    """On a flat surface, neighbours at full amount differ by little, shadow edges among them."""
    flat = torch.full((64, 3, 128, 128), 0.5)
    out = relight(flat, drawn(1))
    assert max(out.diff(dim=d).abs().max().item() for d in (-1, -2)) < 0.06


@pytest.mark.parametrize("fault", ["gradient", "shadow"])
def test_angles_turn_with_the_image(fault):
    """x is columns and y is rows: a quarter turn of the angle is the transposed image's light."""
    wide, tall = torch.full((1, 3, 32, 64), 0.5), torch.full((1, 3, 64, 32), 0.5)
    along = relight(wide, lit(**{fault: 0.8, f"{fault}_angle": 0.0}))
    across = relight(tall, lit(**{fault: 0.8, f"{fault}_angle": torch.pi / 2}))
    torch.testing.assert_close(along.mT, across, atol=1e-4, rtol=0)
    assert along.std(-2).max() < 1e-5 < along.std(-1).min()


@pytest.mark.parametrize("size", [(16, 60), (60, 16)])
def test_a_faint_gradient_is_linear_in_stops_to_the_border(size):
    """From the centre, in units of the longer side. Up to 64 pixels nothing is interpolated."""
    out = relight(torch.full((1, 1, *size), 0.1), lit(gradient=0.2, gradient_angle=torch.pi / 6))
    y, x = (((torch.arange(n) + 0.5) / n - 0.5) * n / 60 for n in size)
    stops = 0.2 * 2 * (x * 0.75**0.5 + y[:, None] * 0.5)
    gain = stops.exp()
    expected = 0.1 * gain / (1 + (gain - 1).clamp_min(0) * 0.1)
    torch.testing.assert_close(out[0, 0], expected, atol=5e-4, rtol=0)


def test_a_spot_lies_where_it_is_put():
    out = relight(torch.full((1, 3, 40, 80), 0.4), lit(spot=1.0, spot_x=0.25, spot_y=0.75))
    place = out[0, 0].flatten().argmax().item()
    assert divmod(place, 80) == (pytest.approx(30, abs=2), pytest.approx(20, abs=2))


def test_temperature_warms_colours_and_leaves_gray_images_gray():
    gray = torch.full((1, 1, 16, 16), 0.5)
    warm = relight(gray.expand(1, 3, 16, 16), lit(temperature=0.2)).mean((0, 2, 3))
    assert warm[0] > warm[1] > warm[2]
    assert relight(gray, lit(temperature=0.2)).shape == gray.shape
    green = relight(gray.expand(1, 3, 16, 16), lit(tint=0.15)).mean((0, 2, 3))
    assert green[1] > green[0] == green[2]


def test_amount_zero_is_neutral_and_more_amount_is_more_light():
    images = pictures(256, 3, 16, 16, dtype=torch.float32)
    assert is_neutral(drawn(0, 256)).all()
    means = []
    for amount in (0.1, 0.3, 1.0):
        light = drawn(amount, 256)
        light[:, NAMES.index("invert")] = 0  # all or nothing, by its nature
        means.append((relight(images, light) - images).abs().mean().item())
    assert 4 * means[0] < 2 * means[1] < means[2]


def test_a_little_light_shrinks_faults_but_not_where_they_lie():
    light = drawn(0.05, 4000)
    for i, name in enumerate(NAMES):
        neutral, low, high = PARAMETERS[name]
        reach = (light[:, i] - neutral).abs().max().item() / max(high - neutral, neutral - low)
        whole = name not in ACTING or name == "invert"
        assert reach == pytest.approx(1 if whole else 0.05, rel=0.1), name


def test_scaled_light_shrinks_faults_but_not_where_they_lie():
    full, factor = RelightParams(drawn(1, 400)), torch.linspace(0, 1, 400)
    full.values[::100, NAMES.index("invert")] = 1
    scaled = full.scaled(factor)
    assert is_neutral(scaled.values)[0]
    for i, name in enumerate(NAMES):
        whole = name not in ACTING or name == "invert"
        expected = full.values[:, i] if whole else full.values[:, i] * factor
        torch.testing.assert_close(scaled.values[1:, i], expected[1:], msg=name)


def test_strengths_are_drawn_per_image():
    light = drawn((0, 1), 200)
    exposure = light[:, NAMES.index("exposure")].abs()
    assert exposure.min() < 0.02
    assert exposure.max() > 0.7
    assert len(light.unique(dim=0)) == 200


def test_draws_stay_in_their_ranges_and_fill_them():
    light = drawn(1, 2000)
    for i, name in enumerate(NAMES):
        _, low, high = PARAMETERS[name]
        values = light[:, i]
        assert low - 1e-6 <= values.min(), name
        assert values.max() <= high + 1e-6, name
        assert values.max() - values.min() > 0.9 * (high - low), name


def test_polarity_turns_rarely():
    share = (drawn(1, 4000)[:, NAMES.index("invert")] > 0.5).float().mean().item()
    assert share == pytest.approx(0.05, abs=0.015)


def test_reports_name_the_light_that_acts():
    params = RelightParams(drawn(1, 200))
    reports = [params.describe(row) for row in range(200)]
    for row, named in enumerate(reports):
        assert bool(named) == bool(params.active[row])
        for name, value in named.items():
            assert value == pytest.approx(params.values[row, NAMES.index(name)].item(), abs=1e-4)
            assert name.partition("_")[0] in named  # no spot_x without a spot
    assert {name for named in reports for name in named} == set(NAMES)


def test_no_image_gets_no_light():
    light = drawn(1, 0)
    assert light.shape == (0, len(NAMES))
    assert relight(torch.rand(0, 3, 16, 16), light).shape == (0, 3, 16, 16)


def test_each_image_gets_its_own_light():
    images, light = pictures(8, 3, 16, 24, dtype=torch.float32), drawn(1, 8)
    alone = torch.cat([relight(images[i : i + 1], light[i : i + 1]) for i in range(8)])
    torch.testing.assert_close(relight(images, light), alone, atol=1e-6, rtol=0)


def test_every_field_and_curve_is_as_it_is_defined():
    """Pixel by pixel, in images no larger than the grid that fields are computed on."""
    generator = torch.Generator().manual_seed(5)
    low, high = torch.tensor([entry[1:] for entry in PARAMETERS.values()]).T
    values = low + (high - low) * torch.rand(8, len(low), generator=generator)
    height, width = 40, 56
    images = pictures(8, 3, height, width, dtype=torch.float32)
    v = {name: values[:, k, None, None, None] for k, name in enumerate(PARAMETERS)}
    x = ((torch.arange(width) + 0.5) / width - 0.5).view(1, 1, 1, -1)
    y = (((torch.arange(height) + 0.5) / height - 0.5) * (height / width)).view(1, 1, -1, 1)

    def along(angle):
        return x * v[angle].cos() + y * v[angle].sin()

    spot = (x - (v["spot_x"] - 0.5)) ** 2 + (y - (v["spot_y"] - 0.5) * height / width) ** 2
    behind = along("shadow_angle") - v["shadow_place"]
    across = torch.where(v["strobe_axis"] > 0.5, x, y)
    field = (
        v["exposure"]
        + 2 * v["gradient"] * along("gradient_angle")
        + v["spot"] * (-spot / (2 * v["spot_size"] ** 2)).exp()
        - v["vignette"] * (x**2 + y**2) * 4 * width**2 / (height**2 + width**2)
        - v["shadow"] * torch.sigmoid(2 * math.log(9) * behind / 0.08)
        + v["strobe"] * (2 * math.pi * across / v["strobe_period"] + v["strobe_phase"]).sin()
    )
    warm, green = v["temperature"], v["tint"]
    tint = torch.cat([warm - green / 2, green, -warm - green / 2], 1)
    gain = (1.2 * (field / 1.2).tanh() + tint).exp()
    out = images * gain / (1 + (gain - 1).clamp_min(0) * images)
    out = out + v["haze"] * torch.sigmoid(4 * along("haze_angle")) * (v["haze_level"] - out)
    out = (out + 1e-4) ** v["gamma"].exp()
    out = out + v["response"] * out * (1 - out) * (2 * out - 1)
    apart, level, contrast = out - v["contrast_level"], v["contrast_level"], v["contrast"].exp()
    room = torch.where(apart > 0, 1 - level, level)
    out = level + contrast * apart / (1 + (contrast - 1).clamp_min(0) * apart.abs() / room)
    out = torch.where(v["invert"] > 0.5, 1 - out, out).clamp(0, 1)
    assert distance(relight(images, values), out) < 0.1
