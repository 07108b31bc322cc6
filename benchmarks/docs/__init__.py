"""Tables and figures of README, docs and cards, computed from ``benchmarks/results``."""
