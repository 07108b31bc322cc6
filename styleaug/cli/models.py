"""``styleaug stylize part.glb``: copies of 3D models with other base colours."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from styleaug.augment.edit import AMOUNTS, changed
from styleaug.augment.transform import StyleAugment
from styleaug.cli.options import chosen_preset, replaced
from styleaug.cli.outputs import (
    Outputs,
    Picture,
    digest_files,
    drawn_of,
    generator_of,
    list_pictures,
    settings_of_stages,
)
from styleaug.files import atomic_path, digest_file
from styleaug.images.io import walk
from styleaug.mesh.files import SUFFIXES, Model, read_model
from styleaug.mesh.paint import Paint
from styleaug.stages.base import Stage
from styleaug.stages.restyle import Restyle


@dataclass(frozen=True, eq=False)
class _Source:
    """A model, and the digest of its file."""

    model: Model
    digest: str

    @classmethod
    def read(cls, path: Path) -> _Source:
        digest = digest_file(path)  # first: what is changed meanwhile counts as another model
        return cls(read_model(path), digest)


def is_model(path: Path) -> bool:
    """Whether it is a model, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def stylize_models(arguments: argparse.Namespace) -> int:
    """Change the base colours of every model of every source."""
    stages = _stages(arguments)
    augment = StyleAugment(stages)
    references = [file for stage in stages for file in stage.pool.files]
    out, copies = arguments.out, arguments.copies
    models = list_pictures(
        arguments.sources, out, copies=copies, others=references, find=_models_of
    )
    digests = {source: _digest_beside(source) for source in {m.source for m in models}}
    models = [replace(model, beside=digests[model.source]) for model in models]
    settings = {"command": "stylize", "seed": arguments.seed, **settings_of_stages(stages)}

    def make(wanted: Picture, model: Model) -> tuple[bytes, dict[str, Any]]:
        plan = augment.draw(1, generator_of(arguments.seed, wanted.name, wanted.copy))
        target = PurePosixPath(wanted.output)
        files = model.restyle(Paint(augment, plan, arguments.device), target.name)
        content = files.pop(target.name)
        _write_beside(out / target.parent, files, overwrite=arguments.overwrite)
        return content, drawn_of(plan)

    with (
        Outputs(out, models, settings, overwrite=arguments.overwrite) as outputs,
        tqdm(total=len(models), desc="stylize", unit="model") as bar,
    ):
        bar.update(len(models) - len(outputs.missing))
        for path, group in groupby(outputs.missing, key=attrgetter("source")):
            missing = list(group)
            source = outputs.attempt(missing, partial(_Source.read, path))
            for wanted in missing:
                if source is not None:
                    made = outputs.attempt([wanted], partial(make, wanted, source.model))
                    if made is not None:
                        outputs.write(wanted, made[0], digest=source.digest, drawn=made[1])
                bar.update()
    return outputs.report("models")


def _stages(arguments: argparse.Namespace) -> list[Restyle]:
    """What a texture carries of a preset: the material."""
    others = [option for option in replaced(arguments) if AMOUNTS[option][0] is not Restyle]
    if others:
        raise ValueError(
            f"--{others[0]} has no effect on models, whose textures carry the material alone: "
            "lighting, focus and noise belong to the pictures that are rendered of them."
        )
    chosen = chosen_preset(arguments)
    stages = [stage for stage in chosen.stages if isinstance(stage, Restyle)]
    if not stages:
        raise ValueError(
            f"--preset {chosen.name} has no Restyle, and the textures of models carry the material "
            "alone. Take another one, such as material."
        )
    return [_always(stage) for stage in stages]


def _always(stage: Restyle) -> Restyle:
    always: Stage = changed(stage, p=1.0)
    assert isinstance(always, Restyle)
    return always


def _models_of(source: Path) -> list[Path]:
    """The models of a source; none if it is neither a model nor a folder that holds some."""
    files = walk(source) if source.is_dir() else [source]
    return sorted(filter(is_model, files))


def _digest_beside(model: Path) -> str:
    """Of the files that a model needs; a model that is damaged will be skipped."""
    try:
        files = [model.parent / place for place in read_model(model).references]
        return digest_files(files) if files else ""
    except (OSError, ValueError):
        return ""


def _write_beside(folder: Path, files: Mapping[str, bytes], *, overwrite: bool) -> None:
    """Write what a model needs, before the model itself.

    Raises:
        ValueError: if a file of another content is there.
    """
    for name, content in files.items():
        path = folder / name
        if path.is_file() and path.read_bytes() == content:
            continue
        if path.exists() and not overwrite:
            raise ValueError(
                f"{path} is there, but with another content. Choose another --out, or make it "
                "anew with --overwrite."
            )
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
