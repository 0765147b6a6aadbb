"""The path of an accelerator without one: on `meta`, whose numbers nobody can read, and with devices claimed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import toy
from medical_transfer.data.augment import POLICIES
from medical_transfer.data.loaders import Batch
from medical_transfer.runtime import devices
from medical_transfer.runtime.devices import DEFAULT
from medical_transfer.training import callbacks
from medical_transfer.training import data as data_file
from medical_transfer.training.callbacks import StopOnNaN
from medical_transfer.training.fit import fit
from medical_transfer.training.module import MethodModule
from medical_transfer.types import UserError


@pytest.mark.parametrize(("kind", "ahead"), [("cuda", True), ("cpu", False), ("mps", False)])
def test_batches_are_cut_ahead_for_cuda_only(monkeypatch, kind, ahead):
    monkeypatch.setattr(data_file, "device", lambda: torch.device(kind))
    method = toy.finetune(toy.classifier())
    data = toy.Problem(method.classifier)(method.phases()[0])
    assert data.training(0).ahead is data.validation()[0].ahead is ahead


def test_what_cannot_be_read_is_noticed():
    with pytest.raises(NotImplementedError, match="meta"):
        torch.zeros(2, device="meta").cpu()
    with pytest.raises(RuntimeError, match="meta"):
        bool(torch.zeros((), device="meta"))


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("number", [0, 1], ids=["head", "trunk"])
def test_a_step_reads_nothing_back_from_the_device(number, policy):
    """Copy of a batch, augmentation, loss with all its parts, gradients, clipping, AdamW, look for NaN, validation."""
    method = toy.finetune(
        toy.classifier(), freeze="none", weights=torch.ones(2), l2_sp=0.1, head_l2=0.1, cached=number == 1
    )
    phase = method.phases()[number]
    method.start(phase)
    data = toy.Problem(method.classifier, policy=policy)(phase)
    module = MethodModule(method, phase, data, seed=0, number_format=DEFAULT)
    module.trainer = SimpleNamespace(training=True, global_step=0, num_training_batches=9, current_epoch=0)
    module.log = lambda name, value, **_: None
    module.augmentation = torch.Generator().manual_seed(0)
    module.to("meta")
    groups = method.phases()[number].groups  # `to` makes new parameters on this device
    method.start(phase)
    optimizer, stop = torch.optim.AdamW(list(groups)), StopOnNaN()
    for step, batch in enumerate(data.training(0)):
        batch = module.on_after_batch_transfer(batch.to("meta"), 0)  # noqa: PLW2901 - as the trainer does it
        loss = module.training_step(batch, step)
        assert loss.device.type == "meta"
        loss.backward()
        torch.nn.utils.clip_grad_norm_(method.parameters(), 1.0)
        optimizer.step()
        stop.on_train_batch_end(module.trainer, module, {"loss": loss}, batch, step)
    module.validation_step(batch, 0)
    with pytest.raises(RuntimeError, match="meta"):
        stop.on_train_batch_end(module.trainer, module, {"loss": loss}, batch, 8)  # the last one is looked at


def watch(losses, monkeypatch, *, far=True):
    """Give these losses to the look for NaN, as if they lay far away; the step at which it stopped."""
    if far:
        monkeypatch.setattr(callbacks, "_is_near", lambda tensor: False)
    stop = StopOnNaN()
    trainer = SimpleNamespace(num_training_batches=len(losses), current_epoch=2)
    module = SimpleNamespace(phase=SimpleNamespace(name="trunk"))
    stop.on_train_epoch_start(trainer, module)
    for step, loss in enumerate(losses):
        try:
            stop.on_train_batch_end(trainer, module, {"loss": torch.tensor(loss)}, None, step)
        except UserError as error:
            return step, str(error)
    return None, ""


@pytest.mark.parametrize(
    ("bad", "far", "noticed"),
    [
        ([5], True, 31),  # at the 32nd step
        ([31], True, 31),
        ([32, 33], True, 63),
        ([70, 75], True, 79),  # at the end of the epoch
        ([79], True, 79),
        ([5], False, 5),
        ([], True, None),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_noticed_late_and_told_right(monkeypatch, bad, far, noticed, value):
    losses = [value if step in bad else 1.0 for step in range(80)]
    found, told = watch(losses, monkeypatch, far=far)
    assert found == noticed
    if bad:
        assert f"NaN or infinite in phase 'trunk', epoch 2, step {bad[0]}." in told


def no_memory(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_folder", lambda: tmp_path / "formats")

    def run(**fields):
        method = toy.finetune(toy.classifier(), freeze="none", head_epochs=1, epochs=1, **fields)
        training = toy.config(head_epochs=1, epochs=1, **fields)
        return fit(method, toy.Problem(method.classifier), training=training, seed=0, folder=tmp_path, name="toy")

    return run


SENTENCE = r"Out of memory with training.batch_size=8\. .* lower training.batch_size or images.size"


def test_a_device_without_memory_is_one_sentence_that_names_the_batch_size(train, monkeypatch):
    monkeypatch.setattr("lightning.Trainer.fit", no_memory)
    with pytest.raises(UserError, match=SENTENCE):
        train()


def test_so_it_is_where_no_number_format_fits(train, monkeypatch):
    original = toy.FineTune.losses
    monkeypatch.setattr(
        toy.FineTune,
        "losses",
        lambda self, batch, progress: original(self, batch, progress) if batch.inputs.dim() == 2 else no_memory(),
    )
    with pytest.raises(UserError, match=SENTENCE):
        train(number_format="auto")


def test_an_illegal_access_is_no_lack_of_memory(train, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("lightning.Trainer.fit", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        train()


def test_a_batch_of_the_cache_moves_as_it_lies_on_disk():
    """Halves and bytes travel; they become float32 on the device."""
    batch = Batch(torch.zeros(2, 3, 4, 4, dtype=torch.float16), torch.zeros(2, dtype=torch.int64), torch.arange(2))
    assert batch.to("meta").inputs.dtype == torch.float16
