"""Heads: features (N, D) to logits (N, C). An explicit menu; the name is a value of `model.head`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from medical_transfer.types import UserError

HIDDEN = 512
DANN_HIDDEN = 256
"""Hidden units of the chapter's class head beside a discriminator (section 3.2)."""
PAPER_HIDDEN = 100
"""Hidden units of the paper's, in each of two layers (Ganin et al. 2016, figure 4a)."""


def build_head(kind: str, *, feature_dim: int, classes: int, dropout: float, seed: int) -> nn.Sequential:
    """Build a new head; its initial weights come from `seed` alone.

    Args:
        kind: a name of HEADS.
        feature_dim: D of the trunk.
        classes: C.
        dropout: before the linear head; the chapter's heads have their own.
        seed: of the initial weights; torch's global random numbers stay where they were.

    Raises:
        UserError: where no head has that name.
    """
    if kind not in HEADS:
        raise UserError(f"Unknown head {kind!r}: choose one of {', '.join(HEADS)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HEADS[kind](feature_dim, classes, dropout)


def halves(head: nn.Sequential) -> tuple[nn.Sequential, nn.Sequential]:
    """What comes before the last linear layer, and that layer with the dropout right before it.

    Between the two lie the features that adaptation aligns (`training.adaptation.align=hidden`): those of the trunk
    where a linear layer is all there is.
    """
    cut = max(place for place, module in enumerate(head) if isinstance(module, nn.Linear))
    while cut and isinstance(head[cut - 1], nn.Dropout):
        cut -= 1
    return head[:cut], head[cut:]


def linear(feature_dim: int, classes: int, dropout: float) -> nn.Sequential:
    """Dropout and one linear layer: C (D + 1) parameters."""
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(feature_dim, classes))


def chapter_2_1(feature_dim: int, classes: int, _dropout: float) -> nn.Sequential:
    """Head of the chapter's section 2.1: 512 (D + 1) + C 513 parameters."""
    return nn.Sequential(
        nn.Dropout(0.5),
        nn.Linear(feature_dim, HIDDEN),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(HIDDEN, classes),
    )


def chapter_3_2(feature_dim: int, classes: int, _dropout: float) -> nn.Sequential:
    """Class head of the chapter's DANN (section 3.2): 256 (D + 1) + C 257 parameters."""
    return nn.Sequential(nn.Linear(feature_dim, DANN_HIDDEN), nn.ReLU(), nn.Linear(DANN_HIDDEN, classes))


def dann_paper(feature_dim: int, classes: int, _dropout: float) -> nn.Sequential:
    """Class head of Ganin et al. 2016, figure 4a: 100 (D + 1) + 10,100 + C 101 parameters."""
    return nn.Sequential(
        *(nn.Linear(feature_dim, PAPER_HIDDEN), nn.ReLU()),
        *(nn.Linear(PAPER_HIDDEN, PAPER_HIDDEN), nn.ReLU()),
        nn.Linear(PAPER_HIDDEN, classes),
    )


def chapter_5_1(feature_dim: int, classes: int, _dropout: float) -> nn.Sequential:
    """Head of the chapter's section 5.1, batch norm after ReLU: 512 (D + 1) + 1024 + C 513 parameters."""
    return nn.Sequential(
        nn.Dropout(0.5),
        nn.Linear(feature_dim, HIDDEN),
        nn.ReLU(),
        nn.BatchNorm1d(HIDDEN),
        nn.Dropout(0.3),
        nn.Linear(HIDDEN, classes),
    )


HEADS: dict[str, Callable[[int, int, float], nn.Sequential]] = {
    "linear": linear,
    "chapter_2_1": chapter_2_1,
    "chapter_3_2": chapter_3_2,
    "chapter_5_1": chapter_5_1,
    "dann_paper": dann_paper,
}
