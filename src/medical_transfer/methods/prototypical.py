"""Prototypical networks: a class is the mean of its support's features, and the nearest mean answers.

Source: Snell, Swersky & Zemel 2017, "Prototypical Networks for Few-shot Learning", eq. 1 and 2, with squared distances.
Departure: the learning rate falls along a cosine, where theirs is halved every 2,000 episodes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from medical_transfer.config.few_shot import Prototypical as PrototypicalBudget
from medical_transfer.data.episodes import Task
from medical_transfer.layers.class_means import nearest_mean
from medical_transfer.methods.contract import Phase
from medical_transfer.methods.episodic import Episodic
from medical_transfer.schedules import warmup_cosine


class Prototypical(Episodic):
    """Learns an embedding; nothing of it is adapted to a task."""

    own: PrototypicalBudget
    has_head = False

    def phases(self) -> tuple[Phase, ...]:
        """As for all, along a cosine."""
        (phase,) = super().phases()
        return (replace(phase, schedule=warmup_cosine),)

    def task_loss(self, task: Task) -> Tensor:
        """Cross-entropy of the queries, of which training episodes may have more classes."""
        return functional.cross_entropy(self._logits(task, self.own.ways or self.ways), task.query_labels)

    def answers(self, task: Task, steps: int | None = None) -> Tensor:  # noqa: ARG002 - there are no steps
        """Logits (Q, C) of the queries."""
        return self._logits(task, self.ways).detach()

    def _logits(self, task: Task, ways: int) -> Tensor:
        known = len(task.support)
        features_MH = self.network.embed(torch.cat([task.support, task.query]), known)
        return nearest_mean(features_MH[:known], features_MH[known:], ways=ways)
