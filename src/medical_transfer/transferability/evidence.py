"""What a score may look at: one source's features of the target training images, and what is known about the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.types import UserError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


SUM_TOLERANCE = 1e-4
"""Float32 softmax over thousands of classes sums to 1 within this."""


class Undefined(ValueError):  # noqa: N818 - a finding that the report prints, not a fault
    """A score has no value for this evidence; the message is the reason, as the report prints it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """One source seen on the target training split: N images, C classes, D features; never a validation or test row.

    Arrays are checked and stored as float64; `labels_N` and `groups_N` are renumbered from 0 in order of their codes.

    Raises:
        UserError: features not finite or not a matrix, rows that don't match, one class, no more images than classes.
    """

    features_ND: Floats
    """The source's features of the target images."""
    labels_N: Integers
    """Class codes; any integers."""
    groups_N: Integers
    """Patient (or near-duplicate) codes; whole groups stay together in cross-validation."""
    reference_features_NE: Floats | None = None
    """The same images, row by row, under another model (the paired reference); its width may differ."""
    source_features_MD: Floats | None = None
    """Images of the source domain under the same model, where there are any."""
    source_probabilities_NK: Floats | None = None
    """What the source's own head says of the target images: a probability for each of its K classes."""
    parameters: int | None = None
    """Number of parameters of the source as published, with its own head."""
    source_accuracy: float | None = None
    """Published accuracy on the source's own task, as a fraction."""
    folds: int = 5
    """Folds of cross-validated scores."""
    widths: tuple[int, ...] = ()
    """Where several sources stand side by side: how many of the features are of each, in their order."""
    seed: int = 0
    """Seed of folds and subsamples: give all sources of one ranking the same."""
    source: str = "this source"
    """Name used in messages."""

    def __post_init__(self) -> None:
        features_ND = matrix_of(self.features_ND, f"features of {self.source}")
        self._set("features_ND", features_ND)
        if self.widths and sum(self.widths) != features_ND.shape[1]:
            raise UserError(
                f"There are {features_ND.shape[1]} features of {self.source}, but the sources that stand side by side "
                f"have {' + '.join(map(str, self.widths))}: give the features of those sources, in their order."
            )
        self._set("labels_N", _codes(self.labels_N, "labels", len(features_ND)))
        self._set("groups_N", _codes(self.groups_N, "groups", len(features_ND)))
        self._check_classes()
        if self.reference_features_NE is not None:
            reference_NE = matrix_of(self.reference_features_NE, "reference features")
            self._set("reference_features_NE", reference_NE)
            if len(reference_NE) != len(features_ND):
                raise UserError(
                    f"There are {len(reference_NE)} rows of reference features for {len(features_ND)} images: "
                    "a paired score needs the same images in the same order; compute both on one list of images."
                )
        if self.source_features_MD is not None:
            source_MD = matrix_of(self.source_features_MD, f"source-domain features of {self.source}")
            self._set("source_features_MD", source_MD)
            if source_MD.shape[1] != features_ND.shape[1]:
                raise UserError(
                    f"Source-domain images have {source_MD.shape[1]} features, target images {features_ND.shape[1]}: "
                    "both must come from the same layer of the same model."
                )
        if self.source_probabilities_NK is not None:
            self._set("source_probabilities_NK", self._probabilities(self.source_probabilities_NK))

    @property
    def classes(self) -> int:
        """Number of classes that occur."""
        return int(self.labels_N.max()) + 1

    def _probabilities(self, values: Any) -> Floats:
        probabilities_NK = matrix_of(values, f"source probabilities of {self.source}")
        if len(probabilities_NK) != len(self.features_ND):
            raise UserError(
                f"There are {len(probabilities_NK)} rows of source probabilities for {len(self.features_ND)} images: "
                "both must come from the same images in the same order."
            )
        if probabilities_NK.min() < 0 or np.abs(probabilities_NK.sum(axis=1) - 1).max() > SUM_TOLERANCE:
            raise UserError(
                f"The source probabilities of {self.source} are no probabilities: expected rows of numbers from 0 that "
                "sum to 1; give the softmax of the source's logits."
            )
        return probabilities_NK

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_classes(self) -> None:
        images = len(self.labels_N)
        if self.classes < 2:
            raise UserError(
                f"All {images} training images have the same class: a source is scored on how it tells classes apart; "
                "give images of at least two classes."
            )
        if images <= self.classes:
            raise UserError(
                f"There are {images} training images for {self.classes} classes: scoring needs more images than "
                "classes; add images, or drop or merge classes in images.classes."
            )


def matrix_of(values: Any, what: str, *, maker: str = "source") -> Floats:
    """Numbers as a matrix (N, D) in double precision; `what` they are, and what made them, as an error calls it.

    Raises:
        UserError: they are no matrix, or not all finite.
    """
    matrix = np.ascontiguousarray(np.asarray(values, dtype=np.float64))
    if matrix.ndim != 2 or matrix.size == 0:
        raise UserError(f"The {what} have shape {matrix.shape}: expected a matrix with one row per image.")
    bad_rows = int((~np.isfinite(matrix)).any(axis=1).sum())
    if bad_rows:
        raise UserError(
            f"The {what} hold NaN or infinity in {bad_rows} of {len(matrix)} rows: expected finite numbers; "
            f"check the weights and the preprocessing of this {maker}."
        )
    return matrix


def _codes(values: Any, what: str, images: int) -> Integers:
    codes = np.asarray(values)
    if codes.shape != (images,):
        raise UserError(f"The {what} have shape {codes.shape}: expected one for each of {images} rows of features.")
    if codes.dtype.kind not in "iu":
        raise UserError(f"The {what} are of type {codes.dtype}: expected integer codes; number the names first.")
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)
