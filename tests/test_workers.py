"""Worker processes: they do not hang, repeat under a seed, and never draw alike."""

import functools
import multiprocessing
import pickle
import threading

import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.utils import save_image

import styleaug.runtime
from helpers import FULL, TINY, distance, pictures
from styleaug import Relight, Restyle, StyleAugment, StylePack
from styleaug.networks import encode
from styleaug.stages import pool

pytestmark = [
    pytest.mark.usefixtures("seeded"),
    # Python 3.12 warns of what these tests are about
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]
SECONDS = 120
"""Until a worker counts as hung. Starting one under load takes several."""


class SamePicture(Dataset):
    """One picture, ten times: results differ by their draws alone."""

    def __init__(self, augment, size=24):
        self.augment = augment
        self.picture = pictures(3, size, size)

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return self.augment(tv_tensors.Image(self.picture)).as_subclass(torch.Tensor)


@pytest.fixture
def dataset(pack_file):
    restyle = Restyle(pack=str(pack_file), strength=(0.5, 1))
    return SamePicture(StyleAugment([restyle, Relight(strength=(0, 1))]))


def load(dataset, workers, seed, context=None, epochs=2):
    """All images of some epochs: (epochs, 10, 3, H, W)."""
    loader = DataLoader(
        dataset,
        batch_size=2,
        num_workers=workers,
        multiprocessing_context=context,
        persistent_workers=workers > 0,
        timeout=SECONDS if workers else 0,
    )
    torch.manual_seed(seed)
    return torch.stack([torch.cat(list(loader)) for _ in range(epochs)])


def check_draws(dataset, workers, context):
    images = load(dataset, workers, 0, context)
    flat = images.flatten(0, 1)
    assert min(distance(flat[i], flat[j]) for i in range(20) for j in range(i)) > 0
    assert distance(images, load(dataset, workers, 0, context)) <= 1
    assert distance(images, load(dataset, workers, 1, context)) > 0


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_forked_workers_repeat_under_a_seed_and_draw_each_its_own(dataset, workers):
    dataset.augment(dataset.picture)  # the parent has used its threads, and has a network
    check_draws(dataset, workers, "fork" if workers else None)


@pytest.mark.slow
def test_spawned_workers_repeat_under_a_seed_and_draw_each_its_own(dataset):
    check_draws(dataset, 2, "spawn")


def test_a_spawned_worker_builds_its_own_network(dataset):
    images = load(dataset, 1, 0, "spawn", epochs=1)
    assert distance(images, load(dataset, 1, 0, "fork", epochs=1)) <= 2


WORK = {
    "light on uint8": (torch.uint8, {"strength": 0, "light": 1}, None),
    "light on float": (torch.float32, {"strength": 0, "light": 1}, None),
    "style on uint8": (torch.uint8, {"strength": 1, "light": 0}, None),
    "style on float": (torch.float32, {"strength": 1, "light": 0}, None),
    "nothing": (torch.float32, {"strength": 0, "light": 0}, None),
    "protection": (torch.uint8, {"strength": 1, "light": 0}, torch.ones(1, 256, 256)),
}


class Job:
    """What a pool's worker does: a picture large enough to be shared among threads."""

    def __init__(self, pack, name):
        dtype, amounts, mask = WORK[name]
        stages = [
            Restyle(pack=pack, **{**FULL, "strength": amounts["strength"]}),
            Relight(strength=amounts["light"]),
        ]
        self.augment = StyleAugment(stages, protect=0 if mask is None else 1)
        self.sample = [tv_tensors.Image(pictures(3, 256, 256, dtype=dtype))]
        self.sample += [] if mask is None else [tv_tensors.Mask(mask)]

    def __call__(self, seed=0):
        torch.manual_seed(seed)
        out = self.augment(*self.sample)
        return (out if isinstance(out, torch.Tensor) else out[0]).float().mean().item()


@pytest.fixture
def several_threads():
    """The parent computes on more threads than one, which is what a forked child cannot."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    pictures(64, 64, 64, dtype=torch.float32).exp_()
    yield
    torch.set_num_threads(threads)


def in_a_forked_child(job):
    """What a job gives there; a child that hangs is killed."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work():
        try:
            sender.send((job(), None))
        except Exception as error:  # told to the parent
            sender.send((None, error))

    child = context.Process(target=work)
    child.start()
    try:
        assert receiver.poll(SECONDS), "the child hangs"
        result, error = receiver.recv()
    finally:
        child.kill()
        child.join()
    if error:
        raise error
    return result


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize("sent", [False, True], ids=["inherited", "pickled"])
def test_a_child_forked_after_the_parent_used_threads_does_not_hang(
    pack, several_threads, name, sent
):
    """torch's DataLoader keeps its workers to one thread; a multiprocessing.Pool does not."""
    job = Job(pack, name)
    expected = job()
    there = functools.partial(unpickle_and_do, pickle.dumps(job)) if sent else job
    assert in_a_forked_child(there) == pytest.approx(expected, abs=0.1)


def unpickle_and_do(pickled):
    return pickle.loads(pickled)()


def load_and_encode(file):
    return encode(StylePack.load(file), pictures(1, 3, 256, 256, dtype=torch.float32)).shape


def test_a_forked_child_may_load_a_pack_and_read_a_reference(
    pack, pack_file, several_threads, small_references
):
    assert in_a_forked_child(functools.partial(load_and_encode, pack_file)) == (1, TINY.code_size)
    images = pictures(1, 3, 256, 256, dtype=torch.float32)
    assert in_a_forked_child(lambda: encode(pack, images).shape) == (1, TINY.code_size)


def test_a_forked_child_may_replay_a_plan(pack, several_threads):
    images = pictures(1, 3, 256, 256, dtype=torch.float32)
    augment = StyleAugment([Restyle(pack=pack), Relight(strength=1)])
    plan = augment.draw(1)
    assert in_a_forked_child(lambda: augment.render(images, plan).shape) == images.shape


def test_threads_of_the_parent_stay_as_they_are(pack, several_threads):
    Job(pack, "style on uint8")()
    assert torch.get_num_threads() == 2


def test_cuda_in_a_forked_child_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(styleaug.runtime, "_forked", True)
    with pytest.raises(RuntimeError, match=r"forked worker.*to the batch on the GPU.*'spawn'"):
        styleaug.runtime.prepare_process(torch.device("cuda"))


def test_threads_draw_from_one_generator_without_repeating(pack):
    """Thread pools share torch's generator: each call still gets draws of its own."""
    augment, found = StyleAugment([Restyle(pack=pack, strength=(0, 1))]), []
    images = pictures(1, 3, 16, 16)
    threads = [
        threading.Thread(target=lambda: found.append(augment.make_params([images])["drawn"]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len({plan["Restyle"].strength.item() for plan in found}) == 8


def encoded_here(augment):
    """In the child: which reference images it had to encode, and what it draws."""
    encoded = []
    pool.encode = lambda *args: encoded.append(args) or encode(*args)
    plan = augment.draw(1, torch.Generator().manual_seed(0))
    return len(encoded), plan["Restyle"].codes


def test_a_spawned_worker_encodes_no_reference_again(pack_file, tmp_path, small_references):
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for seed, path in enumerate(paths):
        save_image(pictures(3, 40, 40, dtype=torch.float32, seed=seed), path)
    augment = StyleAugment([Restyle(paths, pack=str(pack_file))])
    with multiprocessing.get_context("spawn").Pool(1) as child:
        count, codes = child.apply_async(encoded_here, (augment,)).get(timeout=SECONDS)
    assert count == 0
    plan = augment.draw(1, torch.Generator().manual_seed(0))
    assert torch.equal(codes, plan["Restyle"].codes)
