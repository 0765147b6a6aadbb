"""The rows of the predictions table that count, as arrays.

Shapes: N images, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from medical_transfer.metrics.classification import Codes, Floats
from medical_transfer.metrics.thresholds import decide
from medical_transfer.types import Split, UserError

SUM_TOLERANCE = 1e-3
"""By how much a row of probabilities may miss 1 (half precision is that coarse)."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The images of one split that count; codes and columns follow `classes`, the positive class last of two."""

    split: Split
    classes: list[str]
    labels_N: Codes
    probabilities_NC: Floats
    decided_N: Codes
    groups_N: Codes
    left_out: dict[str, int]
    places_N: Codes
    """Positions of the images in the table that they were read from."""

    def take(self, kept_N: npt.NDArray[np.bool_]) -> Scored:
        """Some of the images; `left_out` stays that of all."""
        arrays = ("labels_N", "probabilities_NC", "decided_N", "groups_N", "places_N")
        return replace(self, **{name: getattr(self, name)[kept_N] for name in arrays})

    @property
    def binary(self) -> bool:
        """Whether there is a positive class."""
        return len(self.classes) == 2

    @property
    def missing(self) -> list[str]:
        """Classes without an image."""
        return [name for code, name in enumerate(self.classes) if not (self.labels_N == code).any()]


def positive_last(classes: list[str], positive: str | None) -> list[str]:
    """Put the positive one of two classes last; more classes keep their order.

    Raises:
        UserError: fewer than two classes, a name twice, or a positive class that is none of them.
    """
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise UserError(f"found classes {classes}, expected at least two different names: check images.classes")
    if len(classes) > 2:
        return list(classes)
    positive = sorted(classes)[-1] if positive is None else positive
    if positive not in classes:
        raise UserError(
            f"the positive class '{positive}' is none of {classes}: set images.positive_class to one of them"
        )
    return [name for name in classes if name != positive] + [positive]


def check_columns(predictions: pd.DataFrame, classes: list[str], *more: str) -> None:
    """Refuse a table without the columns that an evaluation needs, and `more`.

    Raises:
        UserError: columns are missing.
    """
    needed = [*more, "label", "group_id", "split", *(f"p_{name}" for name in classes)]
    missing = [column for column in needed if column not in predictions.columns]
    if missing:
        raise UserError(f"the predictions table lacks the columns {missing}: write it again with this model's classes")


def read_scored(predictions: pd.DataFrame, split: Split, classes: list[str], threshold: float | None) -> Scored:
    """Take the rows of one split that have probabilities and a label, and check them.

    Decisions are the published ones where the table has them, else made here.

    Raises:
        UserError: a label or decision is no class, probabilities are none, or decisions contradict the threshold.
    """
    of_split_M = (predictions["split"] == split).to_numpy(dtype=bool)
    rows = predictions[of_split_M]
    scored_N = rows[[f"p_{name}" for name in classes]].notna().all(axis=1).to_numpy()
    labelled_N = rows["label"].notna().to_numpy()
    kept = rows[scored_N & labelled_N]
    probabilities_NC = kept[[f"p_{name}" for name in classes]].to_numpy(dtype=float)
    _check_probabilities(probabilities_NC, split)
    decided_N = decide(probabilities_NC, threshold)
    if "decision" in kept.columns and kept["decision"].notna().all():
        published_N = _codes(kept["decision"], classes, f"decision of a {split} row")
        _check_decisions(published_N, decided_N, probabilities_NC[:, -1], threshold)
        decided_N = published_N
    return Scored(
        split=split,
        classes=classes,
        labels_N=_codes(kept["label"], classes, f"label of a {split} row"),
        probabilities_NC=probabilities_NC,
        decided_N=decided_N,
        groups_N=_group_codes(kept["group_id"]),
        left_out={"quarantined": int((~scored_N).sum()), "unlabelled": int((scored_N & ~labelled_N).sum())},
        places_N=np.flatnonzero(of_split_M)[scored_N & labelled_N],
    )


def _codes(names: pd.Series, classes: list[str], what: str) -> Codes:
    codes_N = pd.Index(classes).get_indexer(pd.Index(names.astype(str)))
    if (codes_N < 0).any():
        raise UserError(f"the {what} is '{names.iloc[int(np.argmin(codes_N))]}', expected one of {classes}")
    return codes_N.astype(np.intp)


def _group_codes(groups: pd.Series) -> Codes:
    codes_N, names = pd.factorize(groups)
    alone_N = codes_N < 0
    codes_N[alone_N] = len(names) + np.arange(alone_N.sum())
    return codes_N.astype(np.intp)


def _check_probabilities(probabilities_NC: Floats, split: Split) -> None:
    if probabilities_NC.size == 0:
        return
    with np.errstate(invalid="ignore"):  # infinities of both signs: the comparison below fails for NaN
        worst = float(np.abs(probabilities_NC.sum(axis=1) - 1).max())
    low, high = float(probabilities_NC.min()), float(probabilities_NC.max())
    if not (worst <= SUM_TOLERANCE and low >= 0 and high <= 1 + SUM_TOLERANCE):
        raise UserError(
            f"{split} probabilities lie in {low:.4g}..{high:.4g} and miss a sum of 1 by up to {worst:.4g}, expected "
            f"rows of probabilities: apply the softmax once"
        )


def _check_decisions(published_N: Codes, decided_N: Codes, positive_N: Floats, threshold: float | None) -> None:
    # A score within float32 rounding of the threshold may have been decided before it was written.
    if threshold is not None and (wrong := (published_N != decided_N) & (np.abs(positive_N - threshold) > 1e-6)).any():
        raise UserError(
            f"{int(wrong.sum())} decisions of the predictions table contradict the threshold {threshold:g}: "
            f"the table was written with another one, so predict again with this model"
        )
