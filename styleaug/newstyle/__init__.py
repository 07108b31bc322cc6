"""New styles for a pack: read off a picture, fitted to it, or left to Gatys, by measurement."""

from styleaug.newstyle.learn import NewStyle, fit_style, learn_style
from styleaug.newstyle.rows import add_styles, with_styles

__all__ = ["NewStyle", "add_styles", "fit_style", "learn_style", "with_styles"]
