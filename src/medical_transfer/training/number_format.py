"""Which number format a phase trains in, and whether compiled: as configured, or the fastest by timing real steps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import torch

from medical_transfer.config.training import Training
from medical_transfer.data.loaders import Batch
from medical_transfer.methods.contract import Phase
from medical_transfer.runtime.devices import DEFAULT, NumberFormat, compiling_pays, device, fastest_format
from medical_transfer.training.compiling import compile_error, compile_trunks, tell_failed
from medical_transfer.training.data import Feed, PhaseData, in_format
from medical_transfer.training.depthwise import slow_depthwise_in_fp32
from medical_transfer.training.module import Method


def number_format_of(method: Method, phase: Phase, data: Feed, *, training: Training, name: str) -> NumberFormat:
    """The number format for `phase`; feature vectors have nothing to gain from any but the default.

    Args:
        method: what trains; copies of it are timed, it stays as it is.
        phase: has been started.
        data: its first batch is the one that is timed.
        training: `number_format` and `compile` other than `auto` decide alone.
        name: backbone and size; with phase and batch size the key under which the answers are kept.

    Raises:
        torch.OutOfMemoryError: where no format fits into the memory of the device.
    """
    fixed = None if training.number_format == "auto" else NumberFormat(training.number_format, channels_last=True)
    tries_compiled = training.compile == "always" or (training.compile == "auto" and device().type == "cuda")
    if fixed and not tries_compiled:
        return fixed
    batch = next(iter(data.training(0))).to(device())
    if batch.inputs.dim() == 2:
        return fixed or DEFAULT

    @lru_cache(maxsize=1)  # copying is not part of a step, and one copy at a time is enough
    def prepared(number_format: NumberFormat) -> tuple[Method, Batch]:
        return _prepared(method, batch, number_format)

    def step(number_format: NumberFormat) -> None:
        _one_step(*prepared(number_format), number_format)

    key = f"{name}/{phase.name}/{phase.cut}/{training.batch_size}"
    chosen = fixed or fastest_format(step, name=key)
    if training.compile == "always":
        return replace(chosen, compiled=True)
    steps = phase.epochs * data.steps_per_epoch
    return replace(chosen, compiled=tries_compiled and _compiling_pays(step, chosen, key, steps))


def _compiling_pays(step: Callable[[NumberFormat], None], chosen: NumberFormat, key: str, steps: int) -> bool:
    try:
        return compiling_pays(step, chosen, name=key, steps=steps)
    except compile_error() as error:
        tell_failed(error)
        return False
    finally:
        torch.compiler.reset()


def _prepared(method: Method, batch: Batch, number_format: NumberFormat) -> tuple[Method, Batch]:
    """A copy of `method` in training mode, and the batch, both in the format."""
    assert isinstance(method, torch.nn.Module)
    memory_format = torch.channels_last if number_format.channels_last else torch.contiguous_format
    copied = copy.deepcopy(method).to(batch.inputs.device).to(memory_format=memory_format).train()
    if number_format.compiled:
        compile_trunks(copied)
    return copied, batch.with_inputs(lambda inputs: in_format(PhaseData.as_float(inputs), number_format))


def _one_step(method: Method, batch: Batch, number_format: NumberFormat) -> None:
    """Forward and backward of one batch."""
    assert isinstance(method, torch.nn.Module)
    autocast = torch.autocast(batch.inputs.device.type, torch.bfloat16, enabled=number_format.precision == "bf16")
    with slow_depthwise_in_fp32(method, number_format):
        with autocast:
            terms = method.losses(batch, 0.0)
        terms.total.backward()  # type: ignore[no-untyped-call]
