"""The Albumentations twin, under 2.0.8 and under AlbumentationsX: whichever is installed here."""

import copy
import inspect
import json
import multiprocessing
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from helpers import FULL, pictures

A = pytest.importorskip("albumentations")
yaml = pytest.importorskip("yaml")

import styleaug.albumentations  # noqa: E402
import styleaug.hosts.albumentations as host  # noqa: E402
from styleaug import Defocus, Relight, Restyle, SensorNoise  # noqa: E402
from styleaug import StyleAugment as TorchTwin  # noqa: E402
from styleaug.augment.presets import preset  # noqa: E402
from styleaug.hosts.albumentations import StyleAugment  # noqa: E402

X = hasattr(A.BasicTransform, "sample_parameters")
WHITE = {np.uint8: 255, np.uint16: 65535}
"""White, by dtype; else it is 1."""
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning",
    "ignore:Got processor for bboxes, but no transform:UserWarning",
)
SECONDS = 120


def picture(*shape, dtype=np.uint8, seed=0):
    array = pictures(*shape, seed=seed).numpy()
    if dtype == np.uint8:
        return array
    return array.astype(dtype) * 257 if dtype == np.uint16 else (array / 255).astype(dtype)


@pytest.fixture
def restyle(pack_file):
    """``restyle(...)``: the transform, with a tiny pack, and ``Restyle`` alone at full."""

    own = inspect.signature(StyleAugment).parameters

    def make(*further, p=1, **settings):
        given = {name: settings.pop(name) for name in tuple(settings) if name in own}
        stages = [Restyle(**{"pack": str(pack_file), **FULL, **settings}), *further]
        return StyleAugment(stages, p=p, **given)

    return make


@pytest.fixture
def make(restyle):
    """``make(...)``: the same with every other stage, too."""
    every = [Relight(strength=1), Defocus(sigma=4), SensorNoise(sigma=0.09)]
    return lambda **settings: restyle(*every, **settings)


def run(transform, seed=0, **data):
    return A.Compose([transform], seed=seed)(**data)


def boxed(transform, **settings):
    form = {"coord_format" if X else "format": "pascal_voc"}
    params = A.BboxParams(**form, label_fields=["labels"], **settings)
    return A.Compose([A.NoOp(), transform], bbox_params=params, seed=0)


SHAPES = [(17, 41), (17, 41, 1), (17, 41, 2), (17, 41, 3), (17, 41, 4), (17, 41, 7), (4, 5, 3)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images_keep_shape_and_dtype_and_change(make, shape, dtype):
    image = picture(*shape, dtype=dtype)
    before = image.copy()
    out = run(make(), image=image)["image"]
    assert (out.shape, out.dtype) == (shape, dtype)
    assert out.flags.c_contiguous
    assert np.abs(out.astype(float) - image).max() > 0.01 * WHITE.get(dtype, 1)
    assert np.array_equal(image, before)
    assert not np.shares_memory(out, image)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dtypes_agree(make, shape):
    whole = run(make(), image=picture(*shape))["image"]
    fraction = run(make(), image=picture(*shape, dtype=np.float32))["image"]
    fine = run(make(), image=picture(*shape, dtype=np.uint16))["image"]
    np.testing.assert_allclose(whole / 255, fraction, atol=0.005)
    np.testing.assert_allclose(fine / 65535, fraction, atol=0.002)


@pytest.mark.parametrize(("channels", "colours"), [(2, 1), (4, 3), (7, 3)])
def test_channels_beyond_the_colours_come_back_as_they_are(make, channels, colours):
    image = picture(20, 30, channels)
    out = run(make(), image=image)["image"]
    assert np.array_equal(out[..., colours:], image[..., colours:])
    alone = run(make(), image=np.ascontiguousarray(image[..., :colours]))["image"]
    assert np.array_equal(out[..., :colours], alone)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::-1],
        lambda x: x[:, ::2],
        lambda x: np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0),
        lambda x: np.asfortranarray(x),
    ],
)
def test_views_and_read_only_arrays_will_do(make, view):
    image = view(picture(20, 30, 3))
    expected = run(make(), image=np.ascontiguousarray(image))["image"]
    image.setflags(write=False)
    before = image.copy()
    out = A.Compose([make()], seed=0, strict=True)(image=image)["image"]
    assert np.array_equal(out, expected)
    assert np.array_equal(image, before)
    assert out.flags.c_contiguous


def test_bgr_is_rgb_turned_round(make):
    image = picture(20, 30, 3)
    turned = np.ascontiguousarray(image[..., ::-1])
    out = run(make(channel_order="bgr"), image=turned)["image"]
    assert np.array_equal(out[..., ::-1], run(make(), image=image)["image"])


@pytest.mark.parametrize("shape", [(5, 16, 20), (5, 16, 20, 1), (5, 16, 20, 3), (40, 16, 20, 3)])
def test_stacks_and_volumes_share_one_style(make, shape):
    stack = np.repeat(picture(1, *shape[1:]), shape[0], axis=0)
    for key in ("images", "volume"):
        out = run(make(), **{key: stack})[key]
        assert (out.shape, out.dtype) == (shape, np.uint8)
        # in half precision, an image may come out by a level differently in another batch
        assert np.abs(out.astype(int) - out[:1]).max() <= 1
    one = run(make(), image=stack[0])["image"]
    assert np.abs(one.astype(int) - out[0]).max() <= 1


def test_several_volumes(make):
    assert run(make(), volumes=picture(2, 3, 16, 20, 3))["volumes"].shape == (2, 3, 16, 20, 3)


def test_a_stack_is_rendered_in_one_call(make, monkeypatch):
    calls = []
    render = TorchTwin.render
    monkeypatch.setattr(
        TorchTwin, "render", lambda *a, **k: calls.append(len(a[1])) or render(*a, **k)
    )
    run(make(), images=picture(8, 16, 16, 3))
    assert calls == [8]
    calls.clear()
    run(make(), images=picture(70, 16, 16, 3))
    assert calls == [32, 32, 6]


def test_further_targets_share_the_style(make):
    image = picture(20, 30, 3)
    compose = A.Compose([make()], additional_targets={"image2": "image"}, seed=0)
    out = compose(image=image, image2=image.copy())
    assert np.array_equal(out["image"], out["image2"])


def test_masks_boxes_and_keypoints_come_back_as_they_are(make):
    mask = np.eye(20, 30, dtype=np.uint8)
    form = "coord_format" if X else "format"
    compose = A.Compose(
        [A.NoOp(), make(protect=1)],
        bbox_params=A.BboxParams(**{form: "pascal_voc"}, label_fields=["labels"]),
        keypoint_params=A.KeypointParams(**{form: "xy"}),
    )
    boxes, points = [[1.0, 2.0, 11.0, 12.0]], [[3.0, 4.0]]
    out = compose(image=picture(20, 30, 3), mask=mask, bboxes=boxes, labels=[7], keypoints=points)
    assert np.array_equal(out["mask"], mask)
    np.testing.assert_allclose(out["bboxes"], boxes, atol=1e-5)
    np.testing.assert_allclose(out["keypoints"], points)
    assert list(out["labels"]) == [7]


def changed(image, out):
    return np.abs(out.astype(int) - image).max(-1) > 0


@pytest.mark.parametrize("kind", ["mask", "mask of channels", "masks", "mask2", "bboxes"])
def test_protect_reads_masks_and_boxes(restyle, kind):
    image, mask = picture(60, 90, 3), np.zeros((60, 90), np.uint8)
    mask[20:30, 5:25] = 1
    transform = restyle(protect=1)
    if kind == "bboxes":
        data = {"bboxes": [[5, 20, 25, 30]], "labels": [0]}
        out = boxed(transform)(image=image, **data)["image"]
    else:
        key = "mask" if kind == "mask of channels" else kind
        value = {"mask of channels": mask[..., None], "masks": [mask * 0, mask]}.get(kind, mask)
        value = np.stack(value) if kind == "masks" else value
        further = {"mask2": "mask"} if kind == "mask2" else None
        compose = A.Compose([A.NoOp(), transform], additional_targets=further, seed=0)
        # AlbumentationsX wants the name that a further target goes by, too
        out = compose(image=image, **{"mask": mask * 0, key: value})["image"]
    assert not changed(image, out)[mask > 0].any()
    assert changed(image, out)[:, 60:].mean() > 0.9


@pytest.mark.skipif(not X, reason="2.0.8 knows no rotated boxes")
def test_protect_covers_rotated_boxes(restyle):
    image = picture(80, 80, 3)
    # 60 x 10 about the centre, upright after a quarter turn
    out = boxed(restyle(protect=1), bbox_type="obb")(
        image=image, bboxes=[[10, 35, 70, 45, 90.0]], labels=[0]
    )["image"]
    assert not changed(image, out)[10:70, 35:45].any()
    assert changed(image, out)[38:42, 2:12].any()


def test_protect_says_when_it_has_nothing_to_protect(make):
    with pytest.warns(UserWarning, match="protect has no effect.*masks or bboxes") as caught:
        run(make(protect=1), image=picture(20, 30, 3))
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"bboxes": np.array([[5.0, 20, 25, 30]])}, "scaled.*bbox_params"),
        ({"mask": np.zeros((20, 31))}, r"\(20, 30\).*'mask'.*\(20, 31\)"),
    ],
)
def test_labels_that_cannot_protect_are_refused(make, data, words):
    with pytest.raises(ValueError, match=words):
        make(protect=1)(image=picture(20, 30, 3), **data)


@pytest.mark.parametrize("protect", [0, 1])
def test_replays_are_exact(make, protect):
    compose = A.ReplayCompose([A.HorizontalFlip(p=0.5), make(protect=protect, mix=0.5)])
    image, mask = picture(20, 30, 3), np.eye(20, 30, dtype=np.uint8)
    for _ in range(4):
        first = compose(image=image, mask=mask)
        saved = json.loads(json.dumps(first["replay"]))
        again = A.ReplayCompose.replay(saved, image=image, mask=mask)
        assert np.array_equal(first["image"], again["image"])


def test_a_replay_with_protection_wants_the_recorded_size(make):
    compose = A.ReplayCompose([make(protect=1)])
    saved = compose(image=picture(20, 30, 3), mask=np.eye(20, 30))["replay"]
    with pytest.raises(ValueError, match=r"recorded size \(20, 30\).*\(30, 30\)"):
        A.ReplayCompose.replay(saved, image=picture(30, 30, 3))


def test_parameters_are_small_and_json(make):
    saved = A.ReplayCompose([make()])(image=picture(20, 30, 3))["replay"]["transforms"][0]
    plan = (saved["params"]["params"] if X else saved["params"])["plan"]
    assert len(json.dumps(plan)) < 20_000
    assert plan["Restyle"]["styles"][0].startswith("random-")
    assert list(plan) == ["Restyle", "Relight", "Defocus", "SensorNoise"]


WAYS = {
    "a name": lambda: "masks",
    "a preset": lambda: preset("masks"),
    "stages": lambda: preset("masks").stages,
    "settings of stages": lambda: [stage.to_dict() for stage in preset("masks").stages],
    "a transform": lambda: TorchTwin("masks"),
    "its settings": lambda: TorchTwin("masks").to_dict(),
    "settings from YAML": lambda: yaml.safe_load(yaml.safe_dump(TorchTwin("masks").to_dict())),
}


@pytest.mark.parametrize("way", WAYS)
def test_stages_may_be_given_in_many_ways(way):
    transform = StyleAugment(WAYS[way]())
    expected = {**TorchTwin("masks").to_dict(), "p": 1.0}  # the coin is Albumentations'
    if way in ("stages", "settings of stages"):
        assert (transform.p, transform.schedule) == (1.0, None)
        expected["schedule"] = None
    else:
        assert (transform.p, transform.schedule) == (0.7, "gradual")
    assert transform._augment.to_dict() == expected
    assert transform.stages == ("masks" if way == "a name" else expected["stages"])


def test_what_is_given_beside_a_transform_goes_before_its_own():
    given = TorchTwin("masks", p=0.4, protect=0.5)
    kept, changed = StyleAugment(given), StyleAugment(given, protect=0.0, schedule={}, p=0.1)
    assert (kept.p, kept.protect, kept.schedule) == (0.4, 0.5, "gradual")
    assert (changed.p, changed.protect, changed.schedule) == (0.1, 0.0, {})
    assert given.p == 0.4


def test_stages_of_a_pack_in_memory_are_refused_with_advice(pack):
    with pytest.raises(ValueError, match="Save the pack, and give its path"):
        StyleAugment([Restyle(pack=pack)])


def test_a_picture_is_a_style_by_its_path(restyle, tmp_path, small_references):
    path = tmp_path / "reference.png"
    Image.fromarray(picture(40, 40, 3)).save(path)
    saved = A.to_dict(restyle(styles=path))
    again = A.from_dict(json.loads(json.dumps(saved)))
    compose = A.ReplayCompose([again])
    replay = compose(image=picture(20, 30, 3))["replay"]["transforms"][0]["params"]
    assert (replay["params"] if X else replay)["plan"]["Restyle"]["styles"] == [str(path)]


ARGUMENTS = ("stages", "protect", "channel_order", "schedule", "log", "p", "bits")
EVERYTHING = {
    "styles": ["random-1", "random"],
    "mix": 0.25,
    "jitter": 0.5,
    "strength": (0.25, 0.5),
    "texture": 0.5,
    "working_size": 64,
    "protect": 0.5,
    "channel_order": "bgr",
    "schedule": {"p": [(0, 1)], "Restyle": [(0, 0.5), (1, 1)]},
    "p": 0.25,
    "bits": 12,
}


@pytest.mark.parametrize("given", ["stages", "a preset"])
@pytest.mark.parametrize("form", ["dict", "json", "yaml", "repr", "pickle", "deepcopy"])
def test_a_pipeline_survives_being_written(make, tmp_path, form, given):
    log = tmp_path / "styles.jsonl"
    transform = make(**EVERYTHING, log=log)
    if given == "a preset":
        transform = StyleAugment("boxes", 0.5, "bgr", log=log, p=0.25)
    compose = A.Compose([transform])
    if form == "dict":
        back = A.from_dict(json.loads(json.dumps(A.to_dict(compose))))
    elif form in ("json", "yaml"):
        A.save(compose, str(tmp_path / "pipeline"), data_format=form)
        back = A.load(str(tmp_path / "pipeline"), data_format=form)
    else:
        rebuild = {
            "repr": lambda t: eval(repr(t)),
            "pickle": lambda t: pickle.loads(pickle.dumps(t)),
            "deepcopy": copy.deepcopy,
        }[form]
        back = A.Compose([rebuild(transform)])
    other = back.transforms[0]
    for name in ARGUMENTS:
        one, two = (json.dumps(getattr(t, name), sort_keys=True) for t in (transform, other))
        assert one == two
    assert other._augment.to_dict() == transform._augment.to_dict()
    image, mask = picture(20, 30, 3), np.eye(20, 30)
    for t in (compose, back):
        t.set_random_seed(3)
        t.transforms[0].set_progress(0.9)
    one, two = (t(image=image, mask=mask, force_apply=True)["image"] for t in (compose, back))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, image)


# ------------------------------------------- what Albumentations asks of all its transforms


def test_generic_every_argument_is_in_the_schema_and_kept_as_json_takes_it(make):
    transform = make(**EVERYTHING)
    assert set(StyleAugment.InitSchema.model_fields) - {"strict"} == set(ARGUMENTS)
    written = A.to_dict(transform)
    assert json.loads(json.dumps(written)) == written
    assert yaml.safe_load(yaml.safe_dump(written)) == written
    assert A.to_dict(A.from_dict(written)) == written


@pytest.mark.filterwarnings("error")
def test_generic_strict_arguments(make):
    with pytest.raises(ValueError, match="blur"):
        StyleAugment("sensor", blur=1, strict=True)
    assert StyleAugment("sensor", strict=True).p == 0.9


@pytest.mark.parametrize(
    "pipeline",
    [
        lambda t: A.OneOf([t, t], p=1),
        lambda t: A.SomeOf([t, A.HorizontalFlip(p=1)], n=2, p=1),
        lambda t: A.RandomOrder([t, A.VerticalFlip(p=1)], n=2, p=1),
        lambda t: A.Sequential([t, A.RandomCrop(12, 12)], p=1),
        lambda t: A.Compose([A.Compose([t])]),
    ],
    ids=["OneOf", "SomeOf", "RandomOrder", "Sequential", "Compose"],
)
def test_generic_inside_containers(make, pipeline):
    image, mask = picture(16, 24, 3), np.eye(16, 24, dtype=np.uint8)
    outs = [A.Compose([pipeline(make())], seed=1)(image=image, mask=mask) for _ in range(2)]
    assert outs[0]["image"].shape[:2] == outs[0]["mask"].shape
    assert np.array_equal(outs[0]["image"], outs[1]["image"])


def test_generic_applied_parameters_are_saved(make):
    compose = A.Compose([make()], save_applied_params=True)
    ((name, params),) = compose(image=picture(16, 16, 3))["applied_transforms"]
    assert name.endswith("StyleAugment")
    assert "Restyle" in json.dumps(params["stages" if X else "plan"])  # X: the arguments


def test_generic_a_pipeline_gives_the_same_for_a_seed_alone_and_rebuilt(make):
    image = picture(16, 16, 3)
    compose = A.Compose([A.HorizontalFlip(p=0.5), make(p=0.5), A.NoOp()], seed=5)
    again = A.from_dict(A.to_dict(compose))
    again.set_random_seed(5)
    for _ in range(4):
        one, two = (c(image=image)["image"] for c in (compose, again))
        assert np.array_equal(one, two)


def test_a_pickle_costs_bytes():
    assert len(pickle.dumps(StyleAugment())) < 10_000


def test_defaults_are_those_of_the_torchvision_twin():
    transform, theirs = StyleAugment(), TorchTwin()
    assert transform.p == theirs.p
    assert transform._augment.to_dict() == {**theirs.to_dict(), "p": 1.0}


def test_it_is_reachable_by_its_short_name():
    assert styleaug.albumentations.StyleAugment is StyleAugment


def test_seeds_repeat_and_differ(make):
    image = picture(20, 30, 3)
    one, two, other = (run(make(), seed, image=image)["image"] for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_only_albumentations_generators_are_drawn_from(make):
    """The fixtures of all tests watch Python's and numpy's; this one watches torch's."""
    before = torch.get_rng_state()
    run(make(), image=picture(20, 30, 3))
    assert torch.equal(before, torch.get_rng_state())


def test_p_decides_whether_anything_happens(make):
    image, compose = picture(16, 16, 3), A.Compose([make(p=0.5)], seed=0)
    share = np.mean([changed(image, compose(image=image)["image"]).any() for _ in range(60)])
    assert 0.3 < share < 0.7
    assert run(make(p=0), image=image)["image"] is image or np.array_equal(
        run(make(p=0), image=image)["image"], image
    )


def test_threads_share_a_transform(make):
    compose, image, found = A.Compose([make(mix=0.5)], seed=0), picture(16, 16, 3), []
    threads = [
        threading.Thread(target=lambda: found.append(compose(image=image)["image"].tobytes()))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(set(found)) == 6


class SamePicture(Dataset):
    def __init__(self, compose):
        self.compose = compose
        self.image = picture(24, 24, 3)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.compose(image=self.image)["image"]


def seed_worker(_):
    """What 2.0.8 leaves to the user: without it, forked workers draw alike."""
    info = torch.utils.data.get_worker_info()
    info.dataset.compose.set_random_seed(torch.initial_seed() % 2**32)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize(
    ("workers", "context"),
    [(0, None), (1, "fork"), (2, "fork"), pytest.param(2, "spawn", marks=pytest.mark.slow)],
)
def test_workers_do_not_hang_repeat_under_a_seed_and_draw_each_its_own(
    make, workers, context, persistent
):
    dataset = SamePicture(A.Compose([make(mix=0.5)]))
    dataset[0]  # the parent has used its threads, and has a network

    def load(seed):
        loader = DataLoader(
            dataset,
            batch_size=2,
            num_workers=workers,
            multiprocessing_context=context,
            persistent_workers=persistent and workers > 0,
            worker_init_fn=None if X or not workers else seed_worker,
            timeout=SECONDS if workers else 0,
        )
        torch.manual_seed(seed)
        if not workers:
            dataset.compose.set_random_seed(seed)
        return torch.cat([batch for _ in range(2) for batch in loader]).numpy()

    one, two, other = load(0), load(0), load(1)
    if persistent or not workers:  # else 2.0.8 seeds the workers of each epoch anew, as we told it
        assert len({image.tobytes() for image in one}) == 16
    assert np.abs(one.astype(int) - two).max() <= 1
    assert np.abs(one.astype(int) - other).max() > 1


def apply_in_child(transform, image):
    return transform(image=image)["image"].mean()


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_pools_do_not_hang(make, method):
    """A convolution hangs in a child forked after its parent used several threads."""
    transform, image = make(), picture(256, 256, 3)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        transform(image=image)
        with multiprocessing.get_context(method).Pool(2) as pool:
            jobs = [pool.apply_async(apply_in_child, (transform, image)) for _ in range(4)]
            assert all(job.get(timeout=SECONDS) > 0 for job in jobs)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("schedule", [{"Restyle": [(0, 0), (1, 1)]}, "gradual"])
def test_a_schedule_follows_the_progress(restyle, schedule):
    transform = restyle(schedule=schedule)
    image = picture(20, 30, 3)
    for progress, changes in [(0, False), (1, True)]:
        transform.set_progress(progress)
        assert changed(image, run(transform, image=image)["image"]).any() == changes


def test_a_log_tells_what_each_changed_image_got(restyle, tmp_path):
    log = tmp_path / "styles.jsonl"
    compose, image = A.Compose([restyle(log=log, p=0.5)], seed=0), picture(16, 16, 3)
    count = sum(changed(image, compose(image=image)["image"]).any() for _ in range(12))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["Restyle"]["strength"] for line in lines] == [1.0] * count
    assert 0 < count < 12


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strength": (0, 2)}, "strength must satisfy 0 <= lo <= hi <= 1"),
        ({"styles": "no such style"}, "no such style"),
        ({"styles": "batch"}, "needs batches"),
        ({"styles": ["batch"]}, "'batch' stands alone"),
        ({"protect": 2}, "protect must be a number in"),
        ({"channel_order": "gbr"}, "channel_order"),
        ({"p": 1.5}, r"p must be a number in \[0, 1\]"),
        ({"schedule": {"hue": [(0, 1)]}}, "schedule must name settings"),
    ],
)
def test_wrong_arguments_are_refused(make, settings, words):
    with pytest.raises(ValueError, match=words):
        make(**settings)


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ("mask", "Did you mean 'masks'"),
        (["masks"], "a preset's name, or stages"),
        ([], "a preset's name, or stages"),
        (3, "a preset's name, or stages"),
        ([{"stage": "Repaint"}], "stage must be one of"),
        ({"stages": [{"stage": "Relight", "blur": 1}]}, "Relight refuses its arguments"),
        ({"stages": [{"stage": "Relight"}], "blur": 1}, "must be known"),
    ],
)
def test_wrong_stages_are_refused(stages, words):
    with pytest.raises(ValueError, match=words):
        StyleAugment(stages)


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (picture(16, 16, 3).astype(np.int32), TypeError, "uint8, uint16 or floating point"),
        (picture(16, 16, 3).astype(np.float32), ValueError, r"\[0, 1\].*before Normalize"),
    ],
)
def test_wrong_images_are_refused(make, image, error, words):
    with pytest.raises(error, match=words):
        make()(image=image)


def test_tensors_are_refused_with_advice(make):
    with pytest.raises(TypeError, match="before ToTensorV2"):
        make().apply_to_images(torch.zeros(1, 3, 16, 16), plan={})


def test_without_albumentations_the_extra_is_named():
    code = (
        "import sys; sys.modules['albumentations'] = None\n"
        "try:\n    import styleaug.albumentations\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'styleaug[albumentations]'" in done.stdout


def test_each_line_has_the_hook_that_it_asks_for():
    hooks = set(vars(host.StyleAugment))
    assert ("sample_parameters" in hooks) == X
    assert ("get_params_dependent_on_data" in hooks) != X


@pytest.mark.parametrize("shape", [(24, 20), (24, 20, 1), (24, 20, 3)])
def test_twelve_bits_in_sixteen_are_scaled_by_their_own_white(shape):
    image = np.random.default_rng(0).integers(0, 4096, shape, dtype=np.uint16)
    transform = A.Compose([StyleAugment([Relight()], bits=12, p=1)], seed=0)
    out = transform(image=image)["image"]
    assert out.dtype == np.uint16
    assert out.shape == image.shape
    assert 255 < out.max() <= 4095
    assert not np.array_equal(out, image)
    with pytest.raises(ValueError, match="values of 10 bits"):
        A.Compose([StyleAugment([Relight()], bits=10, p=1)])(image=image)
