"""Adapters to other frameworks, one file each; none is imported unless it is asked for."""
