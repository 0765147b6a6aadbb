"""Batches by slicing arrays: no worker processes, no pickling, the same order for the same seed and epoch.

A thread may cut them a little ahead into page-locked memory, from which an accelerator takes them while it works.

Three things can be learned from, all of them memory maps on disk: images (uint8), activations at the cut of a frozen
trunk, and features at its end. The last two hold several augmented views of each image; an epoch draws one of them.
Rows of a second domain come beside those of the first; their labels never do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medical_transfer.data.ahead import in_order
from medical_transfer.runtime.devices import move
from medical_transfer.runtime.seeds import derive_seed


@dataclass(frozen=True)
class Batch:
    """Inputs (images N3SS uint8, or activations/features float), labels N, and the rows they came from.

    Of a second domain there may be inputs beside them, `target` (M rows, without labels), and the same rows under an
    augmented view, `target_again`. `told` is what a teacher made of the same views, by name: `logits` and so on.
    """

    inputs: Tensor
    labels_N: Tensor
    rows_N: Tensor
    target: Tensor | None = None
    target_again: Tensor | None = None
    told: Mapping[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> Batch:
        """Move the batch to a device (the name that Lightning calls)."""
        return self._each(lambda tensor: move(tensor, device))

    def pinned(self) -> Batch:
        """The batch in page-locked memory."""
        return self._each(lambda tensor: tensor.pin_memory())

    def with_inputs(self, changed: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with the inputs of both domains changed; labels, rows and what a teacher told as they are."""
        target, again = (None if each is None else changed(each) for each in (self.target, self.target_again))
        return replace(self, inputs=changed(self.inputs), target=target, target_again=again)

    def _each(self, changed: Callable[[Tensor], Tensor]) -> Batch:
        told = {name: changed(each) for name, each in self.told.items()}
        labels_N, rows_N = changed(self.labels_N), changed(self.rows_N)
        return replace(self.with_inputs(changed), labels_N=labels_N, rows_N=rows_N, told=told)

    def __len__(self) -> int:
        return len(self.labels_N)


@dataclass(frozen=True)
class Rows:
    """What batches are cut from: one array per view, `views_V[v][slots[i]]` being row i under view v.

    View 0 is the image as it is; further views are augmented. `labels_N` are class numbers. `told_V[name][v][i]` is
    what a teacher made of row i under view v.
    """

    views_V: tuple[NDArray[Any], ...]
    slots_VN: tuple[NDArray[np.int64], ...]
    labels_N: NDArray[np.int64]
    told_V: Mapping[str, tuple[NDArray[Any], ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels_N)

    def take(self, rows_n: NDArray[np.int64], view_n: NDArray[np.int64]) -> Tensor:
        """Row `rows_n[i]` under view `view_n[i]`, stacked."""
        views, slots = self.views_V, self.slots_VN
        return torch.from_numpy(np.stack([views[v][slots[v][r]] for r, v in zip(rows_n, view_n, strict=True)]))

    def told(self, rows_n: NDArray[np.int64], view_n: NDArray[np.int64]) -> dict[str, Tensor]:
        """What a teacher made of row `rows_n[i]` under view `view_n[i]`, by name."""
        return {
            name: torch.from_numpy(np.stack([of_V[v][r] for r, v in zip(rows_n, view_n, strict=True)]))
            for name, of_V in self.told_V.items()
        }

    def under(self, views: slice) -> Rows:
        """The same rows under some of the views; where those are none (images are not cached as views), under all."""
        kept = views if self.views_V[views] else slice(None)
        told_V = {name: of_V[kept] for name, of_V in self.told_V.items()}
        return replace(self, views_V=self.views_V[kept], slots_VN=self.slots_VN[kept], told_V=told_V)


class Batches:
    """An epoch of batches over `rows`, shuffled by `seed` (None: in order, view 0).

    With `steps` an epoch has so many whole batches: where the rows run out they come again, shuffled anew, so that a
    small set is given as many steps as a large one. With `ahead` a thread cuts the next batches and page-locks them.
    """

    def __init__(
        self, rows: Rows, *, batch_size: int, seed: int | None = None, steps: int | None = None, ahead: bool = False
    ) -> None:
        self.rows, self.batch_size, self.seed, self.steps, self.ahead = rows, batch_size, seed, steps, ahead

    def __len__(self) -> int:
        if self.steps is not None:
            return self.steps
        n, size = len(self.rows), self.batch_size
        # A last batch of one image has no batch statistics: it joins no epoch of training.
        return -(-n // size) - (1 if self.seed is not None and n % size == 1 and n > 1 else 0)

    def __iter__(self) -> Iterator[Batch]:
        order, views = self._order()

        def cut(start: int) -> Batch:
            rows, drawn = (each[start : start + self.batch_size] for each in (order, views))
            inputs, told = self.rows.take(rows, drawn), self.rows.told(rows, drawn)
            batch = Batch(inputs, torch.from_numpy(self.rows.labels_N[rows]), torch.from_numpy(rows), told=told)
            return batch.pinned() if self.ahead else batch

        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return in_order(cut, starts, workers=1) if self.ahead else map(cut, starts)

    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        n = len(self.rows)
        if self.seed is None:
            return np.arange(n), np.zeros(n, dtype=np.int64)
        rng = np.random.default_rng(self.seed)
        wanted = n if self.steps is None else self.steps * self.batch_size
        order = np.concatenate([rng.permutation(n) for _ in range(-(-wanted // n))])[:wanted]
        return order, rng.integers(0, len(self.rows.views_V), wanted)


class PairedBatches:
    """An epoch of batches with as many rows of a second domain beside those of the first, all of them whole.

    It has as many steps as show each row of the longer set at least once (or `steps`); where rows run out they come
    again, shuffled anew. The first domain is shuffled by `seed` alone, so its order is that which it has without the
    second one. With `twice` target rows come as they are and, the same rows, under an augmented view.
    """

    def __init__(
        self,
        source: Rows,
        target: Rows,
        *,
        batch_size: int,
        seed: int,
        steps: int | None = None,
        twice: bool = False,
        ahead: bool = False,
    ) -> None:
        self.twice = twice
        self.steps = -(-max(len(source), len(target)) // batch_size) if steps is None else steps

        def batches(rows: Rows, seed: int) -> Batches:
            return Batches(rows, batch_size=batch_size, seed=seed, steps=self.steps, ahead=ahead)

        other = derive_seed(seed, "target")
        self.source = batches(source, seed)
        self.target = batches(target.under(slice(1)) if twice else target, other)
        self.target_again = batches(target.under(slice(1, None)), other)  # the order depends on the seed alone

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        if not self.twice:
            for mine, other in zip(self.source, self.target, strict=True):
                yield replace(mine, target=other.inputs)
            return
        for mine, other, again in zip(self.source, self.target, self.target_again, strict=True):
            yield replace(mine, target=other.inputs, target_again=again.inputs)


def as_float(inputs: Tensor) -> Tensor:
    """Images NSS3 uint8 -> N3SS in [0, 1]; activations of any float -> float32."""
    if inputs.dtype == torch.uint8:
        return inputs.permute(0, 3, 1, 2).float() / 255
    return inputs.float()
