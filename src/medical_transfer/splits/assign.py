"""Which split each image goes to: given splits are honoured and audited, the rest is a stratified draw of whole groups.

Legend: N images, G groups, C classes, S splits that are drawn, K (group, class) cells that hold images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.split import SplitConfig
from medical_transfer.types import SPLITS, UserError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Words = NDArray[Any]
"""Object arrays of str, with None where nothing is known."""

_STRONGEST_FIRST = ("test", "val", "train")


def assign_splits(
    groups_N: Ints,
    labels_N: Words,
    given_N: Words,
    config: SplitConfig,
    rng: np.random.Generator,
    *,
    paths_N: Words | None = None,
) -> tuple[Words, Words]:
    """Split (N,) of every row, and a reason (N,) where a row is `excluded`, else None; errors name rows by `paths_N`.

    Without any given split, whole groups are drawn by class to the fractions of `config`. With given splits:

    - Test rows stay as given. Val rows that share a group with a test row, and train rows that share one with a test or
      val row, become `excluded`; with `config.strict` the call stops instead.
    - A row without a given split joins the strongest given split of its group (test, then val, then train); where its
      group has none it is a training row.
    - A split that no row is given to is carved out of train by whole groups. A missing val is
      `val_fraction / (1 - test_fraction)` of the training rows, a missing test `test_fraction / (1 - val_fraction)`;
      where both are missing they get their plain fractions.

    Every class is in every split, or the call stops: what cannot be learned, chosen by or tested on is said now and not
    after training. Rows without a label are drawn like a class of their own, without that promise; where no row has one
    (a second site), all may be given to test. Labels may differ within a group.

    Raises:
        UserError: a given split is unknown; groups in several given splits (strict); nothing left to train on; a class
            that a given split lacks, or with fewer groups than the splits that it must be in.
    """
    given_N = _known_splits(given_N)
    splits_N, reasons_N = _honour(groups_N, given_N, paths_N, strict=config.strict)
    missing = [split for split in ("val", "test") if not (given_N == split).any()]
    train_N = splits_N == "train"
    if not len(labels_N) or pd.notna(labels_N).any():
        _something_to_train_on(train_N)
    if missing and train_N.any():
        splits_N[train_N] = draw_splits(groups_N[train_N], labels_N[train_N], _fractions(missing, config), rng)
    _every_class_everywhere(labels_N, given_N, splits_N)
    return splits_N, reasons_N


def draw_splits(groups_N: Ints, labels_N: Words, fractions: dict[str, float], rng: np.random.Generator) -> Words:
    """Draw whole groups to the splits named in `fractions` (they sum to 1) so that each class comes near them.

    Greedy: groups in octaves of size, the largest first and in random order within an octave, each go where they raise
    the chi-square distance between what each split has and what it should have of each class the least. For groups of
    one image this is Webster's apportionment, so that a class is less than one image off. Then a class that a split
    lacks is sent there by moving the smallest group that leaves no gap behind.

    Raises:
        UserError: a class has fewer groups than there are splits, or classes share their groups so that no move helps.
    """
    cells = _Cells.of(groups_N, labels_N)
    _enough_groups(cells, len(fractions))
    wanted_SC = np.outer(list(fractions.values()), cells.class_totals())
    split_G = _greedy(cells, wanted_SC, rng)
    _fill_gaps(cells, split_G, list(fractions))
    return np.array(list(fractions), dtype=object)[split_G[cells.group_of]]


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """How many images of each class every group holds, group by group (compressed rows).

    group_of: (N,), number of each row's group. names: the classes, and None last for rows without a label. start: where
    each group begins in classes and counts, both (K,).
    """

    group_of: Ints
    names: list[str | None]
    start: Ints
    classes: Ints
    counts: Ints

    @classmethod
    def of(cls, groups_N: Ints, labels_N: Words) -> _Cells:
        group_N = np.unique(groups_N, return_inverse=True)[1]
        class_N, names = pd.factorize(np.asarray(labels_N, dtype=object), sort=True, use_na_sentinel=True)
        class_N = np.where(class_N < 0, len(names), class_N)
        codes_K, counts_K = np.unique(group_N * (len(names) + 1) + class_N, return_counts=True)
        groups_K, classes_K = np.divmod(codes_K, len(names) + 1)
        start = np.searchsorted(groups_K, np.arange(group_N.max(initial=-1) + 2))
        return cls(group_N, [*map(str, names), None], start, classes_K, counts_K)

    def class_totals(self) -> Ints:
        return np.bincount(self.classes, weights=self.counts, minlength=len(self.names)).astype(np.int64)

    def groups_of_class(self) -> Ints:
        return np.bincount(self.classes, minlength=len(self.names))

    def sizes(self) -> Ints:
        return np.add.reduceat(self.counts, self.start[:-1])

    def row(self, group: int) -> tuple[Ints, Ints]:
        part = slice(self.start[group], self.start[group + 1])
        return self.classes[part], self.counts[part]


def _known_splits(given_N: Words) -> Words:
    """The given splits with None for every kind of missing."""
    given_N = np.array(given_N, dtype=object)
    given_N[pd.isna(given_N)] = None
    unknown = sorted({str(split) for split in given_N if split is not None and split not in SPLITS})
    if unknown:
        raise UserError(
            f"Found the splits {', '.join(map(repr, unknown))}; expected train, val, test or nothing: rename them in "
            "the table or the folders."
        )
    return given_N


def _honour(groups_N: Ints, given_N: Words, paths_N: Words | None, *, strict: bool) -> tuple[Words, Words]:
    """Splits as given, missing ones filled from the group, and rows of weaker splits in a shared group excluded."""
    group_N = np.unique(groups_N, return_inverse=True)[1]
    strength_N = np.select([given_N == split for split in _STRONGEST_FIRST], [0, 1, 2], default=2)
    strongest_G = np.full(group_N.max(initial=-1) + 1, 2)
    np.minimum.at(strongest_G, group_N, strength_N)
    splits_N = np.array(_STRONGEST_FIRST, dtype=object)[strongest_G[group_N]]
    reasons_N = np.full(len(given_N), None, dtype=object)
    leaking = np.flatnonzero((given_N != splits_N) & (given_N != None))  # noqa: E711 (an array, compared by element)
    if strict and len(leaking):
        _refuse(leaking, group_N, given_N, splits_N, paths_N)
    for row in leaking:
        reasons_N[row] = (
            f"given split {given_N[row]}, but in one group (patient or near-duplicate) with {splits_N[row]}"
        )
    splits_N[leaking] = "excluded"
    return splits_N, reasons_N


def _refuse(leaking: Ints, group_N: Ints, given_N: Words, splits_N: Words, paths_N: Words | None) -> None:
    row = int(leaking[0])
    other = int(np.flatnonzero((group_N == group_N[row]) & (given_N == splits_N[row]))[0])
    one, two = (f"row {place}" if paths_N is None else paths_N[place] for place in (row, other))
    raise UserError(
        f"{len(np.unique(group_N[leaking]))} groups stand in more than one given split, through {len(leaking)} images "
        f"(for example {one} in {given_N[row]} and {two} in {splits_N[row]}): mend the splits, or "
        "set split.strict=false to exclude these images."
    )


def _something_to_train_on(train_N: NDArray[np.bool_]) -> None:
    if not train_N.any():
        raise UserError(
            f"The given splits leave no training image of {len(train_N)}: give some rows the split 'train', or none "
            "a split at all."
        )


def _every_class_everywhere(labels_N: Words, given_N: Words, splits_N: Words) -> None:
    """Refuse splits of which one lacks a class; only those that were given can."""
    classes = sorted(set(labels_N[~pd.isna(labels_N)]))
    for split in SPLITS:
        held = pd.Series(labels_N[splits_N == split]).value_counts()
        lacking = [name for name in classes if name not in held]
        if lacking:
            lost = pd.Series(labels_N).isin(lacking).to_numpy() & (given_N == split) & (splits_N == "excluded")
            why = f"; {lost.sum()} given ones share a group with a stronger split" if lost.any() else ""
            way = f", give no image the split {split!r} (it is then drawn)" if split != "train" else ""
            raise UserError(
                f"Classes {lacking} have no image in split {split!r} (found {held.sort_index().to_dict()}{why}), but "
                f"each class must be in train, val and test: give some of their images that split{way}, or leave the "
                "classes out with images.classes."
            )


def _fractions(missing: list[str], config: SplitConfig) -> dict[str, float]:
    """Shares of the rows that are divided now: the missing splits, and train with what is left."""
    asked = {"val": config.val_fraction, "test": config.test_fraction}
    present = sum(fraction for split, fraction in asked.items() if split not in missing)
    shares = {split: asked[split] / (1 - present) for split in missing}
    return {"train": 1 - sum(shares.values()), **shares}


def _enough_groups(cells: _Cells, splits: int) -> None:
    groups_C, images_C = cells.groups_of_class(), cells.class_totals()
    for name, groups, images in zip(cells.names, groups_C, images_C, strict=True):
        if name is not None and groups < splits:
            raise UserError(
                f"Class {name!r} has {images} images in {groups} groups (patients or near-duplicates), but must be in "
                f"{splits} splits: add images of other patients, or leave the class out with images.classes."
            )


def _greedy(cells: _Cells, wanted_SC: Floats, rng: np.random.Generator) -> Ints:
    octave_G = np.log2(cells.sizes()).astype(np.int64)
    shuffled_G = rng.permutation(len(octave_G))
    split_G = np.empty(len(octave_G), dtype=np.int64)
    has_SC = np.zeros_like(wanted_SC)
    for group in shuffled_G[np.argsort(-octave_G[shuffled_G], kind="stable")]:
        classes, counts = cells.row(group)
        wanted, has = wanted_SC[:, classes], has_SC[:, classes]
        # (has + n - wanted)^2 - (has - wanted)^2, over wanted; -2n is the same for every split
        cost_S = (counts * (counts + 2 * has) / wanted).sum(axis=1)
        split_G[group] = cost_S.argmin()
        has_SC[split_G[group], classes] += counts
    return split_G


def _fill_gaps(cells: _Cells, split_G: Ints, names: list[str]) -> None:
    """Move groups, in place, until every labelled class is in every split."""
    groups_K = np.repeat(np.arange(len(split_G)), np.diff(cells.start))
    held_SC = np.zeros((len(names), len(cells.names)), dtype=np.int64)
    np.add.at(held_SC, (split_G[groups_K], cells.classes), 1)
    sizes_G = cells.sizes()
    for place, split in np.argwhere(held_SC[:, :-1].T == 0):
        if held_SC[split, place]:  # an earlier move brought it along
            continue
        candidates = groups_K[cells.classes == place]
        for group in candidates[np.argsort(sizes_G[candidates], kind="stable")]:
            classes, home = cells.row(group)[0], split_G[group]
            if (held_SC[home, classes[classes < len(cells.names) - 1]] > 1).all():
                held_SC[home, classes] -= 1
                held_SC[split, classes] += 1
                split_G[group] = split
                break
        else:
            raise UserError(
                f"Class {cells.names[place]!r} cannot be in {names[split]}: it shares its groups with other classes, "
                "and any move takes one of them out of a split. Add images of other patients, or leave a class out."
            )
