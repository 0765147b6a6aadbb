"""The one LightningModule: it feeds a method its batches and turns the method's loss terms into steps.

Every method meets `Method` without inheriting from it: fine-tuning, adaptation, distillation and meta-learning differ
in `losses` and `phases`, never in the loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from numpy.typing import NDArray
from torch import Tensor, nn

from medical_transfer.data.augment import POLICIES
from medical_transfer.data.loaders import Batch
from medical_transfer.methods.contract import LossTerms, Outputs, Phase, Predictions
from medical_transfer.runtime.devices import NumberFormat
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.training.data import Feed, in_format
from medical_transfer.types import UserError

MEND_NAN = (
    "The best weights up to here are kept. Lower training.finetune.learning_rate (or head_learning_rate; a method of "
    "meta-learning has a learning_rate of its own), or set training.number_format=fp32."
)


class Method(Protocol):
    """The one contract of all methods; the network that learns is the method's own module tree."""

    def phases(self) -> tuple[Phase, ...]:
        """Phases in their order."""

    def start(self, phase: Phase) -> None:
        """Make trainable what learns in this phase, and only that."""

    def losses(self, batch: Batch, progress: float) -> LossTerms:
        """Loss terms of one batch; `progress` runs from 0 to 1 over the phase."""

    def predictions(self, batch: Batch, *, of_target: bool = False) -> Predictions:
        """What is judged, for validation rows of the source or of the target."""

    def selection(self, outputs: Outputs) -> float:
        """What picks the epoch; higher is better."""

    def scores(self, outputs: Outputs) -> Mapping[str, float]:
        """More columns of the history; `val_auroc` among them where the selection is another score."""

    def predictor(self) -> nn.Module:
        """The network that is saved and predicts."""


class MethodModule(lightning.LightningModule):
    """Runs one phase of one method."""

    def __init__(self, method: Method, phase: Phase, data: Feed, *, seed: int, number_format: NumberFormat) -> None:
        super().__init__()
        if not isinstance(method, nn.Module):
            raise TypeError(f"{type(method).__name__} is no torch module, so it has nothing to learn")
        self.network, self.method = method, method
        self.phase, self.data, self.seed, self.number_format = phase, data, seed, number_format
        self.validated = Validated()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW over the phase's groups; the rate follows the phase's schedule step by step."""
        optimizer = torch.optim.AdamW([dict(group) for group in self.phase.groups])  # torch writes into them
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.phase.schedule(step / self.data.steps_per_epoch, self.phase.epochs)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def train_dataloader(self) -> Iterable[Batch]:
        """Batches of the current epoch; seed, phase and epoch alone give their order, so a resumed run repeats it."""
        return self.data.training(derive_seed(self.seed, f"{self.phase.name}/{self.current_epoch}/order"))

    def val_dataloader(self) -> Sequence[Iterable[Batch]]:
        """Validation rows in order, as they are; after them those of the target, if any."""
        return self.data.validation()

    def on_train_epoch_start(self) -> None:
        """Restart the stream of dropout and augmentation, so that it doesn't depend on how the run got here."""
        torch.manual_seed(derive_seed(self.seed, f"{self.phase.name}/{self.current_epoch}/noise"))
        self.augmentation, self.target_augmentation = (
            torch.Generator().manual_seed(derive_seed(self.seed, f"{self.phase.name}/{self.current_epoch}/{name}"))
            for name in ("augmentation", "target_augmentation")
        )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002 - lightning's signature
        """Turn images into floats and augment them on the device; cached activations become float32."""
        batch = batch.with_inputs(self.data.as_float)
        if self.trainer.training and self.phase.cut == 0:
            batch = self._augmented(batch)
        return batch.with_inputs(lambda inputs: in_format(inputs, self.number_format))

    def _augmented(self, batch: Batch) -> Batch:
        """Other views of both domains; where the target comes twice, its first view stays as it is."""
        policy = POLICIES[self.data.policy]
        source = replace(batch, inputs=policy(batch.inputs, self.augmentation))
        if batch.target is None:
            return source
        if batch.target_again is not None:
            return replace(source, target_again=policy(batch.target_again, self.target_augmentation))
        return replace(source, target=policy(batch.target, self.target_augmentation))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002 - lightning's signature
        """One step of the method."""
        terms = self.method.losses(batch, self.progress)
        self.log("train_loss", terms.total, on_step=False, on_epoch=True, batch_size=len(batch))
        for name, part in terms.parts.items():
            self.log(f"train_{name}", part, on_step=False, on_epoch=True, batch_size=len(batch))
        return terms.total

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002 - lightning's signature
    ) -> None:
        """Clip the norm of each part by itself (`part` of a group), so that an adversary does not slow the network."""
        parts: dict[str, list[nn.Parameter]] = {}
        for group in optimizer.param_groups:
            parts.setdefault(group.get("part", "network"), []).extend(group["params"])
        for parameters in parts.values():
            torch.nn.utils.clip_grad_norm_(parameters, gradient_clip_val or math.inf)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002 - lightning's signature
        """Keep the predictions; the epoch is judged on all of them together."""
        of_target = dataloader_idx == 1
        found = self.method.predictions(batch, of_target=of_target)
        labels_N = batch.labels_N if found.labels is None else found.labels
        self.validated.add(found, labels_N, of_target=of_target)

    def on_validation_epoch_end(self) -> None:
        """Judge the epoch.

        Raises:
            UserError: where a prediction is NaN or infinite: the step before it broke the weights.
        """
        outputs, self.validated = self.validated.outputs(), Validated()
        logits_NC, labels_N = torch.from_numpy(outputs.logits_NC).float(), torch.from_numpy(outputs.labels_N)
        if not _are_finite(outputs):
            raise UserError(
                f"Predictions became NaN or infinite in phase '{self.phase.name}', epoch {self.current_epoch}, after "
                f"its last step. {MEND_NAN}"
            )
        self.log("val_loss", nn.functional.cross_entropy(logits_NC, labels_N))
        for name, score in self.method.scores(outputs).items():
            self.log(name, torch.tensor(score, dtype=torch.float64))
        self.log("selection", torch.tensor(self.method.selection(outputs), dtype=torch.float64), prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out what is frozen: an epoch on cached features may take less time than writing a whole trunk.

        The frozen part is in the weights that the phase began with.
        """
        moving = moving_tensors(self.network)
        state: dict[str, Tensor] = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: state[name] for name in state if name.partition(".")[2] in moving}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what is frozen from the network, which is what the phase began with."""
        checkpoint["state_dict"] = {**self.state_dict(), **checkpoint["state_dict"]}

    @property
    def progress(self) -> float:
        """Share of the phase's steps that are done, 0 to 1."""
        return min(self.global_step / (self.data.steps_per_epoch * self.phase.epochs), 1.0)


class Validated:
    """Predictions of an epoch's validation rows, batch by batch."""

    def __init__(self) -> None:
        self.source: list[Predictions] = []
        self.labels: list[Tensor] = []
        self.target: list[Predictions] = []

    def add(self, predictions: Predictions, labels_N: Tensor, *, of_target: bool) -> None:
        """Keep those of one batch; labels of target rows mean nothing and are let go."""
        if of_target:
            self.target.append(predictions)
        else:
            self.source.append(predictions)
            self.labels.append(labels_N)

    def outputs(self) -> Outputs:
        """All of them together."""
        of_target: dict[str, Any] = {}
        if self.target:
            of_target["target_logits_MC"] = _joined(each.logits for each in self.target)
            of_target["target_features_MH"] = _joined(each.features for each in self.target)
        labels_N = torch.cat(self.labels).cpu().numpy()
        logits_NC = _joined(each.logits for each in self.source)
        assert logits_NC is not None
        return Outputs(logits_NC, labels_N, _joined(each.features for each in self.source), **of_target)


def _joined(parts: Iterable[Tensor | None]) -> NDArray[np.float64] | None:
    """Rows of all batches in double precision; None where a method tells none."""
    known = [part.float() for part in parts if part is not None]
    return torch.cat(known).cpu().double().numpy() if known else None


def _are_finite(outputs: Outputs) -> bool:
    target = outputs.target_logits_MC
    return bool(np.isfinite(outputs.logits_NC).all() and (target is None or np.isfinite(target).all()))


def moving_tensors(network: nn.Module) -> set[str]:
    """Names of parameters that learn, and of all buffers but those of modules that training leaves in eval mode."""
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    still = [name for name, module in network.named_modules() if network.training and not module.training]
    fixed = {
        f"{name}.{buffer}" for name in still for buffer, _ in network.get_submodule(name).named_buffers(recurse=False)
    }
    return learning | {name for name, _ in network.named_buffers()} - fixed
