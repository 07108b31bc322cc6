"""Check that a wheel and a source distribution hold what they must, and nothing else.

python tests/wheel/contents.py dist
"""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSION = re.search(
    r'^__version__ = "(.+)"', (ROOT / "styleaug/__init__.py").read_text("utf-8"), re.MULTILINE
)[1]
# Built, fetched, or under licences of its own.
JUNK = re.compile(
    r"(^|/)(\.git|\.venv[^/]*|__pycache__|node_modules|site|dist|build|runs|demo-out)/"
    r"|^docs/(assets|styles/sheets|try/(vendor|model))/|\.py[cod]$"
)
MOST = {"wheel": 60e6, "sdist": 70e6}
"""Bytes; PyPI takes 100 MB, and what grows beyond these has grown by mistake."""


def files_below(folder: str) -> set[str]:
    """Files of the checkout, as paths below its root."""
    found = (p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(ROOT).as_posix() for p in found}


def wrong_in_wheel(names: set[str]) -> list[str]:
    """What a wheel lacks, and what it must not hold."""
    info = f"styleaug-{VERSION}.dist-info"
    weights = {f for f in files_below("pretrained") if not f.endswith(".py")}
    wanted = {f"styleaug/{f}" for f in weights} | files_below("styleaug")
    wanted |= {f"{info}/licenses/{name}" for name in ("LICENSE", "NOTICE")}
    others = {n for n in names - wanted if not n.startswith(f"{info}/")}
    return [f"lacks {n}" for n in sorted(wanted - names)] + [f"holds {n}" for n in sorted(others)]


def wrong_in_sdist(names: set[str]) -> list[str]:
    """What a source distribution lacks, and what it must not hold."""
    wanted = {"pyproject.toml", "README.md", "LICENSE", "NOTICE", "CITATION.cff", "Makefile"}
    wanted |= files_below("styleaug") | files_below("pretrained") | files_below("tests")
    junk = sorted(n for n in names if JUNK.search(n))
    return [f"lacks {n}" for n in sorted(wanted - names)] + [f"holds {n}" for n in junk]


def main(folder: Path) -> int:
    """Check both and print their sizes; the exit status."""
    [wheel] = folder.glob(f"styleaug-{VERSION}-py3-none-any.whl")
    [sdist] = folder.glob(f"styleaug-{VERSION}.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {n for n in archive.namelist() if not n.endswith("/")}
    with tarfile.open(sdist) as archive:
        in_sdist = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    wrong = [f"{wheel.name} {w}" for w in wrong_in_wheel(in_wheel)]
    wrong += [f"{sdist.name} {w}" for w in wrong_in_sdist(in_sdist)]
    for kind, path, names in (("wheel", wheel, in_wheel), ("sdist", sdist, in_sdist)):
        size = path.stat().st_size
        print(f"{path.name}: {size / 1e6:.1f} MB, {len(names)} files")
        if size > MOST[kind]:
            wrong.append(f"{path.name} is larger than {MOST[kind] / 1e6:.0f} MB")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
