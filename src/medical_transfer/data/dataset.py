"""The images of a manifest as numbers: which slot of the cache, which class, which group, for each split."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.data.cache import ImageCache
from medical_transfer.data.manifest import readable, usable_rows
from medical_transfer.runtime.seeds import generator
from medical_transfer.types import Split, UserError

UNKNOWN = -1
"""The class number of rows whose label is not looked at."""


@dataclass(frozen=True)
class LabelledRows:
    """Rows of one split that can be learned from or judged: slots N, class numbers N, group numbers N."""

    image_ids: tuple[str, ...]
    slots_N: NDArray[np.int64]
    labels_N: NDArray[np.int64]
    groups_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.image_ids)

    def take(self, rows_n: NDArray[np.int64]) -> LabelledRows:
        """Some of the rows, by their numbers."""
        ids = tuple(self.image_ids[row] for row in rows_n)
        return LabelledRows(ids, self.slots_N[rows_n], self.labels_N[rows_n], self.groups_N[rows_n])


def class_names(manifest: pd.DataFrame) -> tuple[str, ...]:
    """Names of the classes in use, sorted: their place is their number."""
    return tuple(sorted(str(label) for label in manifest.loc[usable_rows(manifest), "label"].dropna().unique()))


def labelled_rows(manifest: pd.DataFrame, cache: ImageCache, split: Split) -> LabelledRows:
    """The usable rows of one split, in the manifest's order.

    Raises:
        UserError: where the split has no usable row.
    """
    mine = readable(manifest, split).dropna(subset="label")
    if mine.empty:
        raise UserError(f"The manifest has no usable image in split '{split}': check split.* and the audit's reasons.")
    names = class_names(manifest)
    labels_N = np.array([names.index(label) for label in mine["label"]], dtype=np.int64)
    return replace(without_labels(mine, cache), labels_N=labels_N)


def unlabelled_rows(manifest: pd.DataFrame, cache: ImageCache, split: Split) -> LabelledRows:
    """The readable rows of one split of a second site, in the manifest's order; all have the label `UNKNOWN`.

    Here its labels are dropped: nothing that is made from these rows can know them. Rows without one are among them.
    """
    return without_labels(readable(manifest, split), cache)


def without_labels(rows: pd.DataFrame, cache: ImageCache) -> LabelledRows:
    """Rows of a manifest in their order, all with the label `UNKNOWN`."""
    image_ids = tuple(rows["image_id"])
    return LabelledRows(
        image_ids=image_ids,
        slots_N=cache.slots(image_ids) if image_ids else np.empty(0, dtype=np.int64),
        labels_N=np.full(len(image_ids), UNKNOWN, dtype=np.int64),
        groups_N=pd.factorize(rows["group_id"])[0].astype(np.int64),
    )


def scored_rows(rows: LabelledRows, limit: int, seed: int) -> LabelledRows:
    """At most `limit` training rows that sources are scored on, evenly over classes; the same for one root seed."""
    return rows.take(evenly_over_classes(rows.labels_N, limit, generator(seed, "scored images")))


def evenly_over_classes(labels_N: NDArray[np.int64], limit: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers, ascending, of at most `limit` rows, as many from each class as it has and as the others leave."""
    shuffled = rng.permutation(len(labels_N))
    rank_within_class = pd.Series(labels_N[shuffled]).groupby(labels_N[shuffled]).cumcount().to_numpy()
    chosen = shuffled[np.argsort(rank_within_class, kind="stable")[:limit]]
    return np.sort(chosen)
