"""What happens between steps and epochs: the history is kept, the best weights are kept, a NaN stops the run."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, cast

import lightning
import torch

from medical_transfer.methods.contract import Phase
from medical_transfer.models.card import EPOCHS
from medical_transfer.models.weight_files import write_tensors
from medical_transfer.runtime.devices import move
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.training.module import MEND_NAN, MethodModule, moving_tensors
from medical_transfer.types import UserError

NOWHERE = -1
"""Number of the first step whose loss is no number, where there is none."""


class History(lightning.Callback):
    """One row per epoch in `history.json`, rewritten whole at each epoch; an epoch done again replaces its row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the epoch's row."""
        module = cast("MethodModule", pl_module)
        row = {
            "phase": module.phase.name,
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "lr": max(group["lr"] for group in trainer.optimizers[0].param_groups),
            "seconds": round(time.perf_counter() - self.started, 3),
            **{name: float(value) for name, value in trainer.callback_metrics.items()},
        }
        if "val_auroc" not in row:  # it is what the method selects by, so it is not told twice
            row["val_auroc"] = row.pop("selection")
        rows = read_json(self.path) if self.path.exists() else []
        kept = [r for r in rows if (r["phase"], r["epoch"]) != (row["phase"], row["epoch"])]
        write_json(self.path, [*kept, row])


class KeepBest(lightning.Callback):
    """Keep the weights of the epoch that validation likes best, over all phases together; the first of equals.

    What its phase leaves frozen is not among them: `training.fit` has it in the weights that the phase began with.
    Of a phase that converges only the last epoch competes; those of a phase that warms up compete among themselves.
    """

    def __init__(self, folder: Path) -> None:
        self.weights, self.record = folder / "best.safetensors", folder / "best.json"

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the weights where the epoch is strictly better than all before it.

        Raises:
            UserError: where the validation score is undefined.
        """
        module = cast("MethodModule", pl_module)
        selection, loss = (float(trainer.callback_metrics[name]) for name in ("selection", "val_loss"))
        if math.isnan(selection):
            raise UserError(
                f"The validation score is undefined in phase '{module.phase.name}', epoch {trainer.current_epoch}: "
                "a class has no validation image. Give every class some, or give no row the split 'val'."
            )
        on_the_way = module.phase.converges and trainer.current_epoch + 1 < module.phase.epochs
        if not on_the_way and merit(selection, loss) > self.best_before(module.phase):
            write_tensors(module.network, self.weights, only=moving_tensors(module.network))
            facts = {"selection": selection, "val_loss": loss, "phase": module.phase.name}
            warms_up = {"warms_up": True} if module.phase.warms_up else {}
            write_json(self.record, {**facts, "epoch": trainer.current_epoch, **warms_up})

    def best_before(self, phase: Phase) -> tuple[float, float]:
        """Merit of the best epoch that one of `phase` competes with; minus infinity where there is none."""
        nothing = float("-inf"), float("-inf")
        if not self.record.exists():
            return nothing
        record = read_json(self.record)
        if record.get("warms_up", False) and not phase.warms_up:
            return nothing
        return merit(record["selection"], record["val_loss"])


class KeepEpochs(lightning.Callback):
    """Write the predictor of every epoch to `epochs/<phase>_<epoch>.safetensors`; one done again replaces its file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / EPOCHS

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write it, trained or not by this phase."""
        module = cast("MethodModule", pl_module)
        self.folder.mkdir(exist_ok=True)
        name = f"{module.phase.name}_{trainer.current_epoch:03d}.safetensors"
        write_tensors(module.method.predictor(), self.folder / name)


def merit(selection: float, val_loss: float) -> tuple[float, float]:
    """What epochs are compared by: the selection score, and where it ties (an AUROC of 1) the validation loss."""
    return selection, -val_loss


class StopEarly(lightning.Callback):
    """End a phase after `patience` epochs without a better one, unless it is one that converges.

    It reads the history file, so it has no state of its own: a run that was killed anywhere decides as it would have.
    """

    def __init__(self, history: Path, *, patience: int) -> None:
        self.history, self.patience = history, patience

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop at once where the patience was used up before the kill."""
        self._decide(trainer, pl_module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop where the patience is used up."""
        self._decide(trainer, pl_module)

    def _decide(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        phase = cast("MethodModule", pl_module).phase
        if phase.converges:
            return
        rows = read_json(self.history) if self.history.exists() else []
        mine = [row for row in rows if row["phase"] == phase.name]
        merits = [merit(row.get("selection", row["val_auroc"]), row["val_loss"]) for row in mine]
        waited = len(merits) - 1 - merits.index(max(merits)) if merits else 0
        trainer.should_stop = trainer.should_stop or waited >= self.patience


class StopOnNaN(lightning.Callback):
    """A loss that is no number ends the run with a sentence; what was best before is kept.

    Looking at a loss on an accelerator waits for all work that is queued there, so there the first such step is noted
    on the device, and looked at every `EVERY` steps and at the end of an epoch.
    """

    EVERY = 32

    def __init__(self) -> None:
        self.first = torch.tensor(NOWHERE)

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Nothing has happened yet."""
        self.first = torch.tensor(NOWHERE)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,  # noqa: ARG002 - lightning's signature
        batch_idx: int,
    ) -> None:
        """Check the loss of each step (`batch` is not looked at).

        Raises:
            UserError: where it is NaN or infinite.
        """
        loss = (outputs["loss"] if isinstance(outputs, dict) else outputs).detach()
        first = move(self.first, loss.device)
        self.first = torch.where(~torch.isfinite(loss) & (first < 0), batch_idx, first)
        done = batch_idx + 1
        if _is_near(loss) or done % self.EVERY == 0 or done == trainer.num_training_batches:
            self._look(cast("MethodModule", pl_module).phase.name, trainer.current_epoch)

    def _look(self, phase: str, epoch: int) -> None:
        step = int(self.first)
        if step >= 0:
            raise UserError(
                f"The loss became NaN or infinite in phase '{phase}', epoch {epoch}, step {step}. {MEND_NAN}"
            )


def _is_near(tensor: torch.Tensor) -> bool:
    """Whether looking at it waits for nothing."""
    return tensor.device.type == "cpu"
