"""ANIL: almost no inner loop; only the head adapts to a task, on features that are meta-learned.

Source: Raghu, Raghu, Bengio & Vinyals 2020, "Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness
of MAML", section 4. The images go through the body once; second derivatives of the small head cost nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from medical_transfer.data.episodes import Task
from medical_transfer.layers.fast_weights import Weights
from medical_transfer.methods.episodic import Adapting


class Anil(Adapting):
    """Inner steps move weight and bias of the head."""

    def begin(self, task: Task) -> tuple[Any, Weights]:
        """The loss of the support's features under a head."""
        features = self.network.embed(task.support, len(task.support))
        head = self.network.head
        assert head is not None, "the network was built without a head"
        return (
            lambda weights: functional.cross_entropy(_logits(features, weights), task.labels),
            {"weight": head.weight, "bias": head.bias},
        )

    def queries(self, task: Task, weights: Weights) -> Tensor:
        """Logits (Q, C) of the queries under another head."""
        images = torch.cat([task.support, task.query])
        return _logits(self.network.embed(images, len(task.support))[len(task.support) :], weights)


def _logits(features_NH: Tensor, weights: Weights) -> Tensor:
    return functional.linear(features_NH, weights["weight"], weights["bias"])
