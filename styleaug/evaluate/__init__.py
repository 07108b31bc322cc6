"""How robust a detector is, and what an augmentation gains: corruptions, shifts, experiments."""
