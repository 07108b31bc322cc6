"""How well a pack restyles, and how well defects survive it.

    python benchmarks/quality.py --content DIR... --styles [TAG=]DIR... --masks DIR

``--styles`` are the folders that the pack was trained on: its held-out styles, chosen by a hash of
their names, are the unseen references. ``--masks`` holds defect images (.jpg) beside their masks
(.png, same name, more than 0 inside the defect), best a set that the pack was not trained on.

*Style moved* is 1 - D(output, style) / D(content, style), D the Gram distance relative to the
style's norm, averaged over conv1_2, conv2_2, conv3_3, conv4_1: 0 changes nothing, 1 reaches the
style's statistics. *Separability* of a defect is 2 |AUC - 0.5| between its pixels and a ring around
it, the best of three features: luma, blurred luma, local energy. *Kept* is separability after over
before; a defect below 0.5 counts as lost.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from common import machine_record, package_versions, write_json
from styleaug import StylePack, StyleSampler, render
from styleaug.color import luma, to_float
from styleaug.images import find_images, load_rgb, to_tensor
from styleaug.losses import gram
from styleaug.nn.encoder import STYLE_LAYERS, STYLE_SIZE
from styleaug.nn.features import VGGFeatures, load_features
from styleaug.plan import StylePlan
from styleaug.train.styles import StyleImage, is_held_out, list_styles, style_view
from styleaug.transform import StyleAugment

RESULT = Path(__file__).parent / "results" / "quality.json"

# What is asked of the sampler; None keeps the defaults of StyleAugment, at p = 1.
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "defaults, no light": {"light": 0.0},
    "tone only, strength 0.5": {"strength": 0.5, "texture": 0.0, "light": 0.0},
    "tone only, strength 1": {"strength": 1.0, "texture": 0.0, "light": 0.0},
    "half texture, strength 1": {"strength": 1.0, "texture": 0.5, "light": 0.0},
    "full texture, strength 0.5": {"strength": 0.5, "texture": 1.0, "light": 0.0},
    "full texture, strength 1": {"strength": 1.0, "texture": 1.0, "light": 0.0},
    "light only, full": {"strength": 0.0, "light": 1.0},
}


def picture(path: Path) -> Tensor:
    """A square RGB picture (3, STYLE_SIZE, STYLE_SIZE), uint8."""
    return to_tensor(style_view(load_rgb(path), 0, 0))


def style_distances(found: dict[str, Tensor], target: dict[str, Tensor]) -> Tensor:
    """D of each image from its target style: (B,)."""
    parts = []
    for layer in STYLE_LAYERS:
        wanted = gram(target[layer])
        gap = (gram(found[layer]) - wanted).flatten(1).norm(dim=1)
        parts.append(gap / wanted.flatten(1).norm(dim=1))
    return torch.stack(parts).mean(0)


@torch.no_grad()
def style_moved(
    pack: StylePack,
    styles: Sequence[StyleImage],
    contents: Sequence[Path],
    trunk: VGGFeatures,
    *,
    seed: int,
) -> list[float]:
    """Style moved of each style, on one content image each, at full strength and texture."""
    rng = np.random.default_rng(seed)
    moved: list[float] = []
    order = rng.permutation(len(contents))
    for start in tqdm(range(0, len(styles), 4), desc="style moved"):
        part = styles[start : start + 4]
        style = torch.stack([picture(Path(s.path)) for s in part])
        chosen = [contents[order[(start + i) % len(order)]] for i in range(len(part))]
        content = torch.stack([picture(p) for p in chosen])
        codes = pack.encode(style)
        net = pack.stylizer(torch.device("cpu"), torch.float32).net
        output = net(to_float(content), codes)
        target = trunk(to_float(style), STYLE_LAYERS)
        before = style_distances(trunk(to_float(content), STYLE_LAYERS), target)
        after = style_distances(trunk(output, STYLE_LAYERS), target)
        moved += (1 - after / before).tolist()
    return moved


def separability(image: Tensor, inside: Tensor, ring: Tensor) -> float:
    """How well a threshold tells defect from surroundings, in [0, 1]: image (1, 3, H, W)."""
    gray = luma(image)
    blurred = F.avg_pool2d(gray, 5, stride=1, padding=2, count_include_pad=False)
    energy = F.avg_pool2d((gray - blurred).square(), 5, stride=1, padding=2)
    best = 0.0
    for feature in (gray, blurred, energy):
        best = max(best, 2 * abs(_auc(feature[inside], feature[ring]) - 0.5))
    return best


def _auc(positive: Tensor, negative: Tensor) -> float:
    """Probability that a value of the first lies above one of the second, ties counting half."""
    order, _ = negative.sort()
    below = torch.searchsorted(order, positive)
    upto = torch.searchsorted(order, positive, right=True)
    return float((below + upto).double().mean() / (2 * len(order)))


def masked_defects(folder: Path, limit: int, seed: int) -> list[tuple[Path, Path]]:
    """Images with a mask that marks something, a random choice of ``limit``."""
    pairs = [(p, p.with_suffix(".png")) for p in find_images(folder) if p.suffix == ".jpg"]
    pairs = [(image, mask) for image, mask in pairs if mask.is_file()]
    rng = np.random.default_rng(seed)
    chosen = []
    for index in rng.permutation(len(pairs)):
        mask = luma(to_float(to_tensor(load_rgb(pairs[index][1])))) > 0.5
        if 20 <= int(mask.sum()) < 0.5 * mask.numel():
            chosen.append(pairs[index])
        if len(chosen) == limit:
            break
    return chosen


def retention(
    pack: StylePack, defects: Sequence[tuple[Path, Path]], *, seed: int
) -> dict[str, dict[str, float]]:
    """Share of each defect's separability that each setting keeps: one random plan a defect."""
    defaults = StyleAugment(pack=pack)
    names = ("mix", "strength", "texture", "light")
    base = {name: getattr(defaults, name) for name in names}
    samplers = {name: StyleSampler(pack, **{**base, **change}) for name, change in SETTINGS.items()}
    kept: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for index, (image_path, mask_path) in enumerate(tqdm(defects, desc="defects")):
        image = to_tensor(load_rgb(image_path))[None]
        mask = luma(to_float(to_tensor(load_rgb(mask_path))[None])) > 0.5
        near = F.max_pool2d(mask.float(), 7, stride=1, padding=3) > 0
        far = F.max_pool2d(mask.float(), 31, stride=1, padding=15) > 0
        ring = far & ~near
        if not ring.any():
            continue
        before = separability(to_float(image), mask, ring)
        if before < 0.2:  # what cannot be seen before cannot be lost
            continue
        for name, sampler in samplers.items():
            plan: StylePlan = sampler.draw(1, torch.Generator().manual_seed(seed + index))
            out = render(image, plan, pack)
            kept[name].append(separability(to_float(out), mask, ring) / before)
    return {name: _summary(values) for name, values in kept.items()}


def _summary(values: Sequence[float]) -> dict[str, float]:
    array = np.asarray(values)
    return {
        "median": float(np.median(array)),
        "p10": float(np.percentile(array, 10)),
        "lost_percent": float(100 * (array < 0.5).mean()),
        "count": len(values),
    }


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", default="base")
    parser.add_argument("--content", nargs="+", required=True)
    parser.add_argument("--styles", nargs="+", required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--count", type=int, default=80, help="styles of each kind")
    parser.add_argument("--defects", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    pack = StylePack.load(arguments.pack)
    trunk = load_features()
    share = pack.info["settings"]["holdout"]
    every = list_styles(arguments.styles)
    rng = np.random.default_rng(arguments.seed)

    def some(styles: list[StyleImage]) -> list[StyleImage]:
        return [styles[i] for i in rng.permutation(len(styles))[: arguments.count]]

    contents = [path for folder in arguments.content for path in find_images(folder)]
    groups = {
        "trained styles": some([s for s in every if not is_held_out(s.name, share)]),
        "unseen references": some([s for s in every if is_held_out(s.name, share)]),
    }
    moved = {
        name: style_moved(pack, styles, contents, trunk, seed=arguments.seed)
        for name, styles in groups.items()
    }
    kept = retention(
        pack,
        masked_defects(arguments.masks, arguments.defects, arguments.seed),
        seed=arguments.seed,
    )
    record = {
        "command": "python benchmarks/quality.py --content ... --styles ... --masks ...",
        "pack": arguments.pack,
        "pack_id": pack.id,
        "content": [Path(folder).name for folder in arguments.content],
        "styles": [Path(entry.rpartition("=")[2]).name for entry in arguments.styles],
        "masks": arguments.masks.name,
        "seed": arguments.seed,
        "size": STYLE_SIZE,
        "machine": machine_record(),
        "versions": package_versions(("styleaug", "torch", "torchvision")),
        "style_moved": {
            name: {
                "median": float(np.median(values)),
                "p10": float(np.percentile(values, 10)),
                "p90": float(np.percentile(values, 90)),
                "count": len(values),
            }
            for name, values in moved.items()
        },
        "defects_kept": kept,
    }
    write_json(arguments.out, record)
    for name, row in (*record["style_moved"].items(), *kept.items()):
        print(f"{name:30}", {key: round(value, 3) for key, value in row.items()})
    print(arguments.out)


if __name__ == "__main__":
    main()
