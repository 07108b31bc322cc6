"""Measurements behind the docs: see README.md in this folder."""
