"""Procedural pictures of industrial finishes."""
