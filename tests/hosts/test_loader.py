"""StyledLoader: batches of every kind, restyled ahead, with nothing else changed."""

import multiprocessing
import threading
import time
from collections import UserDict, namedtuple
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, TensorDataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from helpers import distance, pictures
from styleaug import Relight
from styleaug.hosts.batch import BatchStyler
from styleaug.hosts.loader import StyledLoader
from styleaug.nn.encoder import Stylizer

SECONDS = 120
pytestmark = [
    pytest.mark.usefixtures("seeded"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]
Pair = namedtuple("Pair", "images label")  # what a collate may give


def data(count=8):
    return TensorDataset(pictures(count, 3, 16, 20), torch.arange(count))


def images():
    return pictures(4, 3, 16, 20)


def several_sizes():
    shapes = [(16, 20), (17, 41), (16, 20), (30, 20)]
    return [pictures(3, *shape, seed=i) for i, shape in enumerate(shapes)]


KINDS = {
    "tensor": (lambda x: x, ()),
    "tuple": (lambda x: (x, "rest"), (0,)),
    "list": (lambda x: [x, "rest"], (0,)),
    "namedtuple": (lambda x: Pair(x, "rest"), ("images",)),
    "dict": (lambda x: {"label": torch.arange(4), "image": x}, ("image",)),
    "Hugging Face": (lambda x: UserDict({"labels": "rest", "pixel_values": x}), ("pixel_values",)),
    "dict first": (lambda x: ({"img": x, "more": "rest"}, "rest"), (0, "img")),
    "nested": (lambda x: ("rest", {"a": [x]}), (1, "a", 0)),
}


def look(batch, path):
    for key in path:
        batch = getattr(batch, key) if isinstance(batch, Pair) else batch[key]
    return batch


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["tensor", "list"])
def test_images_are_found_and_the_rest_passes_by(augment, kind, form):
    build, path = KINDS[kind]
    if kind == "tensor" and form == "list":
        pytest.skip("a list of images alone is a batch of the kind 'list'")
    inside = images() if form == "tensor" else several_sizes()
    batch = build(inside)
    before = [x.clone() for x in inside]
    style = BatchStyler(augment(), images=path if kind == "nested" else None)
    out = style(batch)
    assert type(out) is type(batch)
    styled = look(out, path)
    assert len(styled) == len(before)
    for new, old in zip(styled, before, strict=True):
        assert (new.shape, new.dtype) == (old.shape, old.dtype)
        assert distance(new, old) > 3
    for now, old in zip(look(batch, path), before, strict=True):
        assert torch.equal(now, old)
    if isinstance(batch, tuple | list) and kind != "nested":
        assert out[1] is batch[1]
    elif kind in ("dict", "Hugging Face"):
        assert all(out[key] is batch[key] for key in batch if key != path[0])


def test_images_of_one_size_go_as_one_batch(augment):
    plans = []
    BatchStyler(augment(callback=plans.append))([several_sizes(), "rest"])
    assert [plan.count for plan in plans] == [2, 1, 1]


def test_images_of_a_list_may_differ_in_dtype(augment):
    mixed = [images()[0], images()[1].float() / 255]
    out, _ = BatchStyler(augment())((mixed, "rest"))
    assert [x.dtype for x in out] == [torch.uint8, torch.float32]


def test_images_of_a_list_keep_their_type(augment):
    out, _ = BatchStyler(augment())(([tv_tensors.Image(images()[0])], "rest"))
    assert type(out[0]) is tv_tensors.Image


def test_what_comes_then_is_applied_to_the_images_last(augment):
    then = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([2.0] * 3, [1.0] * 3)])
    for inside in (images(), several_sizes()):
        out, _ = BatchStyler(augment(), then=then)((inside, 0))
        assert all(x.dtype == torch.float32 and x.max() < 0 for x in out)


@pytest.mark.parametrize(
    ("batch", "settings", "words"),
    [
        ({"frames": 1, "y": 2}, {}, r"keys image, .* but the batch is: \['frames', 'y'\].*images="),
        ("text", {}, "but the batch is: str"),
        ((), {}, "but the batch is: tuple"),
        ((3, 4), {}, r"\[0\] holds int"),
        (([1, 2],), {}, r"\[0\] holds list"),
        ((1,), {"images": 5}, r"its images at \[5\], but has no 5"),
        ({"a": 1}, {"images": ("a", "b")}, r"\['a', 'b'\], but has no 'b'"),
        ((images(),), {"masks": 1}, r"its masks at \[1\]"),
        ((torch.arange(4), images()), {}, r"\(\.\.\., C, H, W\), but got \(4,\)"),
        ((images().float(),), {}, "before Normalize"),
    ],
)
def test_what_cannot_be_restyled_is_refused_with_advice(augment, batch, settings, words):
    with pytest.raises(ValueError, match=words):
        BatchStyler(augment(), **settings)(batch)


def spared(old, new, marked):
    change = (old.int() - new.int()).abs().amax(0)
    return not change[marked].any() and change[..., -4:].any()


def test_masks_of_a_batch_protect_their_images(augment):
    masks = torch.zeros(4, 40, 60, dtype=torch.uint8)
    for i in range(4):
        masks[i, 5 * i : 5 * i + 10, 5:20] = 1
    batch = {"image": pictures(4, 3, 40, 60), "mask": masks}
    out = BatchStyler(augment(protect=1), masks="mask")(batch)
    assert out["mask"] is masks
    for old, new, mask in zip(batch["image"], out["image"], masks, strict=True):
        assert spared(old, new, mask > 0)


def test_boxes_and_masks_of_detection_targets_protect_their_images(augment):
    sizes, targets = [(40, 60), (50, 70)], []
    marked = [torch.zeros(size, dtype=torch.bool) for size in sizes]
    marked[0][10:20, 5:20] = True
    marked[1][20:40, 15:25] = True
    targets = [
        {
            "boxes": tv_tensors.BoundingBoxes(
                [[5, 10, 20, 20]], format="XYXY", canvas_size=sizes[0]
            ),
            "labels": torch.ones(1),
        },
        {"masks": tv_tensors.Mask(marked[1][None]), "labels": torch.ones(1)},
    ]
    batch = ([pictures(3, *size) for size in sizes], targets)
    out, same = BatchStyler(augment(protect=1))(batch)
    assert same is targets
    assert all(spared(*each) for each in zip(batch[0], out, marked, strict=True))


# ------------------------------------------------------------------------------- the loader


def styled(augment, base=None, **settings):
    base = base or DataLoader(data(), batch_size=2)
    return StyledLoader(base, augment(Relight(strength=1), mix=0.5), **settings)


def epoch(loader, seed=None):
    if seed is not None:
        torch.manual_seed(seed)
    return torch.cat([batch[0] for batch in loader])


@pytest.mark.parametrize("ahead", [None, False, True])
def test_every_batch_comes_restyled_in_order(augment, ahead):
    loader = styled(augment, ahead=ahead)
    labels = torch.cat([batch[1] for batch in loader])
    assert labels.tolist() == list(range(8))
    out = epoch(loader)
    plain = data().tensors[0]
    assert min(distance(a, b) for a, b in zip(out, plain, strict=True)) > 3


def test_being_ahead_changes_neither_the_images_nor_other_draws(augment):
    found = []
    for ahead in (False, True):
        torch.manual_seed(3)
        images, draws = [], []
        for batch in styled(augment, ahead=ahead):
            images.append(batch[0])
            draws.append(torch.rand(()).item())  # what dropout would do
        found.append((torch.cat(images), draws))
    assert distance(found[0][0], found[1][0]) <= 1
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize("ahead", [False, True])
def test_each_batch_draws_anew(augment, ahead):
    same = TensorDataset(pictures(1, 3, 16, 20).expand(6, -1, -1, -1), torch.arange(6))
    out = epoch(styled(augment, DataLoader(same, batch_size=2), ahead=ahead))
    assert min(distance(out[i], out[j]) for i in range(6) for j in range(i)) > 3


@pytest.mark.parametrize("ahead", [False, True])
def test_epochs_differ_and_repeat_under_a_seed(augment, ahead):
    loader = styled(augment, ahead=ahead)
    first, second = epoch(loader, 0), epoch(loader)
    assert distance(first, second) > 3
    assert distance(first, epoch(loader, 0)) <= 1


def test_processes_seeded_alike_draw_apart(augment, monkeypatch):
    loader, found = styled(augment), []
    for rank in (0, 1):
        group = SimpleNamespace(
            is_available=lambda: True, is_initialized=lambda: True, get_rank=lambda rank=rank: rank
        )
        monkeypatch.setattr("styleaug.hosts.loader.distributed", group)
        found.append(epoch(loader, 0))
    assert distance(*found) > 3


def test_the_next_batch_is_prepared_while_this_one_is_in_use(augment):
    plans = []
    loader = StyledLoader(
        DataLoader(data(), batch_size=2), augment(callback=plans.append), ahead=True
    )
    batches = iter(loader)
    next(batches)
    deadline = time.monotonic() + SECONDS
    while len(plans) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    batches.close()


def test_what_the_loader_is_stays_visible(augment):
    dataset = data()
    base = DataLoader(dataset, batch_size=2, shuffle=True, drop_last=True)
    loader = styled(augment, base)
    assert len(loader) == 4
    assert loader.dataset is dataset
    assert loader.sampler is base.sampler
    assert (loader.batch_size, loader.drop_last) == (2, True)
    assert "DataLoader" in repr(loader)
    assert "StyleAugment" in repr(loader)
    with pytest.raises(AttributeError):
        loader.no_such_thing  # noqa: B018


def test_set_epoch_reaches_the_sampler(augment):
    sampler = DistributedSampler(data(), num_replicas=2, rank=0, shuffle=True)
    loader = styled(augment, DataLoader(data(), batch_size=2, sampler=sampler))
    loader.set_epoch(5)
    assert sampler.epoch == 5


def test_no_thread_is_left_behind(augment):
    loader = styled(augment, ahead=True)
    list(loader)
    batches = iter(loader)
    next(batches)
    loader.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("StyledLoader")]


def test_a_thread_that_builds_a_network_sets_no_generator_back(augment, fresh_caches, monkeypatch):
    """What the training draws meanwhile must not come again."""
    building, drawn, found = threading.Event(), threading.Event(), []

    class Slow(Stylizer):
        def __init__(self, config):
            super().__init__(config)
            building.set()
            found.append(threading.current_thread().name)
            assert drawn.wait(SECONDS)

    def training():
        assert building.wait(SECONDS)
        found.append(torch.rand(3))
        drawn.set()

    monkeypatch.setattr("styleaug.pack.Stylizer", Slow)
    other = threading.Thread(target=training)
    other.start()
    batches = iter(styled(augment, ahead=True))
    next(batches)
    other.join(SECONDS)
    name, before = found
    assert name.startswith("StyledLoader")
    assert not torch.equal(torch.rand(3), before)
    batches.close()


@pytest.mark.parametrize("ahead", [False, True])
def test_an_error_in_restyling_arrives_where_the_batch_would(augment, ahead):
    bad = TensorDataset(torch.randn(4, 3, 16, 16), torch.arange(4))
    with pytest.raises(ValueError, match="before Normalize"):
        list(styled(augment, DataLoader(bad, batch_size=2), ahead=ahead))


def test_labels_keep_their_types_on_the_way_to_the_device(augment):
    mask = tv_tensors.Mask(torch.ones(1, 16, 20))
    loader = styled(augment, [([images()[0]], [{"masks": mask, "name": "a"}])], device="cpu")
    loader.augment.protect = 1.0
    [(_, (target,))] = list(loader)
    assert type(target["masks"]) is tv_tensors.Mask
    assert target["name"] == "a"


@pytest.mark.parametrize("ahead", [False, True])
def test_an_epoch_may_be_broken_off_and_begun_again(augment, ahead):
    loader = styled(augment, ahead=ahead)
    for _ in range(2):
        assert next(iter(loader))[1].tolist() == [0, 1]
    assert len(list(loader)) == 4


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("ahead", [False, True])
def test_a_second_iterator_leaves_the_first_alone(augment, ahead, workers):
    base = DataLoader(data(), batch_size=2, num_workers=workers, timeout=SECONDS * workers)
    loader, seen = styled(augment, base, ahead=ahead), []
    for _, labels in loader:
        if len(seen) == 1:
            assert next(iter(loader))[1].tolist() == [0, 1]  # a batch to look at
        seen.append(labels.tolist())
    assert seen == [[0, 1], [2, 3], [4, 5], [6, 7]]
    for (one, same), (other, labels) in zip(loader, loader, strict=True):
        assert torch.equal(same, labels)
        assert distance(one, other) > 3


def test_closing_ends_every_epoch_and_its_thread(augment):
    loader = styled(augment, ahead=True)
    both = [iter(loader), iter(loader)]
    for batches in both:
        next(batches)
    loader.close()
    assert [list(batches) for batches in both] == [[], []]
    assert not [t for t in threading.enumerate() if t.name.startswith("StyledLoader")]


class Flips(Dataset):
    """Turns its picture at random, in the worker."""

    def __init__(self):
        self.picture = pictures(3, 24, 24)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return v2.functional.rotate(self.picture, torch.rand(()).item() * 90), index


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize(
    ("workers", "context"),
    [(0, None), (1, "fork"), (2, "fork"), pytest.param(2, "spawn", marks=pytest.mark.slow)],
)
def test_with_workers_of_every_kind(augment, workers, context, ahead, persistent):
    def two_epochs(seed):
        base = DataLoader(
            Flips(),
            batch_size=2,
            num_workers=workers,
            multiprocessing_context=context,
            persistent_workers=persistent and workers > 0,
            timeout=SECONDS if workers else 0,
        )
        with styled(augment, base, ahead=ahead) as loader:
            out = torch.cat([epoch(loader, seed), epoch(loader)])
        assert not multiprocessing.active_children()
        return out

    first, again, other = (two_epochs(seed) for seed in (0, 0, 1))
    assert distance(first, again) <= 1
    assert distance(first, other) > 3
    assert min(distance(first[i], first[j]) for i in range(16) for j in range(i)) > 0


def test_closing_twice_or_before_the_start_does_no_harm(augment):
    loader = styled(augment)
    loader.close()
    next(iter(loader))
    loader.close()
    loader.close()
    assert len(list(loader)) == 4


class Stateful:
    """A loader that can tell where it stands, as torchdata's can."""

    def __init__(self):
        self.done = 0

    def __iter__(self):
        for k in range(self.done, 6):
            self.done = k + 1
            yield pictures(2, 3, 16, 16, seed=k), k
        self.done = 0

    def state_dict(self):
        return {"done": self.done}

    def load_state_dict(self, state):
        self.done = state["done"]


def torchdata():
    module = pytest.importorskip("torchdata.stateful_dataloader")
    return module.StatefulDataLoader(data(12), batch_size=2, num_workers=0)


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # torchdata asks torch for it
@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("make", [Stateful, torchdata])
def test_an_epoch_resumes_after_the_last_batch_handed_out(augment, make, ahead):
    torch.manual_seed(0)
    loader = styled(augment, make(), ahead=ahead)
    batches = iter(loader)
    for _ in range(2):
        next(batches)
    state = loader.state_dict()
    rest = torch.cat([batch[0] for batch in batches])
    torch.manual_seed(1)
    resumed = styled(augment, make(), ahead=ahead)
    resumed.load_state_dict(state)
    again = list(resumed)
    assert len(again) == 4
    assert distance(torch.cat([batch[0] for batch in again]), rest) <= 1
    assert len(list(resumed)) == 6  # and the next epoch is whole


def test_the_state_before_the_start_is_the_loaders(augment):
    loader = styled(augment, Stateful())
    state = loader.state_dict()
    loader.load_state_dict(state)
    assert len(list(loader)) == 6


def test_a_loader_without_a_state_says_what_has_one(augment):
    with pytest.raises(TypeError, match="StatefulDataLoader, but this is a DataLoader"):
        styled(augment).state_dict()


# ------------------------------------------------------------ on a GPU that is not there


class Leaf(torch.Tensor):
    """A CPU tensor that takes itself to be on CUDA, and tells who uses it."""

    events = []  # noqa: RUF012

    @property
    def is_cuda(self):
        return True

    def record_stream(self, stream):
        Leaf.events.append(f"kept for {stream.name}")


@pytest.fixture
def streams(monkeypatch):
    """Stand-ins for CUDA streams that write down the order of things."""
    events = Leaf.events
    events.clear()

    class Stream:
        device = torch.device("cuda")

        def __init__(self, device=None, name="side"):
            self.name, self.count = name, 0

        def record_event(self):
            self.count += 1
            return self.count

        def wait_event(self, event):
            events.append(f"{self.name} waits for batch {event}")

        def wait_stream(self, stream):
            events.append(f"{self.name} waits for {stream.name}")

    current = [Stream(name="main")]

    @contextmanager
    def entered(stream):
        current.append(stream)
        yield
        current.pop()

    def prepare(self, batch, seed):
        events.append(f"{current[-1].name} styles {batch[1].tolist()}")
        return [batch[0].as_subclass(Leaf), batch[1]]

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", entered)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current[-1])
    monkeypatch.setattr(StyledLoader, "prepare", prepare)
    return events


def test_on_cuda_a_side_stream_works_one_batch_ahead(augment, streams):
    loader = styled(augment, device="cuda")
    assert loader.ahead
    for batch in loader:
        streams.append(f"main uses {batch[1].tolist()}")
    ahead = ["side waits for main", "side styles [0, 1]"]
    ahead += ["side waits for main", "side styles [2, 3]"]  # before the first is handed out
    assert streams[:7] == [*ahead, "main waits for batch 1", "kept for main", "main uses [0, 1]"]
    waits = [event for event in streams if event.startswith("main waits")]
    assert waits == [f"main waits for batch {k}" for k in (1, 2, 3, 4)]
    assert streams[-1] == "main uses [6, 7]"


@pytest.mark.parametrize("form", ["tuple", "Hugging Face"])
def test_a_batch_that_is_on_the_gpu_already_is_waited_for_and_kept(
    augment, streams, form, monkeypatch
):
    """The training's stream may still compute it, and would reuse its memory once it is dropped."""
    image, label = images().as_subclass(Leaf), torch.arange(4)
    batch = (image, label) if form == "tuple" else UserDict({"image": image, 1: label})
    monkeypatch.setattr(
        StyledLoader, "prepare", lambda self, batch, seed: streams.append("styled") or label
    )
    list(styled(augment, [batch], device="cuda"))
    assert streams == ["side waits for main", "kept for side", "styled", "main waits for batch 1"]


@pytest.mark.cuda
def test_on_a_real_gpu_batches_arrive_restyled_and_repeat(augment):
    base = DataLoader(data(64), batch_size=8, num_workers=2, pin_memory=True)
    loader = styled(augment, base, device="cuda")
    first, again = epoch(loader, 0), epoch(loader, 0)
    assert first.is_cuda
    assert distance(first.cpu(), again.cpu()) <= 1
    assert distance(first.cpu(), data(64).tensors[0]) > 3
