"""Stages: each changes one thing in images, draws apart from applying, and is useful alone."""
