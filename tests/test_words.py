"""The words of the documentation: the field's terms, and one spelling of each word."""

import argparse
import importlib
import inspect
import random
import re
from html import unescape
from pathlib import Path

import pytest

from styleaug.cli import COMMANDS, build_parser

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "benchmarks/README.md"),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("pretrained/*/CARD.md")),
    ROOT / "docs/try/index.html",
]
PUBLIC = re.findall(
    r"^::: (\S+)", (ROOT / "docs/reference/api.md").read_text(encoding="utf-8"), re.MULTILINE
)

STEMS = (
    "characteri|custom|equal|general|initial|local|maxim|memori|minim|normal|optim|organi|penali"
    "|quanti|random|recogni|regulari|seriali|standardi|styli|summari|synchroni|utili|visuali"
)
# What to avoid, as a regular expression, and what to write instead. A word that is right in some
# sense is listed with the words around it that make it wrong.
WORDS = {
    r"lamps?": "lighting",
    r"(labelled|industrial|large|small|public|image) sets?": "dataset",
    r"parted": "split",
    r"(?<!film )(?<!wood )grain(?! (size|boundar))|grainy": "noise",
    r"pays?(?! attention)": "gains, or drops or loses accuracy",
    r"com(es?|ing) to (a|an|the|[0-9.]+)": "reaches",
    r"peers?": "baseline",
    r"hosts?": "integration; of a device, CPU; of a page, server",
    r"(a|an|each|every|per|one) cells?": "run",
    r"coins?": "probability",
    r"rooms?(?! temperature)": "module",
    rf"({STEMS})i?s(e|es|ed|er|ers|ing|ation|ations)": "the spelling with z",
    r"(?<!Preserving )colors?|colored": "colour",  # but for the title of a paper
    r"grey|greys|greyscale": "gray",
    r"centers?|centered": "centre",
    r"behaviors?": "behaviour",
    r"neighbors?|neighboring": "neighbour",
    r"labeled|labeling": "labelled, labelling",
    r"catalogs?": "catalogue",
}
AVOIDED = {re.compile(rf"\b(?:{wrong})\b", re.IGNORECASE): right for wrong, right in WORDS.items()}


def prose_of(text: str) -> str:
    """The prose of a page, with the comments of its code: no code, tags or targets of links."""
    blocks = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
    text = blocks.sub(lambda block: "\n".join(re.findall(r"# (.*)", block[0])), text)
    text = re.sub(r"<!--.*?-->|^:::.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"(?:aria-label|title|alt|content)=\"([^\"]*)\"", r">\1<", text)
    text = re.sub(r"<[^>]*>", " ", text)
    text = re.sub(r"``.*?``|`[^`]*`|\]\([^)]*\)|:\w+:`[^`]*`|https?://\S+", " ", text)
    return " ".join(unescape(text).split())


def avoided_in(text: str) -> list[str]:
    """What to change in a text, with the words around it."""
    return [
        f"...{text[max(0, found.start() - 30) : found.end() + 30]}...: write {right}"
        for wrong, right in AVOIDED.items()
        for found in wrong.finditer(text)
    ]


def help_of(command: str) -> str:
    """What a command says of itself and of its options."""
    parser = build_parser(command)
    [commands] = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    own = commands.choices[command]
    said = [COMMANDS[command], own.description, *(action.help for action in own._actions)]
    return " ".join(text for text in said if text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_uses_the_words_of_the_field(page):
    """A page has no private word and one spelling of each word."""
    assert avoided_in(prose_of(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_uses_the_words_of_the_field(command):
    """The help of a command has no private word and one spelling of each word."""
    assert avoided_in(prose_of(help_of(command))) == []


@pytest.mark.parametrize("name", PUBLIC)
def test_the_docstrings_of_a_public_name_use_the_words_of_the_field(name):
    """What the reference shows of a name has no private word and one spelling of each word."""
    module, _, attribute = name.rpartition(".")
    state = random.getstate()
    public = getattr(importlib.import_module(module), attribute)
    random.setstate(state)  # what other packages draw when they are imported is theirs
    own = [public]
    if inspect.isclass(public):
        own += [part for key, part in vars(public).items() if not key.startswith("_")]
    text = "\n".join(inspect.getdoc(part) or "" for part in own if not isinstance(part, str))
    assert avoided_in(prose_of(re.sub(r"^ *>>>.*", "", text, flags=re.MULTILINE))) == []


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The lamps age.", "lighting"),
        ("It optimises the pixels.", "the spelling with z"),
        ("Layouts of industrial sets", "dataset"),
        ("# a comment with another color", "colour"),
    ],
)
def test_a_private_word_is_found(text, right):
    """A private word is reported, with what to write instead."""
    [found] = avoided_in(prose_of(text))
    assert found.endswith(f"write {right}")


@pytest.mark.parametrize(
    "text",
    [
        "Solar cells, a training set, grains of steel, normal images, the image optimizer",
        "`--host` and [pages](https://example.org/color)",
        "```py\nfrom styleaug.hosts import color\n```",
    ],
)
def test_words_that_are_right_and_code_pass(text):
    """Terms of the field and names in code raise no alarm."""
    assert avoided_in(prose_of(text)) == []


@pytest.mark.parametrize(
    ("page", "end", "most"),
    [("README.md", "## Reference", 900), ("docs/explanation/robustness.md", None, 700)],
)
def test_a_page_for_the_first_minute_is_short(page, end, most):
    """Words, and figures, with those of tables and code, up to the part for reference."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert end is None or end in text
    words = (text.partition(end)[0] if end else text).split()
    assert sum(any(map(str.isalnum, word)) for word in words) <= most
