"""Reptile: the weights move towards those that each task ends at.

Source: Nichol, Achiam & Schulman 2018, "On First-Order Meta-Learning Algorithms", algorithm 2 (batched): phi <- phi +
epsilon mean_i (phi'_i - phi). Departures: the step is the gradient of half the squared distance to the adapted weights,
which are constants, so that any optimizer takes it (here Adam); a task's support and queries are learned from together,
as there no image is held back in training.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medical_transfer.data.episodes import Task
from medical_transfer.layers.fast_weights import weights_of
from medical_transfer.methods.episodic import Adapting


class Reptile(Adapting):
    """Its inner loop is plain gradient descent; nothing goes back through it."""

    first_order = True

    def task_loss(self, task: Task) -> Tensor:
        """1/2 ||phi - phi'||^2, whose gradient is phi - phi'."""
        whole = task._replace(
            support=torch.cat([task.support, task.query]), labels=torch.cat([task.labels, task.query_labels])
        )
        ends = self.adapt(whole, self.own.inner_steps)
        distances = [(each - ends[name].detach()).square().sum() for name, each in weights_of(self.network).items()]
        return torch.stack(distances).sum() / 2
