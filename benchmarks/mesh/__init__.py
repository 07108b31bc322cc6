"""Textures of 3D models: seams, time and memory, a sheet, and what they teach a detector."""
