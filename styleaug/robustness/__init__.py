"""How robust a detector is: scores under corruptions and industrial shifts, for any model."""

from styleaug.robustness.evaluation import Robustness, evaluate

__all__ = ["Robustness", "evaluate"]
