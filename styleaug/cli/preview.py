"""``styleaug preview``: a contact sheet of what training will see."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from styleaug.audit import AuditConfig
from styleaug.audit.run import fit
from styleaug.augment.edit import as_code, changed
from styleaug.augment.transform import StyleAugment
from styleaug.cli.options import (
    add_command,
    add_options,
    add_preset_options,
    chosen_preset,
    replaced,
)
from styleaug.cli.outputs import check_outside
from styleaug.cli.pipeline import feed, load_pipeline, seeded
from styleaug.cli.sheet import contact_sheet
from styleaug.cli.values import few, sheet
from styleaug.datasets import Sample, read_defects
from styleaug.datasets.outlines import outlined
from styleaug.images.io import list_images, save_image, spread, to_tensor
from styleaug.pack import DEFAULT_PACK
from styleaug.stages.restyle import Restyle

EXAMPLES = """examples:
  styleaug preview parts/ --out sheet.png
  styleaug preview parts/ --preset masks --styles rust wood --noise 0 0.05
  styleaug preview --data tiles/                       labelled images: defects are outlined
  styleaug preview part.png --strengths 0.3 0.6 1      styles against strengths
  styleaug preview parts/ --pipeline my_pipeline.py:transform

Each image has a row: first itself, then draws of a preset as it trains, each with what it got.
Images that training leaves unchanged are not shown, unless --p is below 1. With --strengths the
columns are styles, the same in every row. With --pipeline you see what your whole pipeline feeds
to the model.
"""


_WIDEST = 65_500
"""Pixels: a JPEG file can hold hardly more."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = (
        "Draw a contact sheet: your images as a preset changes them in training, styles against "
        "strengths, or what your own pipeline feeds to the model."
    )
    parser = add_command(commands, "preview", run, does=does, examples=EXAMPLES)
    parser.add_argument(
        "sources", nargs="*", type=Path, metavar="SRC", help="images, or folders of images"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of labelled images, whose defects are outlined (default: none)",
    )
    add_options(parser, "masks", "bits")
    parser.add_argument(
        "--out",
        type=sheet,
        default=Path("preview.png"),
        metavar="SHEET",
        help="contact sheet to write, .png or .jpg",
    )
    add_options(parser, limit=6, draws=7)
    parser.add_argument(
        "--p",
        type=float,
        default=1.0,
        metavar="P",
        help="probability that an image is changed at all, 0 to 1; that of training is lower, see "
        "'styleaug presets NAME'",
    )
    parser.add_argument(
        "--strengths",
        type=float,
        nargs="+",
        metavar="X",
        help="draw a row at each strength of Restyle, 0 to 1, and the same styles in all rows "
        "(default: draws of the preset)",
    )
    parser.add_argument(
        "--pipeline",
        metavar="FILE.py:NAME",
        help="your own transform in place of a preset: torchvision, Albumentations, or a function "
        "of a PIL image (default: none)",
    )
    parser.add_argument(
        "--thumbnail",
        type=few,
        default=192,
        metavar="PIXELS",
        help="longer side of each image on the sheet, 1 to 10000",
    )
    add_preset_options(parser)
    group = parser.add_argument_group("running")
    add_options(group, "device", "seed", size=AuditConfig.size)


def run(arguments: argparse.Namespace) -> int:
    """Draw and write the sheet."""
    if arguments.masks is not None and arguments.data is None:
        raise ValueError("--masks needs --data, the folder of the images that they belong to.")
    read = [*arguments.sources, arguments.data, arguments.masks]
    check_outside(arguments.out, read, "the images")
    width = (1 + arguments.draws) * arguments.thumbnail
    if width > _WIDEST:
        raise ValueError(
            f"The sheet must be at most {_WIDEST} pixels wide, but {arguments.draws} draws of "
            f"{arguments.thumbnail} pixels make {width}. Lower --draws or --thumbnail."
        )
    samples = _samples(arguments)
    rows: list[list[Tensor]] = []
    captions: list[list[str]] = []
    if arguments.pipeline is not None:
        rows = _pipeline_rows(arguments, samples)
        told = arguments.pipeline
    else:
        transforms, told = _transforms(arguments)
        generator = torch.Generator()
        for number, sample in enumerate(samples):
            image, mask = fit(sample, arguments.size)
            for name, transform in transforms.items():
                # the same styles at every strength; in training each image has its own draw
                generator.manual_seed(arguments.seed + (0 if arguments.strengths else number))
                plan = transform.draw(arguments.draws, generator)
                batch = image.to(arguments.device).expand(plan.count, -1, -1, -1)
                out = transform.render(batch, plan).cpu()
                rows.append([outlined(image[0], None if mask is None else mask[0]), *out])
                texts = [plan.caption(row).replace("; ", "\n") for row in range(plan.count)]
                captions.append([f"{sample.path.name} {name}", *texts])
    save_image(arguments.out, contact_sheet(rows, arguments.thumbnail, captions))
    print(f"{arguments.out}: {told}")
    if arguments.pipeline is None and not arguments.strengths:
        print(f"\nTo train with it:\n\n{_code(arguments)}")
    return 0


def _code(arguments: argparse.Namespace) -> str:
    """What builds the preset as it trains."""
    chosen = chosen_preset(arguments)
    if not replaced(arguments) and arguments.pack == DEFAULT_PACK:
        return f"    StyleAugment({chosen.name!r})"
    return as_code(StyleAugment(chosen.stages, p=chosen.p, schedule=chosen.schedule))


def _samples(arguments: argparse.Namespace) -> list[Sample]:
    """At most ``--limit`` images, spread over all; of labelled ones those with a defect."""
    samples = [Sample(path, bits=arguments.bits) for path in list_images(arguments.sources)]
    if arguments.data is not None:
        found = read_defects(arguments.data, masks=arguments.masks, bits=arguments.bits).samples
        samples += [s for s in found if s.masks or s.boxes] or found
    if not samples:
        raise ValueError("preview needs images: name files or folders, or labelled ones by --data.")
    return spread(samples, arguments.limit)


def _transforms(arguments: argparse.Namespace) -> tuple[dict[str, StyleAugment], str]:
    """What makes each row of an image, and what it is called."""
    chosen = chosen_preset(arguments)
    if not arguments.strengths:
        told = f"preset {chosen.name}, p = {arguments.p:g} (in training {chosen.p:g})"
        return {"": StyleAugment(chosen.stages, p=arguments.p)}, told
    restyle = [stage for stage in chosen.stages if isinstance(stage, Restyle)]
    if not restyle:
        raise ValueError(f"--strengths need Restyle, which the preset {chosen.name!r} has not.")
    settings = {"p": 1.0} if arguments.texture else {"p": 1.0, "texture": 1.0}
    return {
        f"at {s:g}": StyleAugment([changed(restyle[0], strength=s, **settings)])
        for s in arguments.strengths
    }, "styles against strengths"


def _pipeline_rows(arguments: argparse.Namespace, samples: list[Sample]) -> list[list[Tensor]]:
    """A row for each image: the image, then what the pipeline makes of it."""
    given = [*replaced(arguments), *(["strengths"] if arguments.strengths else [])]
    usual = {"preset": "default", "p": 1.0}
    given += [name for name, value in usual.items() if getattr(arguments, name) != value]
    if given:
        raise ValueError(f"--{', --'.join(given)}: no effect on --pipeline; say it there.")
    pipeline = load_pipeline(arguments.pipeline)
    rows = []
    with seeded(arguments.seed, pipeline):
        for sample in samples:
            picture = sample.load()
            fed = [feed(pipeline, picture.copy()) for _ in range(arguments.draws)]
            rows.append([to_tensor(picture), *fed])
    return rows
