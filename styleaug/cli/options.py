"""Options that several commands share: a name means the same everywhere.

Defaults are read from the library, where each of them stands once.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from textwrap import fill
from typing import Any

from styleaug.augment.edit import AMOUNTS, changed
from styleaug.augment.presets import Preset, preset
from styleaug.augment.transform import StyleAugment
from styleaug.cli.values import MOST, bits, count, device, few, seed
from styleaug.stages.restyle import Restyle

GOES_ON = "The same command continues where it stopped."
"""What an interruption of a command is answered with that keeps what it has done."""


_REST = argparse.Action([], dest="rest", metavar="[options]")
"""What stands in the usage for all options that may be left out."""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help with what must be given, the defaults, and the examples as they are written."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        """Show what must be given; the options are listed below."""
        needed = [a for a in actions if a.required or not a.option_strings]
        super().add_usage(usage, [*needed, _REST], [], prefix)

    def _get_help_string(self, action: argparse.Action) -> str:
        told, usual = action.help or "", action.default
        if usual is None or usual is False or usual in ((), [], argparse.SUPPRESS):
            return told
        return told if "(default" in told else f"{told} (default: %(default)s)"


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    does: str,
    examples: str,
    resumes: str = "",
) -> argparse.ArgumentParser:
    """The parser of a command, whose help ends with examples.

    Args:
        commands: of all commands.
        name: of this one.
        run: runs it, and returns the exit status.
        does: what it does.
        examples: and notes.
        resumes: what an interruption is answered with: how to go on, if it need not start over.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, description=fill(does, 79), epilog=examples, formatter_class=_Help
    )
    parser.set_defaults(run=run, resumes=resumes)
    return parser


def add_fields(parser: argparse._ActionsContainer, config: type, **texts: str) -> None:
    """Fields of a dataclass as options: names, types and defaults are the library's.

    Args:
        parser: that gets them.
        config: the dataclass.
        texts: what each option does, by field.
    """
    defaults = {field.name: field.default for field in fields(config)}
    for name, does in texts.items():
        option, usual = f"--{name.replace('_', '-')}", defaults[name]
        if usual is False:
            parser.add_argument(option, action="store_true", help=does)
        else:
            kind = type(usual)
            shown = {int: "N", float: "X"}.get(kind, "NAME")
            parser.add_argument(option, type=kind, default=usual, metavar=shown, help=does)


def default_of(call: Callable[..., Any], name: str) -> Any:
    """The default of an argument."""
    return inspect.signature(call).parameters[name].default


def add_preset_options(parser: argparse.ArgumentParser) -> None:
    """``--preset --pack``, and what replaces arguments of the preset's stages."""
    group = parser.add_argument_group("the preset, and what replaces its amounts")
    add_options(group, "preset", "pack")
    for option, (kind, name, does) in AMOUNTS.items():
        usual = default_of(kind, name)
        ranged = isinstance(usual, tuple)
        group.add_argument(
            f"--{option.replace('_', '-')}",
            type=float if ranged else type(usual),
            nargs="+" if ranged or option == "styles" else None,
            metavar=_SHOWN.get(option, "X"),
            help=f"{does}{'; one number, or LO HI to draw between' * ranged} (default: the "
            "preset's)",
        )


def replaced(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments of a preset's stages that are replaced, by option."""
    return {o: getattr(arguments, o) for o in AMOUNTS if getattr(arguments, o) is not None}


def chosen_preset(arguments: argparse.Namespace) -> Preset:
    """The preset that :func:`add_preset_options` asks for, with its arguments replaced.

    Raises:
        ValueError: if a value is out of bounds, or is asked of a stage that the preset has not.
    """
    chosen = preset(arguments.preset, pack=arguments.pack)
    stages = list(chosen.stages)
    for option, value in replaced(arguments).items():
        kind, name, _ = AMOUNTS[option]
        if not any(type(stage) is kind for stage in stages):
            raise ValueError(
                f"--{option} has no effect on the preset {chosen.name!r}, which has no "
                f"{kind.__name__}. 'styleaug presets {chosen.name}' shows it."
            )
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        try:
            stages = [changed(s, **{name: value}) if type(s) is kind else s for s in stages]
        except ValueError as error:
            raise ValueError(f"--{option.replace('_', '-')}: {error}") from error
    return replace(chosen, stages=stages)


_SHOWN = {"styles": "STYLE", "working_size": "PIXELS"}
"""What stands for the values of an amount that is no number."""
_SHARED: dict[str, dict[str, Any]] = {
    "preset": {
        "default": default_of(StyleAugment, "stages"),
        "metavar": "NAME",
        "help": "preset to begin with; 'styleaug presets' lists them",
    },
    "pack": {
        "default": default_of(Restyle, "pack"),
        "metavar": "PACK",
        "help": "style pack: the name of a bundled one, which 'styleaug packs' lists, or a file",
    },
    "device": {
        "type": device,
        "default": "auto",
        "metavar": "NAME",
        "help": "where to compute: cpu, cuda, cuda:1, ...; auto takes CUDA where there is one",
    },
    "bits": {
        "type": bits,
        "metavar": "N",
        "help": "bits that the values of 16-bit images really have, 9 to 16",
    },
    "seed": {
        "type": seed,
        "default": 0,
        "metavar": "N",
        "help": f"seed of all random draws, 0 to {2**32 - 1}",
    },
    "limit": {
        "type": count,
        "metavar": "N",
        "help": "number of images to use at most",
    },
    "size": {
        "type": count,
        "metavar": "PIXELS",
        "help": "short side to which larger images are reduced, as for training",
    },
    "draws": {"type": few, "metavar": "N", "help": f"draws of each image, 1 to {MOST}"},
    "masks": {
        "type": Path,
        "metavar": "DIR",
        "help": "folder of the masks, where they lie apart from the images",
    },
}
"""Options that mean the same in every command that has them."""
_UNSET = {"bits": "16", "limit": "all", "masks": "beside or among the images"}
"""What an option without a value stands for."""


def add_options(parser: argparse._ActionsContainer, *names: str, **defaults: Any) -> None:
    """Add shared options: by name, or with a default of the command's own."""
    for name in (*names, *defaults):
        settings = {**_SHARED[name], **({"default": defaults[name]} if name in defaults else {})}
        if settings.get("default") is None:
            settings["help"] += f" (default: {_UNSET[name]})"
        parser.add_argument(f"--{name}", **settings)
