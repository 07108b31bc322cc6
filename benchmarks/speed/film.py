"""How fast films are restyled, and in how much memory.

    pip install "styleaug[video]"
    python -m benchmarks.speed.film --clip FILE

``styleaug stylize`` on the clip, decoding and encoding included: frames per second by its own clock
from first to last frame, and the process's largest resident memory; for the clip as it is, and for
one of several times its length, which should need no more.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from styleaug.augment.edit import changed
from styleaug.augment.presets import preset
from styleaug.augment.transform import StyleAugment
from styleaug.video import Restyler
from styleaug.video.clip import Clip, Encoder
from styleaug.video.film import restyled_film

PRESETS = ("material", "default", "lighting")


def longer(clip: Clip, times: int, path: Path) -> None:
    """The clip several times over."""
    with Encoder(path, clip, "libx264") as writer:
        end = 0
        for _ in range(times):
            begin = end
            for frame, _ in clip.read():
                pixels = clip.pixels(frame)
                frame.pts += begin
                writer.add(pixels, frame)
                end = frame.pts + max(1, frame.duration or 0)


def restyle(path: Path, name: str, pack: str, target: Path) -> tuple[float, float]:
    """Frames per second after the first part's first frame, and the peak of memory in MiB."""
    chosen = preset(name, pack=pack)
    augment = StyleAugment([changed(stage, p=1.0) for stage in chosen.stages])
    clip, moments = Clip(path), list[float]()

    def advance(frames: int) -> None:
        if frames:
            moments.append(time.perf_counter())

    with restyled_film(clip, target, Restyler(augment, augment.draw(1)), {}, advance=advance):
        pass
    rate = (len(moments) - 1) / (moments[-1] - moments[0])
    return rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--packs", nargs="+", default=["base", "fast"])
    parser.add_argument("--longer", type=int, default=4, help="times")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "speed" / "film.json")
    options = parser.parse_args(arguments)
    clip, rows = Clip(options.clip), []
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.nut"
        longer(clip, options.longer, long)
        contestants = [(p, name, 1) for p in options.packs for name in PRESETS[:2]]
        contestants += [(options.packs[0], PRESETS[2], 1)]
        contestants += [(options.packs[-1], "material", options.longer)]
        for pack, name, times in contestants:
            found = []
            for _ in range(options.rounds if times == 1 else 1):
                path = options.clip if times == 1 else long
                # a process each: the peak of memory is the process's
                with get_context("spawn").Pool(1) as pool:
                    target = Path(folder) / "out.mp4"
                    found.append(pool.apply(restyle, (path, name, pack, target)))
            row = {
                "preset": name,
                "pack": pack,
                "frames": clip.frames * times,
                **quartiles([rate for rate, _ in found]),
                "mib": max(peak for _, peak in found),
            }
            rows.append(row)
            print(
                f"{name:10} {pack:6} x{times}: {row['median']:.1f} frames/s, {row['mib']:.0f} MiB"
            )
    meta = {
        "name": "film",
        "purpose": "How fast films are restyled, and in how much memory.",
        **provenance("benchmarks.speed.film", arguments, packages=("av", "opencv-python-headless")),
        "size": list(clip.size),
        "rounds": options.rounds,
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
