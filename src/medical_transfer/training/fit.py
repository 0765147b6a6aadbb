"""The one `fit`: it runs a method's phases one after the other, resumable at every epoch.

On disk, in the folder of the run: `history.json`, `best.safetensors` + `best.json` (over all phases; what moved in its
phase) and, per phase, the weights that it began with and Lightning's checkpoint of its last whole epoch. A killed run
that is started again goes on from there and ends with the same numbers, since all randomness is derived from (seed,
phase, epoch).
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import load_file

from medical_transfer.config.training import Training
from medical_transfer.methods.contract import Phase
from medical_transfer.models.weight_files import write_tensors
from medical_transfer.runtime.devices import NumberFormat
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.training.callbacks import History, KeepBest, KeepEpochs, StopEarly, StopOnNaN
from medical_transfer.training.checkpoint_io import WholeFiles
from medical_transfer.training.compiling import compile_error, compiled, tell_failed
from medical_transfer.training.data import Feed
from medical_transfer.training.depthwise import slow_depthwise_in_fp32
from medical_transfer.training.module import Method, MethodModule
from medical_transfer.training.number_format import number_format_of
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

NO_MEMORY = re.compile(r"out of memory|not enough memory|can.t allocate memory|ALLOC_FAILED")
"""What torch says where it finds no memory, in errors of no type of their own."""


def fit(
    method: Method,
    data_of: Callable[[Phase], Feed],
    *,
    training: Training,
    seed: int,
    folder: Path,
    name: str,
) -> pd.DataFrame:
    """Train `method` through its phases and leave its network with the best weights.

    Args:
        method: what trains; its network is changed in place.
        data_of: rows for a phase, called when the phase begins.
        training: budget, patience, number format.
        seed: root seed of the run.
        folder: where checkpoints and history live; what a killed run left there is continued.
        name: backbone and size, for the choice of the number format.

    Returns:
        History with one row per epoch: phase, epoch, step, train_loss, val_loss, val_auroc, lr, seconds.

    Raises:
        UserError: where the loss or a prediction is no number, or the validation score is undefined.
    """
    assert isinstance(method, torch.nn.Module)
    for phase in method.phases():
        done = folder / f"{phase.name}.done.json"
        if done.exists():
            continue
        _begin(method, phase, folder)
        data = data_of(phase)
        with _explain_memory(training):
            number_format = number_format_of(method, phase, data, training=training, name=name)
            module = MethodModule(method, phase, data, seed=seed, number_format=number_format)
            run = (_run_compiled if number_format.compiled else _run)(module, training, folder)
        write_json(done, {"phase": phase.name, "format": str(run)})
    _load_best(method.to(memory_format=torch.contiguous_format), folder)
    return pd.DataFrame(read_json(folder / "history.json"))


def _begin(method: Method, phase: Phase, folder: Path) -> None:
    """Start a phase from the best weights of those before it; a killed one that is started again, from the same."""
    assert isinstance(method, torch.nn.Module)
    method.start(phase)
    first = folder / phase.name / "first.safetensors"
    if first.exists():
        method.load_state_dict(load_file(first))
        return
    if (folder / "best.json").exists():
        _load_best(method, folder)
    write_tensors(method, first)


def _load_best(network: torch.nn.Module, folder: Path) -> None:
    """Give a network the weights of the best epoch: those that its phase began with, and what moved since."""
    began = folder / read_json(folder / "best.json")["phase"] / "first.safetensors"
    network.load_state_dict({**load_file(began), **load_file(folder / "best.safetensors")})


def _run_compiled(module: MethodModule, training: Training, folder: Path) -> NumberFormat:
    """Run one phase compiled, or on from its last whole epoch as it is where torch cannot; the format it ended in."""
    try:
        with compiled(module.network):
            return _run(module, training, folder)
    except compile_error() as error:
        tell_failed(error)
        _begin(module.method, module.phase, folder)
        plain = replace(module.number_format, compiled=False)
        module = MethodModule(module.method, module.phase, module.data, seed=module.seed, number_format=plain)
        return _run(module, training, folder)


def _run(module: MethodModule, training: Training, folder: Path) -> NumberFormat:
    """Run one phase, from the last whole epoch of a killed run where there is one; its number format."""
    phase, number_format = module.phase, module.number_format
    last = folder / phase.name / "last.ckpt"
    logger.info(
        "Training phase '%s': %s%d epochs of %d steps in %s",
        phase.name,
        "" if phase.converges else "at most ",
        phase.epochs,
        module.data.steps_per_epoch,
        number_format,
    )
    # set both ways: an earlier phase may have left the other format, a run that was killed in between would not
    memory_format = torch.channels_last if number_format.channels_last else torch.contiguous_format
    module.network.to(memory_format=memory_format).train()
    with _quiet_lightning(), _deterministic(), slow_depthwise_in_fp32(module.network, number_format):
        trainer = _trainer(module, training, folder)
        with _explain_stop(phase):
            trainer.fit(module, ckpt_path=last if last.exists() else None, weights_only=True)
    return number_format


def _trainer(module: MethodModule, training: Training, folder: Path) -> lightning.Trainer:
    phase = module.phase
    return lightning.Trainer(
        accelerator="auto",
        devices=1,
        precision=module.number_format.lightning_precision,
        max_epochs=phase.epochs,
        gradient_clip_val=training.gradient_clip,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        deterministic="warn",
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
        default_root_dir=folder,
        plugins=[WholeFiles()],
        callbacks=[
            StopOnNaN(),
            History(folder / "history.json"),
            KeepBest(folder),
            *([KeepEpochs(folder)] if training.keep_epochs else ()),
            StopEarly(folder / "history.json", patience=training.patience),
            # top 1 without a monitor is the newest; `save_last` without a top 1 would write only when training ends
            ModelCheckpoint(folder / phase.name, "last", save_top_k=1, enable_version_counter=False),
        ],
    )


@contextmanager
def _explain_memory(training: Training) -> Iterator[None]:
    """Turn 'out of memory' into a sentence.

    Raises:
        UserError: where the device or the machine has no memory left.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not NO_MEMORY.search(str(error)):
            raise
        raise UserError(
            f"Out of memory with training.batch_size={training.batch_size}. The last whole epoch is kept: lower "
            "training.batch_size or images.size and give the same command again."
        ) from error


@contextmanager
def _explain_stop(phase: Phase) -> Iterator[None]:
    """Turn the exit with which Lightning answers Ctrl-C and SIGTERM into a sentence and a failed run.

    Raises:
        UserError: where training was stopped from outside.
    """
    try:
        yield
    except SystemExit as stop:
        raise UserError(
            f"Training was stopped from outside in phase '{phase.name}'. "
            "The last whole epoch is kept: give the same command again, it goes on from there."
        ) from stop


@contextmanager
def _deterministic() -> Iterator[None]:
    """Keep to training what Lightning's `deterministic` asks of torch, and have memory not filled meanwhile.

    Deterministic torch fills all new memory with NaN, which takes 6 % of a step. It shows reads of memory that nobody
    wrote and changes no other result.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # its type hints do not know the switch
    filling, memory.fill_uninitialized_memory = memory.fill_uninitialized_memory, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filling


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning's advice about loaders, devices and its services is for its own users, not for ours."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
