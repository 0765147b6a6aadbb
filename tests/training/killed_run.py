"""A whole training in a process of its own: `killed_run.py FOLDER [PHASE EPOCH]` dies by SIGKILL in that epoch."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import toy
from medical_transfer.training import callbacks
from medical_transfer.training.fit import fit

SETTINGS = {"head_epochs": 3, "epochs": 3, "head_learning_rate": 0.01, "learning_rate": 1e-3}


def train(folder: Path, **fields) -> None:
    """`fields` are those of `toy.finetune`, over the SETTINGS."""
    hidden = toy.classifier(head="chapter_2_1")  # with a dropout of its own, and a phase that may stop early
    method = toy.finetune(hidden, freeze="none", batch_norm="adapt", **SETTINGS | fields)
    fit(
        method,
        toy.Problem(method.classifier, policy="gentle"),
        training=toy.config(),
        seed=4,
        folder=folder,
        name="toy",
    )


def die_in(phase: str, epoch: int) -> None:
    check = callbacks.StopOnNaN.on_train_batch_end

    def last_breath(self, trainer, pl_module, outputs, batch, batch_idx):
        check(self, trainer, pl_module, outputs, batch, batch_idx)
        if (pl_module.phase.name, trainer.current_epoch, batch_idx) == (phase, epoch, 1):
            os.kill(os.getpid(), signal.SIGKILL)

    callbacks.StopOnNaN.on_train_batch_end = last_breath


if __name__ == "__main__":
    if sys.argv[2:]:
        die_in(sys.argv[2], int(sys.argv[3]))
    train(Path(sys.argv[1]))
