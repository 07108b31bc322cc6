"""The studio: a local page on which a preset is tuned on one's own parts."""
