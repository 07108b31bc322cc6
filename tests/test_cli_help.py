"""The help of the command line, and the page that lists the commands."""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from styleaug.cli import COMMANDS, GROUPS, build_parser, main

ROOT = Path(__file__).parents[1]
MAIN_WITHOUT_TORCH = """
import sys
from styleaug.cli import main
try:
    main(["--help"])
finally:
    assert "torch" not in sys.modules and "PIL" not in sys.modules
"""


def parser_of(command: str) -> argparse.ArgumentParser:
    (commands,) = build_parser(command)._subparsers._group_actions
    return commands.choices[command]


def test_help_lists_the_commands_by_task_in_eighty_columns(capsys):
    """Each in one line, below its task."""
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for task, commands in GROUPS.items():
        at = lines.index(f"{task}:") + 1
        listed = [re.split(r" {2,}", line.strip()) for line in lines[at : at + len(commands)]]
        assert listed == [list(entry) for entry in commands.items()]


def test_no_command_shows_the_help_as_an_error(capsys):
    """A script whose variable is empty must not go on."""
    assert main([]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert all(text in shown.err for text in COMMANDS.values())


def test_an_unknown_command_is_told_with_the_closest(capsys):
    """And where they are listed."""
    with pytest.raises(SystemExit) as stop:
        main(["stylise"])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("styleaug: 'stylise' is no command. Did you mean 'stylize'")
    assert told.endswith("('styleaug --help' lists the commands)\n")


def test_the_list_of_commands_comes_at_once():
    """It loads neither torch nor a command."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN_WITHOUT_TORCH], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_is_and_its_default(command):
    """In a phrase that begins in lower case and ends without a full stop."""
    formatter = parser_of(command)._get_formatter()
    wrong = []
    for action in parser_of(command)._actions:
        told = formatter._expand_help(action) if action.help else ""
        optional = action.nargs != 0 and not action.required
        if not re.match(r"[a-z]", told) or told.endswith("."):
            wrong.append((action.dest, told))
        if optional and action.dest != "sources" and "(default: " not in told:
            wrong.append((action.dest, told))
    assert wrong == []


@pytest.mark.parametrize("command", COMMANDS)
def test_usage_shows_what_must_be_given(command):
    """Options that may be left out are listed below, not there."""
    parser = parser_of(command)
    usage = parser.format_usage()
    given = {a.option_strings[-1] for a in parser._actions if a.required and a.option_strings}
    assert set(re.findall(r"--[\w-]+", usage)) == given
    assert usage.endswith(" [options]\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_every_command_are_understood(command):
    """Lines with dots leave something out."""
    lines = parser_of(command).epilog.partition("examples:\n")[2].splitlines()
    calls = [line for line in lines if re.match(r"  styleaug [^.]*", line) and "..." not in line]
    assert calls
    for call in calls:
        words = shlex.split(re.split(r" {3,}| \| ", call.strip())[0], comments=True)[1:]
        build_parser(words[0]).parse_args(words)  # else it exits


def test_the_page_of_the_command_line_groups_the_commands_as_the_help_does():
    """In the same order, below the same headings."""
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    for task, commands in GROUPS.items():
        section = page.partition(f"\n## {task}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `styleaug ([\w-]+)", section, re.MULTILINE) == list(commands)
