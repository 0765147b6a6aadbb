"""What a distance may look at: features of two sets of images under one backbone, and who belongs together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.transferability.evidence import Floats, Integers, Undefined, matrix_of
from medical_transfer.types import UserError

FEWEST_GROUPS = 5
"""In each domain: ten groups can be labelled in 252 ways, so that a p-value below .01 is possible at all."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TwoDomains:
    """N source images and M target images with D features each; N and M may differ.

    Features are checked and stored as float64, groups are renumbered from 0. No labels: a distance knows no classes.

    Raises:
        UserError: features not finite or not a matrix, of different widths, groups that don't match, or fewer than
            `FEWEST_GROUPS` groups in one domain.
    """

    source_ND: Floats
    """Features of the source images."""
    target_MD: Floats
    """Features of the target images, by the same layer of the same model."""
    source_groups_N: Integers | None = None
    """Patient (or near-duplicate) codes; null: every image stands for itself."""
    target_groups_M: Integers | None = None
    """The same for the target; a code that occurs on both sides is not taken for one patient."""
    seed: int = 0
    """Seed of permutations, halves and subsamples."""

    def __post_init__(self) -> None:
        for rows, codes, name in (
            ("source_ND", "source_groups_N", "source"),
            ("target_MD", "target_groups_M", "target"),
        ):
            features = matrix_of(getattr(self, rows), f"{name} features", maker="model")
            object.__setattr__(self, rows, features)
            object.__setattr__(self, codes, _codes(getattr(self, codes), name, len(features)))
        if self.source_ND.shape[1] != self.target_MD.shape[1]:
            raise UserError(
                f"Source images have {self.source_ND.shape[1]} features, target images {self.target_MD.shape[1]}: both "
                "must come from the same layer of the same model."
            )

    @property
    def groups(self) -> Integers:
        """Group (P,) of each of the P = N + M pooled images, source first; no group has images of both domains."""
        assert self.source_groups_N is not None
        assert self.target_groups_M is not None
        return np.concatenate([self.source_groups_N, self.target_groups_M + self.source_groups_N.max() + 1])

    @property
    def is_source(self) -> NDArray[np.bool_]:
        """Of each of the G groups in `groups`, whether it is of the source: (G,)."""
        assert self.source_groups_N is not None
        is_source_G: NDArray[np.bool_] = np.arange(self.groups.max() + 1) <= self.source_groups_N.max()
        return is_source_G

    def centred(self) -> Floats:
        """Features (P, D) of all pooled images, source first, around their common mean (no distance feels it).

        Raises:
            Undefined: all images have the same features.
        """
        pooled_PD = np.concatenate([self.source_ND, self.target_MD])
        if not np.ptp(pooled_PD, axis=0).any():
            raise Undefined("all images of both domains have the same features")
        centred_PD: Floats = pooled_PD - pooled_PD.mean(axis=0)
        return centred_PD


def _codes(values: Any, name: str, images: int) -> Integers:
    codes = np.arange(images) if values is None else np.asarray(values)
    if codes.shape != (images,) or codes.dtype.kind not in "iu":
        raise UserError(
            f"The {name} groups are of shape {codes.shape} and type {codes.dtype}: expected one integer code for each "
            f"of {images} rows of features."
        )
    found, groups = np.unique(codes, return_inverse=True)
    if len(found) < FEWEST_GROUPS:
        raise UserError(
            f"The {images} {name} images are of {len(found)} independent group(s): at least {FEWEST_GROUPS} are needed "
            "in each domain to tell a difference from chance; add images of other patients."
        )
    return groups.astype(np.int64)
