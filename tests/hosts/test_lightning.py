"""StyleCallback: training batches are restyled where Lightning has put them, others are not."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from helpers import pictures

pytest.importorskip("lightning")

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer

from styleaug.hosts.lightning import StyleCallback

pytestmark = [
    pytest.mark.usefixtures("seeded"),
    # small runs on purpose: few workers, few batches, no logger
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
IMAGES = pictures(8, 3, 16, 16)


def loader():
    return DataLoader(TensorDataset(IMAGES, torch.arange(8)), batch_size=4)


class Model(LightningModule):
    """Writes down the batches that it gets."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 1)
        self.seen = {"train": [], "val": [], "test": []}

    def _step(self, stage, batch):
        self.seen[stage].append(batch)
        return self.layer(batch[0].float() / 255).mean()

    def training_step(self, batch, index):
        return self._step("train", batch)

    def validation_step(self, batch, index):
        self._step("val", batch)

    def test_step(self, batch, index):
        self._step("test", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class WithHook(Model):
    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch[0] // 2, batch[1]


class Data(LightningDataModule):
    def train_dataloader(self):
        return loader()

    val_dataloader = train_dataloader


class DataWithHook(Data):
    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch[0] // 2, batch[1]


def fit(model, *callbacks, data=None, **settings):
    settings = {"max_epochs": 2, **settings}
    trainer = Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    if data is None:
        trainer.fit(model, loader(), loader())
    else:
        trainer.fit(model, datamodule=data)
    return trainer


def images(batches):
    return torch.cat([batch[0] for batch in batches])


def test_training_is_restyled_and_the_rest_is_not(augment):
    model = Model()
    trainer = fit(model, StyleCallback(augment()))
    trainer.test(model, loader(), verbose=False)
    assert torch.equal(images(model.seen["val"][-2:]), IMAGES)
    assert torch.equal(images(model.seen["test"]), IMAGES)
    epochs = images(model.seen["train"]).split(8)
    assert len(epochs) == 2
    assert not any((a == b).all() for epoch in epochs for a, b in zip(epoch, IMAGES, strict=True))
    assert not torch.equal(*epochs)
    assert [b.tolist() for _, b in model.seen["train"]] == [[0, 1, 2, 3], [4, 5, 6, 7]] * 2


@pytest.mark.parametrize(
    ("model", "data", "halved"),
    [
        (Model, Data, False),
        (WithHook, None, True),
        (WithHook, Data, True),
        (Model, DataWithHook, True),
    ],
)
def test_it_acts_before_the_hook_of_module_or_data(augment, model, data, halved):
    seen = []
    callback = StyleCallback(augment(), then=lambda x: seen.append(x) or x)
    model, data = model(), data and data()
    fit(model, callback, data=data, max_epochs=1)
    got, styled = images(model.seen["train"]), torch.cat(seen)
    assert torch.equal(got, styled // 2 if halved else styled)
    assert not torch.equal(styled, IMAGES)


def test_processes_seeded_alike_draw_apart_and_a_seed_repeats(augment, monkeypatch):
    found = []
    for rank in (0, 0, 1):
        monkeypatch.setattr(Trainer, "global_rank", rank)
        model = Model()
        torch.manual_seed(3)
        fit(model, StyleCallback(augment()), max_epochs=1)
        found.append(images(model.seen["train"]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_hooks_are_as_before_afterwards(augment):
    model, data = WithHook(), Data()
    fit(model, StyleCallback(augment()), data=data, max_epochs=1)
    assert "on_after_batch_transfer" not in vars(model)
    assert "on_after_batch_transfer" not in vars(data)


class Interrupted(Model):
    """Fails in its first step, and never again."""

    error = None

    def training_step(self, batch, index):
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return super().training_step(batch, index)


class Failing(Callback):
    def on_exception(self, trainer, module, exception):
        raise RuntimeError("in the way out")


@pytest.mark.parametrize("same", [True, False], ids=["same callback", "none"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no"), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("with_data", [False, True])
def test_training_that_is_broken_off_leaves_no_hook_behind(augment, error, same, with_data):
    plans = []
    model, data = Interrupted(), Data() if with_data else None
    model.error = error
    callback = StyleCallback(augment(callback=plans.append))
    with pytest.raises((SystemExit, ValueError)):
        fit(model, callback, data=data)
    assert "on_after_batch_transfer" not in {**vars(model), **vars(data or model)}
    plans.clear()
    fit(model, *[callback] * same, data=data, max_epochs=1)
    assert sum(plan.count for plan in plans) == 8 * same


def test_a_hook_that_could_not_be_taken_off_is_not_doubled(augment):
    """Another callback that fails on the way out keeps Lightning from telling this one."""
    plans = []
    model = Interrupted()
    model.error = ValueError("no")
    callback = StyleCallback(augment(callback=plans.append))
    with pytest.raises(RuntimeError, match="in the way out"):
        fit(model, Failing(), callback)
    plans.clear()
    fit(model, callback, max_epochs=1)
    assert sum(plan.count for plan in plans) == 8
    assert "on_after_batch_transfer" not in vars(model)


@pytest.mark.parametrize("with_data", [False, True])
def test_a_hook_that_could_not_be_taken_off_does_nothing_in_a_fit_without_it(augment, with_data):
    plans = []
    model, data = Interrupted(), Data() if with_data else None
    model.error = ValueError("no")
    with pytest.raises(RuntimeError, match="in the way out"):
        fit(model, Failing(), StyleCallback(augment(callback=plans.append)), data=data)
    plans.clear()
    fit(model, data=data, max_epochs=1)
    assert plans == []


def test_a_hook_of_the_instance_and_a_second_callback_stay_in_place(augment):
    plans, model = [], Model()
    model.on_after_batch_transfer = lambda batch, index: (batch[0] // 2, batch[1])
    own = model.on_after_batch_transfer
    styles = [StyleCallback(augment(callback=plans.append)) for _ in range(2)]
    for _ in range(2):
        plans.clear()
        fit(model, *styles, max_epochs=1)
        assert sum(plan.count for plan in plans) == 16
    plans.clear()
    fit(model, max_epochs=1)
    assert not plans
    fit(model, styles[0], max_epochs=1)
    assert images(model.seen["train"]).max() <= 127
    model = Model()
    model.on_after_batch_transfer = own
    fit(model, styles[0], max_epochs=1)
    assert model.on_after_batch_transfer is own


@pytest.mark.parametrize(
    "settings",
    [{"max_epochs": 2}, {"max_epochs": -1, "max_steps": 4}, {"max_epochs": 9, "max_steps": 4}],
)
def test_progress_is_told_from_0_up_to_1(augment, monkeypatch, settings):
    transform, told = augment(), []
    monkeypatch.setattr(transform, "set_progress", told.append)
    fit(Model(), StyleCallback(transform), **settings)
    assert told == [0, 0.25, 0.5, 0.75]


def test_without_batches_only_progress_is_told(augment):
    model, transform = Model(), augment(schedule={"p": [(0, 0), (1, 1)]})
    fit(model, StyleCallback(transform, batches=False))
    assert torch.equal(images(model.seen["train"][-2:]), IMAGES)
    assert transform._progress.item() == 0.75


class Stream(IterableDataset):
    """Tells no length."""

    def __iter__(self):
        return iter([(image, 0) for image in IMAGES])


def test_a_stream_moves_by_epochs_and_says_so(augment, monkeypatch):
    transform, told = augment(schedule="gradual"), []
    monkeypatch.setattr(transform, "set_progress", told.append)
    data = Data()
    data.train_dataloader = lambda: DataLoader(Stream(), batch_size=4)
    with pytest.warns(UserWarning, match=r"whole epochs.*max_steps"):
        fit(Model(), StyleCallback(transform), data=data)
    assert told == [0, 0, 0.5, 0.5]


def test_progress_stays_in_bounds_where_more_batches_come_than_were_told(augment, monkeypatch):
    transform, told = augment(), []
    monkeypatch.setattr(transform, "set_progress", told.append)
    trainer = SimpleNamespace(
        max_epochs=2, current_epoch=1, num_training_batches=2, max_steps=-1, global_step=9
    )
    callback = StyleCallback(transform)
    for index in (1, 2, 3):
        callback.on_train_batch_start(trainer, None, None, index)
    assert told == [0.75, 1, 1]
