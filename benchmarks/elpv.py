"""The solar cells of the package ``elpv-dataset``, as a labelled dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from styleaug.datasets import DefectSet, Sample
from styleaug.errors import MissingExtraError

NOTES = (
    "Images: ELPV (Buerhop-Lutz et al. 2018; Deitsch et al. 2019), electroluminescence images of "
    "solar cells, CC BY-NC-SA 4.0.",
    "Functional is a defect probability of 0, defective 2/3 or 1; cells with 1/3 are left out, "
    "because the experts were not sure of them.",
    "Cells of one module may lie in both parts: accuracies are kinder than on new modules.",
)
CRYSTALS = ("mono", "poly")


def read_elpv(crystal: str | None = None) -> DefectSet:
    """The 2,329 cells that experts were sure of, as functional or defective.

    Its four defect probabilities say how sure they were. The 295 cells with 1/3, "functional, not
    sure", are left out: their labels are nearly a coin toss, and such noise hides the difference
    between two policies.

    Args:
        crystal: "mono" or "poly", to leave out cells of the other kind.

    Raises:
        MissingExtraError: if the package is not installed.
    """
    try:
        import elpv_dataset
    except ImportError as error:
        raise MissingExtraError("elpv-dataset", "demo") from error
    folder = Path(elpv_dataset.__file__).parent / "data"
    types = [("path", "U19"), ("probability", float), ("crystal", "U4")]
    cells = np.genfromtxt(folder / "labels.csv", dtype=types)
    samples = tuple(
        Sample(folder / cell["path"], "defective" if cell["probability"] > 0.5 else "functional")
        for cell in cells
        if (cell["probability"] < 0.01 or cell["probability"] > 0.5)
        and crystal in (None, cell["crystal"])
    )
    return DefectSet("elpv", ("defective", "functional"), samples, "elpv")
