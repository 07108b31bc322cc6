"""Films: steady from frame to frame, whole from file to file, and never half-written."""

import errno
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from styleaug import Defocus, Restyle, SensorNoise, StyleAugment
from styleaug.augment.plan import Plan
from styleaug.cli import main
from styleaug.video import Keyframe, Restyler, Timeline, film
from styleaug.video.clip import Clip
from styleaug.video.motion import Eye
from styleaug.video.timeline import seconds_of

av = pytest.importorskip("av")


def scene(height=96, width=128, seed=0):
    """A smooth picture with edges, to move over (3, H, W), float."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 12, 16, generator=generator)
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]


def pan(count, step=2, height=96, width=128, seed=0):
    """Frames of a camera that moves to the right by whole pixels."""
    wide = scene(height, width + step * count, seed)
    return [wide[:, :, step * k : step * k + width].contiguous() for k in range(count)]


def write_clip(
    path,
    frames,
    *,
    times=None,
    rate=25,
    sound=False,
    degrees=0,
    codec="libx264",
    pix_fmt="yuv420p",
    options=None,
    unit=10,
):
    """Write frames (3, H, W), float, at times in units of 1 / (unit rate) seconds."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[1:]
        stream.pix_fmt, stream.codec_context.max_b_frames = pix_fmt, 0
        stream.time_base = stream.codec_context.time_base = Fraction(1, unit * rate)
        if degrees:
            stream.set_display_rotation(degrees)
        tone = out.add_stream("aac", rate=16_000, layout="mono") if sound else None
        times = times or [unit * k for k in range(len(frames))]
        for frame, pts in zip(frames, times, strict=True):
            array = (frame * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            picture = av.VideoFrame.from_ndarray(array, "rgb24").reformat(format=pix_fmt)
            picture.pts, picture.time_base, picture.duration = pts, Fraction(1, unit * rate), unit
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
        if tone:
            wave = np.sin(np.arange(16_000 * len(frames) // rate) * 0.2).astype(np.float32)
            for k in range(len(wave) // 1024):
                samples = av.AudioFrame.from_ndarray(
                    wave[None, k * 1024 : k * 1024 + 1024], "fltp", "mono"
                )
                samples.sample_rate, samples.pts = 16_000, k * 1024
                samples.time_base = Fraction(1, 16_000)
                out.mux(tone.encode(samples))
            out.mux(tone.encode(None))
    return path


def told(path):
    """What a film says of itself: times of its frames, packets of its sound, rotation, size."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = list(container.decode(video=0))
        times = [frame.pts * video.time_base for frame in frames]
        size, rotation = (frames[0].height, frames[0].width), frames[0].rotation
        aspect, rate = video.sample_aspect_ratio, video.average_rate
        duration = container.duration
    with av.open(str(path)) as container:
        packets = [
            (float(p.pts * p.time_base), bytes(p))
            for p in container.demux()
            if p.stream.type == "audio" and p.dts is not None
        ]
    return {
        "times": times,
        "sound": packets,
        "rotation": rotation,
        "size": size,
        "aspect": aspect,
        "rate": rate,
        "duration": duration,
    }


def stylize(*words):
    return main(["stylize", *map(str, words), "--device", "cpu", "--pack", "fast"])


def flicker(frames, step):
    """Change between frames of a pan, along it."""
    pairs = pairwise(frames)
    return (
        torch.stack([(b[:, :, :-step] - a[:, :, step:]).square().mean() for a, b in pairs])
        .mean()
        .sqrt()
    )


def restyler(strength=1.0, texture=1.0, **settings):
    augment = StyleAugment([Restyle(pack="fast", strength=strength, texture=texture)])
    plan = augment.draw(1, torch.Generator().manual_seed(5))
    return augment, plan, Restyler(augment, plan, **settings)


def test_first_frame_is_as_the_transform_makes_it():
    augment, plan, film = restyler()
    frame = scene()
    torch.testing.assert_close(film(frame), augment.render(frame[None], plan)[0])


def test_a_film_that_stands_still_stands_still():
    _, _, film = restyler()
    frame = scene()
    first = film(frame)
    for _ in range(4):
        torch.testing.assert_close(film(frame), first, atol=2e-3, rtol=0)


def test_pan_flickers_a_quarter_of_frames_alone():
    augment, plan, film = restyler()
    noise = torch.Generator().manual_seed(0)
    frames = [f + 0.01 * torch.randn(f.shape, generator=noise) for f in pan(16, step=2)]
    frames = [f.clamp(0, 1) for f in frames]
    steady = list(film.over(frames))
    alone = [augment.render(frame[None], plan)[0] for frame in frames]
    own = flicker(frames, 2)
    assert flicker(steady, 2) < 1.5 * own
    assert flicker(steady, 2) < 0.4 * flicker(alone, 2)
    # and not because there is no style left
    apart = torch.stack([(a - b).abs().mean() for a, b in zip(steady, frames, strict=True)])
    assert apart[-1] > 0.7 * apart[0]


def test_a_cut_begins_anew():
    augment, plan, film = restyler()
    other = 1 - scene(seed=7)
    for frame in pan(4):
        film(frame)
    torch.testing.assert_close(film(other), augment.render(other[None], plan)[0])


def test_eye_finds_the_motion_of_a_pan():
    eye = Eye()
    first, second = pan(2, step=3)
    assert eye.see(first[None]) is None
    motion = eye.see(second[None])
    right = motion.flow[0, 0, 10:-10, 10:-14] * 128
    assert abs(float(right.median()) - 3) < 0.5
    assert abs(float(motion.flow[0, 1].median()) * 96) < 0.5
    assert float(motion.same[..., 10:-10, 10:-14].mean()) > 0.95
    moved = motion.moved(first[None])
    inner = (..., slice(10, -10), slice(10, -14))
    assert (moved[inner] - second[None][inner]).abs().mean() < 0.02


def test_frames_of_all_kinds_come_back_as_they_are():
    _, _, film = restyler()
    gray = Image.new("L", (128, 96), 90)
    assert film(gray).mode == "L"
    array = np.full((96, 128, 3), 90, np.uint8)
    out = film(array)
    assert out.dtype == np.uint8
    assert out.shape == array.shape
    assert film(array[..., 0]).shape == (96, 128)
    assert film(torch.rand(1, 96, 128)).shape == (1, 96, 128)
    with pytest.raises(ValueError, match=r"\(C, H, W\)"):
        film(torch.rand(2, 3, 96, 128))


def test_noise_of_the_sensor_stays_unless_asked():
    augment = StyleAugment([SensorNoise(sigma=0.05)])
    plan, frame = augment.draw(1), torch.full((3, 64, 64), 0.5)
    still, new = Restyler(augment, plan), Restyler(augment, plan, new_noise=True)
    assert torch.equal(still(frame), still(frame))
    first, second = new(frame), new(frame)
    assert not torch.equal(first, second)
    assert torch.equal(first, augment.render(frame[None], plan)[0])


def test_memory_can_be_kept_and_taken_over():
    _, _, film = restyler()
    frames = pan(6)
    outs = list(film.over(frames[:3]))
    kept = {name: value.clone() for name, value in film.tensors().items()}
    outs += list(film.over(frames[3:]))
    _, _, other = restyler()
    other.recall(kept)
    for frame, wanted in zip(frames[3:], outs[3:], strict=True):
        assert torch.equal(other(frame), wanted)


def test_no_memory_is_taken_from_a_frame_that_was_not_restyled():
    augment, plan, _ = restyler()
    film = Restyler(
        augment, plan, timeline=Timeline([Keyframe(0, strength=0.0), Keyframe(1, strength=1.0)])
    )
    frames = pan(2)
    assert torch.equal(film(frames[0], 0.0), frames[0])
    torch.testing.assert_close(film(frames[1], 1.0), augment.render(frames[1][None], plan)[0])


@pytest.mark.parametrize("plan", [Plan({}), StyleAugment([Defocus()]).draw(1)])
def test_plan_of_other_stages_is_refused(plan):
    augment, _, _ = restyler()
    with pytest.raises(ValueError, match="one row and of the stages Restyle"):
        Restyler(augment, plan)


def test_timeline_is_linear_between_keyframes():
    _, plan, _ = restyler(strength=0.5)
    code = torch.ones_like(plan["Restyle"].codes[0])
    line = Timeline([Keyframe(4, strength=0.1), Keyframe(2, strength=0.9, style=code)])
    strength = [float(line.at(t, plan)["Restyle"].strength) for t in (0, 1, 2, 3, 4, 9)]
    assert strength == pytest.approx([0.5, 0.7, 0.9, 0.5, 0.1, 0.1])
    start = plan["Restyle"].codes
    torch.testing.assert_close(line.at(1, plan)["Restyle"].codes, (start + 1) / 2)
    assert torch.equal(line.at(3, plan)["Restyle"].codes, code[None])
    assert torch.equal(line.at(3, plan)["Restyle"].texture, plan["Restyle"].texture)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("12.5", 12.5), ("01:15.5", 75.5), ("1:00:01", 3601)]
)
def test_moments(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1:60", "1:2:3:4", "1.5:00", "nan", "inf", ":"])
def test_other_moments_are_refused(text):
    with pytest.raises(ValueError, match="A moment must be"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["1"], "must give a value"),
        (["1", "strenght=1"], "Did you mean 'strength'"),
        (["1", "strength=x"], "must be a number"),
        (["1", "strength=2"], r"in \[0, 1\]"),
        (["1", "strength"], "NAME=VALUE"),
        (["y", "strength=1"], "A moment must be"),
    ],
)
def test_keyframes_that_say_nothing_are_refused(words, said):
    with pytest.raises(ValueError, match=said):
        Keyframe.parse(words, lambda style: torch.zeros(1))


def test_film_keeps_times_sound_rotation_and_aspect(tmp_path):
    times = [0, 10, 35, 40, 41, 80, 90, 130, 140, 150, 151, 200]
    source = write_clip(tmp_path / "in.mp4", pan(12), times=times, sound=True, degrees=90)
    before = source.read_bytes()
    assert stylize(source, "--out", tmp_path / "out.mp4") == 0
    was, now = told(source), told(tmp_path / "out.mp4")
    assert now == was
    assert was["rotation"] != 0
    assert len(was["sound"]) > 5
    assert source.read_bytes() == before
    assert not list(tmp_path.glob(".styleaug*"))


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".avi", ".m4v"])
def test_containers(tmp_path, suffix):
    kind = {"codec": "mpeg4", "unit": 1} if suffix == ".avi" else {}
    source = write_clip(tmp_path / f"in{suffix}", pan(5), **kind)
    assert stylize(source, "--out", tmp_path / "out") == 0
    assert told(tmp_path / f"out/in{suffix}") == told(source)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "height"),
    [
        ("libx264", "yuv420p10le", 96),
        ("mjpeg", "yuvj420p", 96),
        ("ffv1", "gray", 97),
        ("ffv1", "yuv444p", 95),
    ],
)
def test_unchanged_frames_keep_their_colours(tmp_path, codec, pix_fmt, height):
    frames = pan(3, height=height, width=129 if height % 2 else 128)
    source = write_clip(tmp_path / "in.mkv", frames, codec=codec, pix_fmt=pix_fmt)
    words = ["--preset", "material", "--strength", "0"]
    assert stylize(source, "--out", tmp_path / "out.mkv", *words) == 0
    clips = [Clip(path) for path in (source, tmp_path / "out.mkv")]
    pairs = zip(*(clip.read() for clip in clips), strict=True)
    for (old, _), (new, _) in pairs:
        a, b = clips[0].pixels(old), clips[1].pixels(new)
        assert (a - b).abs().mean() < 0.03
        assert abs(float((a - b).mean())) < 0.003  # no darker, no brighter
    assert clips[1].bits == clips[0].bits


def test_copies_and_folders_of_films(tmp_path):
    (tmp_path / "in/a").mkdir(parents=True)
    write_clip(tmp_path / "in/a/x.mp4", pan(3))
    write_clip(tmp_path / "in/y.mp4", pan(3))
    assert stylize(tmp_path / "in", "--out", tmp_path / "out", "--copies", "2") == 0
    found = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.mp4")
    )
    assert found == ["a/x_1.mp4", "a/x_2.mp4", "y_1.mp4", "y_2.mp4"]
    files = {p.read_bytes() for p in (tmp_path / "out").rglob("*.mp4")}
    assert len(files) == 4
    rows = (tmp_path / "out/manifest.csv").read_text().splitlines()
    assert len(rows) == 5


def test_rerun_keeps_what_is_there(tmp_path, capsys):
    source = write_clip(tmp_path / "in.mp4", pan(3))
    assert stylize(source, "--out", tmp_path / "out.mp4") == 0
    made = (tmp_path / "out.mp4").stat().st_mtime_ns
    assert stylize(source, "--out", tmp_path / "out.mp4") == 0
    assert (tmp_path / "out.mp4").stat().st_mtime_ns == made
    assert stylize(source, "--out", tmp_path / "out.mp4", "--at", "0", "strength=0") == 2
    assert "made with another at" in capsys.readouterr().err
    assert (
        stylize(source, "--out", tmp_path / "out.mp4", "--at", "0", "strength=0", "--overwrite")
        == 0
    )
    assert (tmp_path / "out.mp4").stat().st_mtime_ns != made


def test_killed_film_goes_on_and_ends_in_the_same_file(tmp_path):
    source = write_clip(tmp_path / "in.mp4", pan(40, step=1, height=48, width=64), sound=True)
    code = (
        "import sys; from styleaug.video import film; film.PART = 6\n"
        "import torch; torch.set_num_threads(1)\n"
        "from styleaug.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def run(out):
        words = ["stylize", source, "--out", out, "--device", "cpu", "--pack", "fast"]
        return subprocess.Popen([sys.executable, "-c", code, *map(str, words)])

    assert run(tmp_path / "whole.mp4").wait() == 0
    other = tmp_path / "killed"
    other.mkdir()
    kills = 0
    for wanted in (1, 2, 3, 5, 6):
        process = run(other / "whole.mp4")
        folder = other / ".styleaug-whole.mp4.parts"
        while process.poll() is None and len(list(folder.glob("*.safetensors"))) < wanted:
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 3
    assert run(other / "whole.mp4").wait() == 0
    assert (other / "whole.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert sorted(p.name for p in other.iterdir()) == [
        "manifest.csv",
        "manifest.jsonl",
        "whole.mp4",
    ]


@pytest.mark.parametrize("frames", [8, 12])
def test_a_full_disk_costs_no_part_that_is_done(tmp_path, monkeypatch, caplog, frames):
    source = write_clip(tmp_path / "in.mp4", pan(frames, height=48, width=64))
    monkeypatch.setattr(film, "PART", 4)
    assert stylize(source, "--out", tmp_path / "whole.mp4") == 0
    whole = (tmp_path / "whole.mp4").read_bytes()
    out = tmp_path / "out/whole.mp4"
    with monkeypatch.context() as full:
        full.setattr(film, "join", raise_(OSError(errno.ENOSPC, "No space left on device")))
        assert stylize(source, "--out", out) == 1
    assert "No space left" in caplog.text
    parts = film.parts_folder(out)
    assert len(list(parts.glob("*.safetensors"))) == frames // 4
    # nothing is restyled again
    monkeypatch.setattr(film, "Encoder", raise_(AssertionError("a frame was encoded again")))
    assert stylize(source, "--out", out) == 0
    assert out.read_bytes() == whole
    assert not parts.exists()


def raise_(error):
    def call(*arguments, **settings):
        raise error

    return call


HARDWARE = [c for c in ("h264_nvenc", "h264_qsv", "h264_v4l2m2m") if c in av.codecs_available]


@pytest.mark.skipif(not HARDWARE or torch.cuda.is_available(), reason="no encoder that fails")
def test_an_encoder_that_does_not_work_here_is_a_sentence(tmp_path, caplog):
    source = write_clip(tmp_path / "in.mp4", pan(3))
    assert stylize(source, "--out", tmp_path / "out/a.mp4", "--codec", HARDWARE[0]) == 1
    assert "codec must be an encoder that works on this machine" in caplog.text
    assert not list((tmp_path / "out").glob(".styleaug*"))


def test_numbered_frames_are_a_film(tmp_path):
    (tmp_path / "in").mkdir()
    for k, frame in enumerate(pan(12)):
        array = (frame * 255).to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(array).save(tmp_path / f"in/f{k}.png")  # f10 after f9
    words = [tmp_path / "in", "--out", tmp_path / "out", "--steady", "--preset", "material"]
    assert stylize(*words) == 0
    frames = [np.asarray(Image.open(tmp_path / f"out/f{k}.png")) for k in range(12)]
    # a frame out of order would differ from its neighbours by more
    steps = [np.abs(a[:, 2:].astype(int) - b[:, :-2]).mean() for a, b in pairwise(frames)]
    assert max(steps) < 3 * min(steps) + 2
    (tmp_path / "out/f5.png").unlink()
    assert stylize(*words) == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/f5.png")), frames[5])


@pytest.fixture
def sources(tmp_path):
    clip = write_clip(tmp_path / "whole.mp4", pan(30), sound=True)
    mkv = write_clip(tmp_path / "whole.mkv", pan(30), options={"g": "5"})
    data = clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    (tmp_path / "cut.mkv").write_bytes(mkv.read_bytes()[: len(mkv.read_bytes()) // 2])
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty.mp4").write_bytes(b"")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n"
    (tmp_path / "playlist.mp4").write_text(playlist)
    (tmp_path / "list.mkv").write_text(f"ffconcat version 1.0\nfile {clip}\n")
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        tone = out.add_stream("aac", rate=16_000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        samples.sample_rate = 16_000
        out.mux(tone.encode(samples))
        out.mux(tone.encode(None))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cut.mp4", "must be a film that FFmpeg reads"),
        ("cut.mkv", "must be whole, but ends after"),
        ("text.mp4", "must be a film that FFmpeg reads"),
        ("empty.mp4", "must be a film that FFmpeg reads"),
        ("playlist.mp4", "must be a film that FFmpeg reads"),
        ("list.mkv", "must be a film that FFmpeg reads"),
        ("sound.mp4", "must have a video stream, but has none"),
    ],
)
def test_files_that_are_no_films_are_skipped_with_a_sentence(sources, name, said, caplog):
    assert stylize(sources / name, "--out", sources / "out") == 1
    (line,) = [r.getMessage() for r in caplog.records if "skipped" in r.getMessage()]
    assert re.search(said, line)
    assert not list((sources / "out").rglob("*.m*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--codec", "libx265000"], "codec must be a video encoder"),
        (["--codec", "aac"], "codec must be a video encoder"),
        (["--at", "0:0:x", "strength=1"], "A moment must be"),
        (["--at", "1", "style=nonesuch"], "styles must be 'all', tags or names"),
        (["--style-to", "nonesuch"], "styles must be 'all', tags or names"),
        (["--preset", "sensor", "--at", "1", "strength=1"], "has no Restyle"),
        (["--copies", "2", "--out", "OUT.mp4"], "must be a folder for several films"),
    ],
)
def test_options_that_cannot_be_met_are_one_sentence(sources, words, said, capsys):
    words = [str(sources / "OUT.mp4") if word == "OUT.mp4" else word for word in words]
    out = [] if "--out" in words else ["--out", sources / "out"]
    assert stylize(sources / "whole.mp4", *out, *words) == 2
    assert said in capsys.readouterr().err


def test_options_of_films_are_none_of_pictures(tmp_path, capsys):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    assert stylize(tmp_path / "a.png", "--out", tmp_path / "out", "--style-to", "rust") == 2
    assert "--style-to is for films" in capsys.readouterr().err
    write_clip(tmp_path / "b.mp4", pan(2))
    assert stylize(tmp_path / "a.png", tmp_path / "b.mp4", "--out", tmp_path / "out") == 2
    assert "must be of one kind" in capsys.readouterr().err


def test_two_runs_at_one_film_are_refused(tmp_path, caplog):
    source = write_clip(tmp_path / "in.mp4", pan(2))
    from styleaug.video.film import Parts, parts_folder

    with Parts(parts_folder(tmp_path / "out.mp4"), {}):
        assert stylize(source, "--out", tmp_path / "out.mp4") == 1
    assert "by two runs at a time" in caplog.text


def test_missing_packages_are_named(monkeypatch, tmp_path, capsys):
    from styleaug.video import clip, motion

    source = write_clip(tmp_path / "in.mp4", pan(2))
    for name, call in (("av", clip._pyav), ("cv2", motion._opencv)):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            call.cache_clear()
            assert stylize(source, "--out", tmp_path / "out.mp4") != 0
        call.cache_clear()
    assert "styleaug[video]" in capsys.readouterr().err


def test_lighting_alone_looks_for_no_motion(monkeypatch):
    monkeypatch.setattr("styleaug.video.restyler.Eye", raise_(AssertionError("looked for motion")))
    augment = StyleAugment("lighting", p=1)
    plan, frame = augment.draw(1), scene()
    made = Restyler(augment, plan)
    assert torch.equal(made(frame), augment.render(frame[None], plan)[0])
    made.recall(made.tensors())


def test_seeds_of_new_noise_stay_in_range():
    augment = StyleAugment([SensorNoise(sigma=0.05)])
    plan = augment.draw(1)
    high = replace(plan["SensorNoise"], seed=torch.tensor([2**31 - 1]))
    film = Restyler(augment, Plan({"SensorNoise": high}), new_noise=True)
    frame = torch.full((3, 32, 32), 0.5)
    assert not torch.equal(film(frame), film(frame))
