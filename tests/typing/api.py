"""The public API as a user's type checker sees it: mypy reads this file, nothing runs it."""

from torch import Tensor

from styleaug import StyleAugment, StylePack, StylePlan, StyleSampler, __version__, render


def defaults() -> StyleAugment:
    return StyleAugment()


def with_options() -> StyleAugment:
    return StyleAugment(
        styles="all",
        p=0.5,
        strength=(0.2, 0.8),
        texture=(0.0, 1.0),
        light=(0.0, 0.5),
        working_size=512,
        pack="base",
    )


def some_styles() -> StyleAugment:
    return StyleAugment(styles=["wood", "metal"])


def apply(augment: StyleAugment, batch: Tensor) -> Tensor:
    out: Tensor = augment(batch)
    return out


def replay(images: Tensor, plan: StylePlan, pack: StylePack) -> Tensor:
    return render(images, plan, pack)


def names() -> tuple[type[StyleSampler], str]:
    return StyleSampler, __version__
