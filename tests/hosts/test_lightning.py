"""StyleCallback: training batches are restyled where Lightning has put them, others are not."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import pictures

pytest.importorskip("lightning")

from lightning.pytorch import LightningDataModule, LightningModule, Trainer

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


def fit(model, callback, data=None, **settings):
    settings = {"max_epochs": 2, **settings}
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[callback],
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
    fit(model, callback, data, max_epochs=1)
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
    fit(model, StyleCallback(augment()), data, max_epochs=1)
    assert "on_after_batch_transfer" not in vars(model)
    assert "on_after_batch_transfer" not in vars(data)


@pytest.mark.parametrize("settings", [{"max_epochs": 2}, {"max_epochs": -1, "max_steps": 4}])
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
