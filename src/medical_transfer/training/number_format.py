"""Which number format a phase trains in: as configured, or the fastest on this machine by timing real steps."""

from __future__ import annotations

import copy
from functools import lru_cache

import torch

from medical_transfer.config.training import Training
from medical_transfer.data.loaders import Batch
from medical_transfer.methods.contract import Phase
from medical_transfer.runtime.devices import DEFAULT, NumberFormat, device, fastest_format
from medical_transfer.training.data import PhaseData, in_format
from medical_transfer.training.depthwise import slow_depthwise_in_fp32
from medical_transfer.training.module import Method


def number_format_of(method: Method, phase: Phase, data: PhaseData, *, training: Training, name: str) -> NumberFormat:
    """The number format for `phase`; feature vectors have nothing to gain from any but the default.

    Args:
        method: what trains; copies of it are timed, it stays as it is.
        phase: has been started.
        data: its first batch is the one that is timed.
        training: `number_format` other than `auto` decides alone.
        name: backbone and size; with phase and batch size the key under which the answer is kept.
    """
    if training.number_format != "auto":
        return NumberFormat(training.number_format, channels_last=True)
    batch = next(iter(data.training(0))).to(device())
    if batch.inputs.dim() == 2:
        return DEFAULT

    @lru_cache(maxsize=1)  # copying is not part of a step, and one copy at a time is enough
    def prepared(number_format: NumberFormat) -> tuple[Method, Batch]:
        return _prepared(method, batch, number_format)

    def step(number_format: NumberFormat) -> None:
        _one_step(*prepared(number_format), number_format)

    return fastest_format(step, name=f"{name}/{phase.name}/{phase.cut}/{training.batch_size}")


def _prepared(method: Method, batch: Batch, number_format: NumberFormat) -> tuple[Method, Batch]:
    """A copy of `method` in training mode, and the batch, both in the format."""
    assert isinstance(method, torch.nn.Module)
    memory_format = torch.channels_last if number_format.channels_last else torch.contiguous_format
    copied = copy.deepcopy(method).to(batch.inputs.device).to(memory_format=memory_format).train()
    inputs = in_format(PhaseData.as_float(batch.inputs), number_format)
    return copied, Batch(inputs, batch.labels_N, batch.rows_N)


def _one_step(method: Method, batch: Batch, number_format: NumberFormat) -> None:
    """Forward and backward of one batch."""
    assert isinstance(method, torch.nn.Module)
    autocast = torch.autocast(batch.inputs.device.type, torch.bfloat16, enabled=number_format.precision == "bf16")
    with slow_depthwise_in_fp32(method, number_format):
        with autocast:
            terms = method.losses(batch, 0.0)
        terms.total.backward()  # type: ignore[no-untyped-call]
