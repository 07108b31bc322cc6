"""Restyling by optimisation of the pixels: slow, and for any style."""

from styleaug.gatys.config import GatysConfig, GatysProgress, GatysResult
from styleaug.gatys.restyle import gatys

__all__ = ["GatysConfig", "GatysProgress", "GatysResult", "gatys"]
