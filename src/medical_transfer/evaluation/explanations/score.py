"""The number that is explained: the log-odds of a class.

A softmax does not change where all logits rise together, so a single logit holds an arbitrary part that no training
fixes; the log-odds do not, and unlike a probability they do not flatten where a model is sure.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def log_odds(logits_NC: Tensor) -> Tensor:
    """Log-odds (N, C) of each class against all others: y_c - log sum_{k != c} exp y_k; of two classes y_c - y_k.

    Departure from Grad-CAM's paper, which explains y_c alone.
    """
    own_CC = torch.eye(logits_NC.shape[1], dtype=torch.bool, device=logits_NC.device)
    others_NC = logits_NC[:, None, :].masked_fill(own_CC, -torch.inf).logsumexp(dim=2)
    return logits_NC - others_NC


class LogOdds(nn.Module):
    """A network whose logits (N, C) become log-odds (N, C)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Log-odds (N, C) of images."""
        return log_odds(self.network(images))
