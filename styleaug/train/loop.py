"""The training loop: one process, or several under ``torchrun``."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import nullcontext, suppress
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from math import cos, isfinite, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from styleaug.errors import StyleAugError
from styleaug.files import atomic_path, remove_leftovers
from styleaug.images.io import save_image
from styleaug.nn.encoder import Stylizer
from styleaug.nn.features import load_features
from styleaug.pack import StylePack, build_stylizer
from styleaug.runtime import choose_device, initializing, join_process_group, use_autocast
from styleaug.train.checkpoint import (
    advise_restart,
    check_weights,
    fingerprint,
    read_checkpoint,
    save_checkpoint,
)
from styleaug.train.config import TrainConfig
from styleaug.train.data import TrainingBatches
from styleaug.train.losses import Objective
from styleaug.train.narrow import fits_into, start_from
from styleaug.train.sheet import draw_sheet, pick_evenly
from styleaug.train.styles import StyleTargets, is_held_out, list_styles

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """What the callback hears after each step.

    Attributes:
        step: steps done.
        steps: steps of the whole run.
        losses: weighted parts and ``total``; read from the device every 10th step, the last ones in
            between.
    """

    step: int
    steps: int
    losses: dict[str, float]


def train(config: TrainConfig, callback: Callable[[Progress], None] | None = None) -> StylePack:
    """Train a style network and write its pack.

    Under ``torchrun`` each process takes its own part (DistributedDataParallel); process 0 writes
    files and calls back.

    Args:
        config: the run.
        callback: hears of each step.

    Returns:
        The pack, as written to ``config.out``.

    Raises:
        ValueError: if folders are missing or empty.
        WeightsError: if the checkpoint is damaged or of a different run.
        StyleAugError: if loss or weights stop being finite; the last checkpoint stays.
    """
    device = choose_device(config.device)
    with join_process_group(device) as (rank, world):
        return _Run(config, device, rank, world).run(callback)


class _Run:
    """One process of a training run."""

    def __init__(self, config: TrainConfig, device: torch.device, rank: int, world: int) -> None:
        self.config, self.device, self.rank, self.world = config, device, rank, world
        self.settings = fingerprint(config, world)
        self.checkpoint_path = config.folder / "checkpoint.pt"
        checkpoint = None
        if config.resume and self.checkpoint_path.is_file():  # before any long work
            checkpoint = read_checkpoint(self.checkpoint_path, self.settings, device)
        elif config.resume:
            log.info("There is no checkpoint at %s yet: starting afresh.", self.checkpoint_path)
        self.autocast = use_autocast(config.precision, self.device, config.net.width)
        dtype = torch.bfloat16 if self.autocast else torch.float32
        self.trunk = load_features().to(self.device, dtype).to(memory_format=torch.channels_last)
        every = list_styles(config.styles)
        self.styles = [s for s in every if not is_held_out(s.name, config.holdout)]
        if not self.styles:
            raise ValueError(
                "styles must leave some to train on, but all are held out; lower holdout."
            )
        self.held_out = len(every) - len(self.styles)
        self.batches = TrainingBatches(config, self.styles, rank)
        config.folder.mkdir(parents=True, exist_ok=True)
        if rank == 0:
            StyleTargets.build(self.styles, self.trunk, config, self.device)
        if world > 1:
            distributed.barrier()
        self.targets = StyleTargets(
            StyleTargets.build(self.styles, self.trunk, config, self.device)
        )
        with initializing(config.seed):
            model = Stylizer(config.net)
        if config.init and not checkpoint:
            _start_from(model, config.init)
        else:
            model.encoder.fit_standardization(self.targets.statistics)
        self.model = model.to(self.device).to(memory_format=torch.channels_last)
        self.average = deepcopy(self.model).requires_grad_(False)
        self.teacher = None
        if config.teacher:
            pack = StylePack.load(config.teacher)
            teacher = build_stylizer(pack.config, pack.state).requires_grad_(False).eval()
            self.teacher = teacher.to(self.device).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self.objective = Objective(config, self.trunk, self.targets.typical.to(self.device))
        self.step = 0
        if checkpoint:
            self.step = checkpoint["step"]
            self.model.load_state_dict(checkpoint["model"])
            self.average.load_state_dict(checkpoint["average"])
            self.optimizer.load_state_dict(checkpoint["optimizer"])

    def run(self, callback: Callable[[Progress], None] | None) -> StylePack:
        c = self.config
        parallel: nn.Module = self.model
        if self.world > 1:
            parallel = DistributedDataParallel(self.model)
        loader = DataLoader(
            self.batches,
            batch_size=None,
            sampler=range(self.step, c.steps),
            num_workers=c.workers,
            prefetch_factor=4 if c.workers else None,
        )
        parts: dict[str, float] = {}
        if self.rank == 0:
            self._clear()
        try:
            for batch in loader:
                found = self._train_step(parallel, batch)
                self.step += 1
                if self.step % 10 == 0 or self.step in (1, c.steps):
                    parts = {name: float(value) for name, value in found.items()}
                    if not isfinite(parts["total"]):
                        raise StyleAugError(
                            f"The loss must stay finite, but is {parts} at step {self.step}. "
                            f"{advise_restart(self.checkpoint_path)}"
                        )
                    self._log(parts)
                if self.rank == 0 and callback:
                    callback(Progress(self.step, c.steps, parts))
                if self.step % c.sheet_every == 0 or self.step == c.steps:
                    self._sheet()
                if self.step % c.checkpoint_every == 0:  # last: nothing before it is done again
                    self._save()
        except KeyboardInterrupt:
            self._save()
            raise
        self._save()
        pack = self._pack()
        if self.rank == 0:
            pack.save(c.out)
        return pack

    def _train_step(self, parallel: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        c = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, c)

        def send(tensor: Tensor) -> Tensor:
            return tensor.to(self.device, non_blocking=True)

        content = send(batch["content"]).float().div_(255)
        surfaces = send(batch["surfaces"]).float().div_(255)
        damaged = torch.cat([surfaces, content[len(surfaces) :]]) + send(batch["delta"])
        target = self.targets.batch(batch["rows"], self.device)
        given = {
            "content": content.contiguous(memory_format=torch.channels_last),
            "damaged": damaged.clamp(0, 1).contiguous(memory_format=torch.channels_last),
            "surfaces": len(surfaces),
            "mask": send(batch["mask"]),
            "ring": send(batch["ring"]),
            "grams": target["grams"],
        }
        generator = torch.Generator().manual_seed(int(batch["encoder_seed"]))
        noise = c.noise * send(torch.randn(target["statistics"].shape, generator=generator))
        images, seeds = torch.cat([given["content"], given["damaged"]]), send(batch["seeds"])
        styles = target["statistics"], target["images"]
        taught = None
        with torch.autocast(self.device.type, torch.bfloat16) if self.autocast else nullcontext():
            if self.teacher:
                with torch.no_grad():
                    taught = self.teacher(images, *styles, torch.zeros_like(noise), seeds)
            both = parallel(images, *styles, noise, seeds)
        output, damaged_output = both.float().chunk(2)
        parts = self.objective(output, damaged_output, given)
        if taught is not None:
            parts["teacher"] = c.teacher_weight * (both.float() - taught.float()).abs().mean()
        parts["total"] = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        parts["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), c.clip)
        self.optimizer.step()
        # the first averages follow closely: the random start must not linger in them
        decay = min(c.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        return {name: part.detach() for name, part in parts.items()}

    def _clear(self) -> None:
        """Drop contact sheets and lines of the log behind the step to begin with.

        They are of another run, or of a part of this one that comes again.
        """
        folder = self.config.folder
        remove_leftovers(folder)
        remove_leftovers(self.config.out.parent, below=False)
        for sheet in folder.glob("sheet-[0-9]*.jpg"):
            if int(sheet.stem.removeprefix("sheet-")) > self.step:
                sheet.unlink()
        path, kept = folder / "log.jsonl", []
        with suppress(OSError, ValueError):  # there is none, or its last line is half
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
                if json.loads(line)["step"] > self.step:
                    break
                kept.append(line)
        with atomic_path(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")

    def _log(self, parts: dict[str, float]) -> None:
        if self.rank == 0:
            with (self.config.folder / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": self.step, **parts}) + "\n")

    def _save(self) -> None:
        state: dict[str, Any] = {
            "step": self.step,
            "run": self.settings,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        weights = [*state["model"].values(), *state["average"].values()]
        check_weights(weights, self.step, self.checkpoint_path)  # in all processes alike
        if self.rank == 0:
            save_checkpoint(self.checkpoint_path, state)

    def _codes(self) -> Tensor:
        """Codes of every training style, from the averaged weights."""
        rows = torch.arange(len(self.styles)) * self.config.views
        codes = []
        with torch.inference_mode():
            for part in torch.split(rows, 16):
                target = self.targets.batch(part, self.device)
                codes.append(self.average.codes(target["statistics"], target["images"]).cpu())
        return torch.cat(codes)

    def _pack(self) -> StylePack:
        settings = dict(self.settings)
        # names say what was used; whole paths would say where the author lives
        for name in ("content", "styles"):
            settings[name] = [Path(entry.rpartition("=")[2]).name for entry in settings[name]]
        for name in ("init", "teacher"):
            if settings[name]:
                settings[name] = Path(settings[name]).name
        info = {
            "features": "vgg16",
            "sources": dict(entry.split("=", 1) for entry in self.config.sources),
            "trained_styles": len(self.styles),
            "held_out_styles": self.held_out,
            "settings": settings,
            "versions": {name: version(name) for name in ("torch", "torchvision")},
        }
        names, tags = [s.name for s in self.styles], [s.tags for s in self.styles]
        return StylePack(self.average, self._codes(), names, tags, info)

    def _sheet(self) -> None:
        if self.rank == 0:
            rows = torch.linspace(0, len(self.styles) - 1, 8).long() * self.config.views
            target = self.targets.batch(rows, self.device)
            sheet = draw_sheet(
                self.average,
                target["statistics"],
                target["images"],
                pick_evenly(self.batches.content),
            )
            save_image(self.config.folder / f"sheet-{self.step:06d}.jpg", sheet)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine down to 2 % of the peak; a function of the step alone."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * (0.02 + 0.98 * 0.5 * (1 + cos(pi * min(1.0, done))))


def _start_from(model: Stylizer, pack: str) -> None:
    """Give a new model the weights of a pack, and the standardization of its encoder.

    Raises:
        ValueError: if the pack's network has another shape.
    """
    source = StylePack.load(pack)
    shape, given = model.net.config, source.config
    if not fits_into(given, shape):
        raise ValueError(
            f"init needs a pack of the same shape, or a wider one, but {pack} has {given} where "
            f"{shape} is asked for."
        )
    start_from(model, build_stylizer(source.config, source.state))
