"""What StyleAugment does to images of defects, and what a detector gains from it."""
