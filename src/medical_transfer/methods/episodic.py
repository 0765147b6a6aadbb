"""What methods of meta-learning have in common: batches are episodes, and what is judged is how a task's queries fare.

No method itself. A task whose loss is no number is named, skipped and counted; the others of the batch go on.
Shapes: T tasks of a batch, Q queries of one, C classes of one.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_map

from medical_transfer.config.few_shot import Budget, InnerLoop
from medical_transfer.data.episodes import EpisodeBatch, Task
from medical_transfer.data.loaders import Batch
from medical_transfer.layers.fast_weights import Weights, adapted, descend, each_task, run, weights_of
from medical_transfer.methods.contract import LossTerms, Outputs, Phase, Predictions
from medical_transfer.metrics.classification import auroc
from medical_transfer.models.episode_networks import EpisodeNetwork
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)


class Episodic(nn.Module, ABC):
    """Learns from episodes; a method says what a task's loss is, and how queries are answered after adaptation."""

    has_head = True
    """Whether the network needs a linear head."""

    def __init__(self, network: EpisodeNetwork, own: Budget, *, ways: int, rounds: int) -> None:
        super().__init__()
        self.network, self.own, self.ways, self.rounds = network, own, ways, rounds
        self.skipped = 0

    @abstractmethod
    def task_loss(self, task: Task) -> Tensor:
        """What is minimised, of one task, a scalar."""

    @abstractmethod
    def answers(self, task: Task, steps: int | None = None) -> Tensor:
        """Logits (Q, C) of a task's queries after `steps` of adaptation; None: as many as the configuration says."""

    def answers_by_step(self, task: Task, steps: int) -> Tensor:
        """Logits (steps + 1, Q, C) before adaptation and after each step; the same where nothing is adapted."""
        return self.answers(task).expand(steps + 1, -1, -1)

    def phases(self) -> tuple[Phase, ...]:
        """One: all of the network learns."""
        group = {
            "name": "network",
            "params": list(self.network.parameters()),
            "lr": self.own.learning_rate,
            "weight_decay": 0.0,
        }
        return (Phase("meta", 0, 0, self.rounds, (group,)),)

    def start(self, phase: Phase) -> None:
        """Nothing is frozen."""

    def losses(self, batch: Batch, progress: float) -> LossTerms:  # noqa: ARG002 - a loss that doesn't change in time
        """The mean over the tasks of the batch.

        Raises:
            UserError: where not one of them has a loss that is a number.
        """
        assert isinstance(batch, EpisodeBatch)
        tasks = batch.tasks()
        losses_T = self.each(self.task_loss, tasks)
        sound = self._sound(losses_T, batch)
        if not sound.all():  # a product with 0 would leave NaN in the gradient: the others are computed again
            losses_T = self.each(self.task_loss, _some(tasks, sound))
        return LossTerms(losses_T.mean(), {"skipped": (~sound).sum().float()})

    def predictions(self, batch: Batch, *, of_target: bool = False) -> Predictions:  # noqa: ARG002 - it knows one domain
        """Logits and labels of all queries of the batch."""
        assert isinstance(batch, EpisodeBatch)
        tasks = batch.tasks()
        logits_TQC = self.each(self.answers, tasks)
        sound = self._sound(logits_TQC.sum(dim=(1, 2)), batch)
        return Predictions(logits_TQC[sound].flatten(0, 1), labels=tasks.query_labels[sound].flatten())

    def selection(self, outputs: Outputs) -> float:
        """Accuracy on the queries of validation episodes."""
        return float((outputs.logits_NC.argmax(axis=1) == outputs.labels_N).mean())

    def scores(self, outputs: Outputs) -> Mapping[str, float]:
        """AUROC over the places of classes in their episodes, as the history has it, and the accuracy by its name."""
        ones = np.ones((1, len(outputs.labels_N)))
        area = auroc(outputs.labels_N, softmax(outputs.logits_NC, axis=1), ones)[0]
        return {"val_auroc": float(area), "val_accuracy": self.selection(outputs)}

    def predictor(self) -> EpisodeNetwork:
        """The network with the weights from which tasks are learned."""
        return self.network

    def each(self, of_one: Any, tasks: Task) -> Any:
        """A function of one task for all of them."""
        return each_task(of_one, tasks, together=self.network.together)

    def _sound(self, values_T: Tensor, batch: EpisodeBatch) -> Tensor:
        sound = torch.isfinite(values_T.detach())
        if sound.all():
            return sound
        lost = [name for name, fine in zip(batch.names, sound.tolist(), strict=True) if not fine]
        self.skipped += len(lost)
        logger.warning("Adaptation ended in NaN or infinity, skipped (%d so far): %s", self.skipped, "; ".join(lost))
        if not sound.any():
            raise UserError(
                f"Adaptation ended in NaN or infinity for all {len(lost)} tasks of a batch (first: {lost[0]}). Lower "
                "the method's inner_learning_rate or learning_rate."
            )
        return sound


class Adapting(Episodic):
    """A method whose inner loop takes gradient steps on the support set."""

    own: InnerLoop
    first_order: bool = False

    def begin(self, task: Task) -> tuple[Any, Weights]:
        """What the inner loop minimises, a function of weights, and where it begins: all weights by default."""
        return (lambda weights: self.support_loss(task, weights)), weights_of(self.network)

    def support_loss(self, task: Task, weights: Weights) -> Tensor:
        """Cross-entropy of the support set under other weights."""
        logits = run(self.network, weights, task.support, len(task.support))
        return functional.cross_entropy(logits, task.labels)

    def queries(self, task: Task, weights: Weights) -> Tensor:
        """Logits (Q, C) of the queries under other weights; norms know the support alone."""
        images = torch.cat([task.support, task.query])
        return run(self.network, weights, images, len(task.support))[len(task.support) :]

    def adapt(self, task: Task, steps: int) -> Weights:
        """The weights after so many steps on the support set."""
        loss, weights = self.begin(task)
        return adapted(loss, weights, **self._descent(steps))

    def task_loss(self, task: Task) -> Tensor:
        """Cross-entropy of the queries under the adapted weights."""
        return functional.cross_entropy(self.queries(task, self.adapt(task, self.own.inner_steps)), task.query_labels)

    def answers(self, task: Task, steps: int | None = None) -> Tensor:
        """Logits (Q, C) of the queries under the weights adapted to the support."""
        return self.queries(task, self.adapt(task, self.own.test_steps if steps is None else steps)).detach()

    def answers_by_step(self, task: Task, steps: int) -> Tensor:
        """Logits (steps + 1, Q, C) of the queries, before adaptation and after each step."""
        loss, weights = self.begin(task)
        return torch.stack([self.queries(task, now).detach() for now in descend(loss, weights, **self._descent(steps))])

    def _descent(self, steps: int) -> dict[str, Any]:
        return {"steps": steps, "learning_rate": self.own.inner_learning_rate, "first_order": self.first_order}


def _some(tasks: Task, chosen_T: Tensor) -> Task:
    found: Task = tree_map(lambda each: each[chosen_T], tasks)
    return found
