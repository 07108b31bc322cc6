"""Where styles come from: pictures that are encoded or fitted, and procedural finishes."""

from styleaug.styles.fit import fit_style
from styleaug.styles.learn import NewStyle, learn_style
from styleaug.styles.rows import add_styles, with_styles

__all__ = ["NewStyle", "add_styles", "fit_style", "learn_style", "with_styles"]
