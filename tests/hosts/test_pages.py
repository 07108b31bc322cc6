"""The pages of ``docs/how-to`` about host frameworks must run, and really restyle images.

They run on drawn parts, or on a copy of the folder that STYLEAUG_PARTS names, laid out alike.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from parts import draw_parts

FOLDER = Path(__file__).parents[2] / "docs" / "how-to"
NEEDS = re.compile(r"^<!-- needs: (.+) -->$", re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}
PAGES = [name for name, text in TEXTS.items() if NEEDS.search(text)]
SLOW = {"anomalib", "ray"}

# Python imports this at the start of each process, workers of all kinds among them: a line is
# written for each batch that apply_stages() has changed.
SITECUSTOMIZE = """
import importlib.util
import os
import sys


class Watch:
    def find_spec(self, name, path=None, target=None):
        if name != "styleaug.stages.apply":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def run_and_watch(module):
            run(module)
            apply_stages = module.apply_stages

            def watched(images, *args, **kwargs):
                out = apply_stages(images, *args, **kwargs)
                if not out.equal(images):
                    with open(os.environ["STYLED"], "a") as file:
                        file.write(f"{os.getpid()} {tuple(out.shape)}\\n")
                return out

            module.apply_stages = watched

        spec.loader.exec_module = run_and_watch
        return spec


sys.meta_path.insert(0, Watch())
"""


def _param(name):
    return pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())


@pytest.mark.parametrize("name", [_param(name) for name in PAGES])
def test_a_page_runs_and_restyles(name, tmp_path):
    for module in NEEDS.search(TEXTS[name])[1].split():
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    if own := os.environ.get("STYLEAUG_PARTS"):
        shutil.copytree(own, tmp_path, dirs_exist_ok=True)
    else:
        draw_parts(tmp_path)
    (tmp_path / "page.py").write_text("\n".join(BLOCK.findall(TEXTS[name])), encoding="utf-8")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
    styled = tmp_path / "styled.txt"
    settings = {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]),
        "STYLED": str(styled),
        # no network, nothing in the user's folders, no more threads than a small machine has
        "HF_HOME": str(tmp_path / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "OMP_NUM_THREADS": "2",
        "RAY_USAGE_STATS_ENABLED": "0",
        "YOLO_CONFIG_DIR": str(tmp_path / "ultralytics"),
        "YOLO_OFFLINE": "1",
    }
    # where it sees pytest, Ultralytics writes its runs among the installed packages
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env=inherited | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert styled.exists(), f"nothing was restyled:\n{done.stdout[-4000:]}"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_needs_modules_has_something_to_run(name):
    assert BLOCK.search(TEXTS[name])
