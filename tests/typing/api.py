"""The public API as a user's type checker sees it: mypy reads this file, nothing runs it."""

from torch import Tensor

from styleaug import (
    Defocus,
    Relight,
    Restyle,
    SensorNoise,
    StyleAugment,
    StylePack,
    __version__,
)
from styleaug.augment.log import JsonLines
from styleaug.augment.plan import Plan
from styleaug.augment.presets import PRESETS, Preset, preset
from styleaug.stages.base import Stage
from styleaug.stages.params import Params
from styleaug.stages.restyle import RestyleParams


def defaults() -> StyleAugment:
    return StyleAugment()


def by_name() -> StyleAugment:
    return StyleAugment("masks", p=0.5, schedule="gradual", protect=0.5)


def by_stages(pack: StylePack) -> StyleAugment:
    return StyleAugment(
        [
            Restyle(
                ["wood", "metal"],
                strength=(0.2, 0.8),
                texture=1.0,
                mix=0.5,
                pack=pack,
                working_size=512,
            ),
            Relight(strength=0.5, p=0.9),
            Defocus(sigma=(0.0, 2.0)),
            SensorNoise(sigma=0.05),
        ],
        p=0.7,
        schedule={"p": [(0, 0), (0.5, 1)], "Restyle.texture": [(0.2, 0.5)]},
        callback=JsonLines("plans.jsonl"),
    )


def from_a_preset() -> StyleAugment:
    chosen: Preset = preset("boxes", styles="rust", pack="base")
    lines: dict[str, str] = PRESETS
    return StyleAugment(chosen, callback=lambda plan: lines[plan.caption(0)])


def apply(augment: StyleAugment, stage: Stage, batch: Tensor) -> Tensor:
    out: Tensor = stage(augment(batch))
    return out


def replay(augment: StyleAugment, images: Tensor, mask: Tensor) -> Tensor:
    plan: Plan = augment.draw(len(images))
    plan = Plan.join([plan.select([0]), Plan.from_dict(plan.to_dict())])
    params: Params = plan["Relight"]
    report: dict[str, dict[str, str | float]] = plan.describe(0)
    caption: str = plan.caption(len(params) - len(report))
    assert caption
    return augment.render(images, plan, strength_mask=mask)


def by_hand(pack: StylePack, images: Tensor) -> Tensor:
    params = RestyleParams.of(pack.code({"oak": 1, "rust": 2})[None], strength=0.5)
    return Restyle(pack=pack).render(images, params)


def settings(augment: StyleAugment) -> tuple[StyleAugment, Stage, str]:
    return StyleAugment.from_dict(augment.to_dict()), Stage.from_dict({}), __version__
