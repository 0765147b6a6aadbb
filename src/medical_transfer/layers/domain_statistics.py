"""Batch norm with running statistics of its own for each domain, while weights and biases are shared.

Source: Chang et al. 2019, "Domain-Specific Batch Normalization for Unsupervised Domain Adaptation", section 3.
Departure: there each domain has its own affine weights too; here only means and variances differ (as in Li et al. 2017,
AdaBN).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

NAMES = ("running_mean", "running_var", "num_batches_tracked")


class DomainStatistics(nn.Module):
    """The source's running statistics of all batch norms of a network, whose own ones are the target's.

    Until the source is first trained on they are those that the network has then.
    """

    known: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        found = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self._norms = [norm for norm in found if norm.track_running_stats]  # a list: they are the network's, not ours
        self.register_buffer("known", torch.tensor(False))  # noqa: FBT003 - a value
        for place, norm in enumerate(self._norms):
            for name in NAMES:
                self.register_buffer(f"{name}_{place}", getattr(norm, name).detach().clone())

    @contextmanager
    def of_source(self) -> Iterator[None]:
        """Let the network use, and in training mode move, the source's statistics."""
        if not self.known:
            self._take()
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _take(self) -> None:
        for place, norm in enumerate(self._norms):
            for name in NAMES:
                getattr(self, f"{name}_{place}").copy_(getattr(norm, name))
        if self.training:
            self.known.fill_(True)  # noqa: FBT003 - a value

    def _swap(self) -> None:
        for place, norm in enumerate(self._norms):
            for name in NAMES:
                theirs, ours = getattr(norm, name), getattr(self, f"{name}_{place}")
                setattr(norm, name, ours)
                setattr(self, f"{name}_{place}", theirs)
