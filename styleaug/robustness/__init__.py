"""How robust a detector is: scores under corruptions and industrial shifts, for any model."""

from styleaug.robustness.evaluation import Robustness, evaluate, readapted
from styleaug.robustness.report import write_report

__all__ = ["Robustness", "evaluate", "readapted", "write_report"]
