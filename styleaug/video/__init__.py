"""Film: styles that are steady over time, from frame to frame and from file to file."""

from styleaug.video.restyler import Restyler
from styleaug.video.timeline import Keyframe, Timeline

__all__ = ["Keyframe", "Restyler", "Timeline"]
