"""How robust a detector is, and what an augmentation gains: corruptions, shifts, experiments."""

from styleaug.evaluate.benchmark import BenchReport, bench
from styleaug.evaluate.evaluation import evaluate
from styleaug.evaluate.newline import TargetReport, bench_target, read_target
from styleaug.evaluate.report import write_report
from styleaug.evaluate.robustness import Robustness

__all__ = [
    "BenchReport",
    "Robustness",
    "TargetReport",
    "bench",
    "bench_target",
    "evaluate",
    "read_target",
    "write_report",
]
