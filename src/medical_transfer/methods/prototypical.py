"""Prototypical networks: a class is the mean of its support's features, and the nearest mean answers.

Source: Snell, Swersky & Zemel 2017, "Prototypical Networks for Few-shot Learning", eq. 1 and 2, with squared distances.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from medical_transfer.data.episodes import Task
from medical_transfer.layers.class_means import nearest_mean
from medical_transfer.methods.episodic import Episodic


class Prototypical(Episodic):
    """Learns an embedding; nothing of it is adapted to a task."""

    has_head = False

    def task_loss(self, task: Task) -> Tensor:
        """Cross-entropy of the queries."""
        return functional.cross_entropy(self._logits(task), task.query_labels)

    def answers(self, task: Task, steps: int | None = None) -> Tensor:  # noqa: ARG002 - there are no steps
        """Logits (Q, C) of the queries."""
        return self._logits(task).detach()

    def _logits(self, task: Task) -> Tensor:
        known = len(task.support)
        features_MH = self.network.embed(torch.cat([task.support, task.query]), known)
        return nearest_mean(features_MH[:known], features_MH[known:], ways=self.ways)
