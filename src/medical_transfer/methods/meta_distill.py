"""Meta-distillation: a teacher's soft answers drive the inner loop, and the adapted student is judged on the queries.

Source: the chapter, 4.3. Departures, each of which is needed for it to work: the gradients of the inner steps are taken
at the adapted weights and the queries are answered with them (the chapter uses the first weights for both, so that its
adaptation has no effect); the divergence has its factor T^2; the teacher is no fixed network with the classes of
nobody's episode but frozen pretrained features under a head fitted to the support (`layers.class_means.imprinted`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from medical_transfer.config.few_shot import MetaDistill as Own
from medical_transfer.data.episodes import Task
from medical_transfer.layers.class_means import imprinted
from medical_transfer.layers.fast_weights import Weights, run
from medical_transfer.losses.kd import soft_divergence, weighed
from medical_transfer.methods.episodic import Adapting
from medical_transfer.models.episode_networks import EpisodeNetwork
from medical_transfer.types import UserError

TOLD = "features"
"""What the teacher's frozen trunk made of the images of an episode."""


class MetaDistill(Adapting):
    """The student sees the labels of a support set only through the teacher."""

    own: Own

    def __init__(self, network: EpisodeNetwork, own: Own, *, ways: int, rounds: int) -> None:
        super().__init__(network, own, ways=ways, rounds=rounds)
        self.own, self.first_order = own, own.first_order

    def support_loss(self, task: Task, weights: Weights) -> Tensor:
        """T^2 KL(teacher || student) on the support set."""
        student = run(self.network, weights, task.support, len(task.support))
        return soft_divergence(student, self.teach(task, task.told), temperature=self.own.temperature)

    def task_loss(self, task: Task) -> Tensor:
        """Cross-entropy of the queries under the adapted weights, and beside it the teacher's answers to them."""
        logits = self.queries(task, self.adapt(task, self.own.inner_steps))
        hard = functional.cross_entropy(logits, task.query_labels)
        if self.own.query_weight == 0:
            return hard
        soft = soft_divergence(logits, self.teach(task, task.told_query), temperature=self.own.temperature)
        return weighed(soft, hard, soft_weight=self.own.query_weight)

    def teach(self, task: Task, told: dict[str, Tensor]) -> Tensor:
        """The teacher's logits, of images of whom its trunk told; no gradient reaches it.

        Raises:
            UserError: where no teacher looked at the images.
        """
        if TOLD not in told:
            raise UserError("Meta-distillation needs a teacher, but no frozen features come with these episodes.")
        with torch.no_grad():
            return imprinted(task.told[TOLD], told[TOLD], ways=self.ways).detach()
