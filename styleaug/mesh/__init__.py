"""Textures of 3D models: restyled without seams, while all the rest stays as it is."""

from styleaug.mesh.scene import restyle

__all__ = ["restyle"]
