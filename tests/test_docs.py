"""What README, docs and docstrings show must run; their figures must be those measured."""

import doctest
import importlib
import pkgutil
import random
import re
import shlex
from pathlib import Path

import pytest

import styleaug
from benchmarks.docs.pages import PAGES as FILLED
from benchmarks.docs.pages import fill
from styleaug.cli import COMMANDS, build_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# those that need another framework run in tests/hosts/test_pages.py
OWN_PAGES = [page for page in PAGES if "<!-- needs:" not in page.read_text(encoding="utf-8")]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(styleaug [^`]+)`")
MODULES = sorted(m.name for m in pkgutil.walk_packages(styleaug.__path__, "styleaug."))


@pytest.mark.parametrize("page", OWN_PAGES, ids=lambda p: p.name)
def test_python_blocks_of_a_page_run(page):
    namespace: dict[str, object] = {}
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, str(page), "exec"), namespace)


def commands_of(page):
    """What a page tells to type, in blocks and in the tables of commands."""
    text = page.read_text(encoding="utf-8")
    lines = "".join(SHELL.findall(text)).replace("\\\n", " ").splitlines()
    rows = [line for line in text.splitlines() if line.startswith("| `styleaug ")]
    lines += [command for row in rows for command in INLINE.findall(row)]
    return [line for line in lines if line.startswith("styleaug ")]


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("pretrained/*/CARD.md")], ids=lambda p: p.name)
def test_commands_of_a_page_are_understood(page):
    for line in commands_of(page):
        words = shlex.split(line, comments=True)[1:]
        build_parser(words[0]).parse_args(words)  # else it exits


def test_the_page_of_the_command_line_names_every_command():
    named = {line.split()[1] for line in commands_of(ROOT / "docs/reference/cli.md")}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("name", ["styleaug", *(m for m in MODULES if "__main__" not in m)])
def test_docstring_examples_run(name):
    state = random.getstate()
    module = importlib.import_module(name)
    random.setstate(state)  # what other packages draw when they are imported is theirs
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("page", FILLED, ids=lambda p: p.name)
def test_figures_in_the_pages_are_those_of_the_results(page):
    text = page.read_text(encoding="utf-8")
    assert fill(text) == text, f"run: python -m benchmarks.docs ({page.name} is out of date)"
