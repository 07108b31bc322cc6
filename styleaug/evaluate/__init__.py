"""How robust a detector is, and what an augmentation gains: corruptions, shifts, experiments."""

from styleaug.evaluate.bench import BenchReport, bench
from styleaug.evaluate.report import write_report
from styleaug.evaluate.robustness import Robustness, adapt_batchnorm, evaluate

__all__ = ["BenchReport", "Robustness", "adapt_batchnorm", "bench", "evaluate", "write_report"]
