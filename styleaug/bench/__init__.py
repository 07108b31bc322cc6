"""What StyleAugment gains and costs on one's own labelled images, against other augmentations."""

from styleaug.bench.run import BenchReport, bench

__all__ = ["BenchReport", "bench"]
