"""MAML: weights from which a few gradient steps on a task's support set lead to a low loss on its queries.

Source: Finn, Abbeel & Levine 2017, algorithm 1, with cross-entropy: theta <- theta - beta grad sum_i L_i(theta'_i).
First order (their section 5.2): the inner gradients are taken as constants. Departure: the outer steps are Adam's on
the mean over tasks. Memory of the second order grows with inner steps, images of a support set and
tasks of a batch.
"""

from __future__ import annotations

from medical_transfer.config.few_shot import Maml as Own
from medical_transfer.methods.episodic import Adapting
from medical_transfer.models.episode_networks import EpisodeNetwork


class Maml(Adapting):
    """All weights adapt; the gradient goes back through the inner steps unless `first_order`."""

    def __init__(self, network: EpisodeNetwork, own: Own, *, ways: int, rounds: int) -> None:
        super().__init__(network, own, ways=ways, rounds=rounds)
        self.own, self.first_order = own, own.first_order
