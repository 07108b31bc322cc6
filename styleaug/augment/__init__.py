"""``StyleAugment``: stages drawn together, by a preset or by hand, and what it drew as a plan."""
