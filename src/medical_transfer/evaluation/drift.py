"""A new batch without labels beside the images that a model was judged on: may its numbers be expected here?

New images are compared with the *validation* images, by what the model's last layer sees: to a network that has learned
from them, training images look different from all others, so that any batch would seem to have drifted.

Shapes: n new and M validation images, H features, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.evaluation.novelty import Detector
from medical_transfer.metrics.calibration import apply_temperature
from medical_transfer.metrics.prior_shift import by_confusion, by_maximum_likelihood
from medical_transfer.models.card import ModelCard
from medical_transfer.models.reference import Reference
from medical_transfer.transferability.distances import Distance, TwoDomains
from medical_transfer.transferability.distances.conclusion import told_apart
from medical_transfer.transferability.distances.kolmogorov_smirnov import kolmogorov_smirnov
from medical_transfer.transferability.distances.measured import DistanceValue, measure
from medical_transfer.transferability.distances.mmd import mmd
from medical_transfer.transferability.distances.two_domains import FEWEST_GROUPS

TESTS: Mapping[str, Distance] = {"mmd": mmd, "kolmogorov_smirnov": kolmogorov_smirnov}
"""Name -> distance of two sets of features with a permutation test of whole groups."""
NAMES = {"mmd": "Maximum mean discrepancy (squared)", "kolmogorov_smirnov": "Largest Kolmogorov-Smirnov statistic"}
VERDICTS = {
    "no_sign": "No sign of drift: these images are not shown to differ from those that the model was judged on. That "
    "is no proof that it is right here; only labels show that.",
    "differs": "These images differ from those that the model was judged on. Do not expect its published numbers here "
    "before it was validated on labelled images from here (kedro run --pipeline=validate).",
    "do_not_trust": "Do not trust the model here: far more images than expected are unlike all that it learned from. "
    "They may be of another kind, device or region.",
}

MANY = 3
"""So many times the expected share of novel images is more than a different mixture of patients explains."""
SHIFTED = 0.1
"""A class whose share changes by more than this changes what a threshold means."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What a model saw of n new images: features, calibrated probabilities, novelty, and the group of each."""

    features_nH: NDArray[np.float32]
    probabilities_nC: NDArray[np.float64]
    novelty_n: NDArray[np.float64]
    groups_n: NDArray[np.int64]


def drifted(
    batch: Batch,
    reference: Reference,
    detector: Detector | None,
    card: ModelCard,
    *,
    false_abstain: float,
    permutations: int,
    seed: int,
) -> dict[str, Any]:
    """Everything that `drift.json` holds.

    `tests`: distances with p-values (null with a `reason` where there are too few groups); `novel`: share of images on
    which the model abstains beside the expected one; `shares`: of each class, on validation and as two methods estimate
    them here; `verdict` (`no_sign`, `differs`, `do_not_trust`) and `sentences`.
    """
    tests, reason = _tests(batch, reference, permutations, seed)
    novel = _novel(batch, detector, false_abstain)
    shares = _shares(batch, reference, card)
    apart = told_apart(tests) if tests else None
    verdict = _verdict(apart, novel)
    told = {
        "images": len(batch.groups_n),
        "groups": int(np.unique(batch.groups_n).size),
        "validation_images": len(reference.val_MD),
        "tests": {name: asdict(value) for name, value in tests.items()},
        "reason": reason,
        "novel": novel,
        "shares": shares,
        "verdict": verdict,
    }
    return {**told, "sentences": sentences(told)}


def group_codes(groups: pd.Series) -> NDArray[np.int64]:
    """Group (n,) of each row; rows without one are groups of their own."""
    codes_n, names = pd.factorize(groups)
    alone_n = codes_n < 0
    codes_n[alone_n] = len(names) + np.arange(alone_n.sum())
    return codes_n.astype(np.int64)


def _tests(
    batch: Batch, reference: Reference, permutations: int, seed: int
) -> tuple[dict[str, DistanceValue], str | None]:
    sizes = [np.unique(groups).size for groups in (reference.val_groups_M, batch.groups_n)]
    if min(sizes) < FEWEST_GROUPS:
        return {}, (
            f"{sizes[0]} independent groups of validation images and {sizes[1]} of new ones: at least {FEWEST_GROUPS} "
            "of each are needed to tell a difference from chance"
        )
    domains = TwoDomains(
        source_ND=reference.val_MD.astype(np.float64),
        target_MD=batch.features_nH.astype(np.float64),
        source_groups_N=reference.val_groups_M,
        target_groups_M=batch.groups_n,
        seed=seed,
    )
    return {name: measure(distance, domains, permutations) for name, distance in TESTS.items()}, None


def _novel(batch: Batch, detector: Detector | None, false_abstain: float) -> dict[str, float] | None:
    if detector is None or not np.isfinite(detector.threshold):
        return None
    return {"share": float((batch.novelty_n > detector.threshold).mean()), "expected": false_abstain}


def _shares(batch: Batch, reference: Reference, card: ModelCard) -> dict[str, dict[str, float] | None]:
    classes = len(card.classes)
    before_C = np.bincount(reference.val_labels_M, minlength=classes) / len(reference.val_labels_M)
    val_NC = apply_temperature(reference.val_logits_MC.astype(np.float64), card.temperature)
    found: dict[str, NDArray[np.float64] | None] = {
        "validation": before_C,
        "maximum_likelihood": by_maximum_likelihood(batch.probabilities_nC, before_C),
        "confusion": by_confusion(
            batch.probabilities_nC.argmax(axis=1), val_NC.argmax(axis=1), reference.val_labels_M, classes
        ),
    }
    return {
        name: None if share_C is None else dict(zip(card.classes, share_C.tolist(), strict=True))
        for name, share_C in found.items()
    }


def _verdict(apart: bool | None, novel: Mapping[str, float] | None) -> str:  # noqa: FBT001 - three answers
    if novel is not None and novel["share"] > MANY * novel["expected"]:
        return "do_not_trust"
    return "differs" if apart else "no_sign"


def sentences(told: Mapping[str, Any]) -> list[str]:
    """What a reader should know, in order."""
    said = [VERDICTS[told["verdict"]]]
    if told["novel"] is not None:
        said.append(
            f"{told['novel']['share']:.1%} of {told['images']} images are beyond the model's threshold of novelty; "
            f"{told['novel']['expected']:.0%} are expected."
        )
    for name, value in told["tests"].items():
        said.append(f"{NAMES[name]}: {value['value']:.3f}, p = {value['p_value']:.3f} by exchange of whole groups.")
    if told["reason"]:
        said.append(f"No test: {told['reason']}.")
    return [*said, *_of_shares(told["shares"])]


def _of_shares(shares: Mapping[str, Mapping[str, float] | None]) -> list[str]:
    before, here = shares["validation"], shares["maximum_likelihood"]
    assert before is not None
    assert here is not None
    name = max(here, key=lambda each: abs(here[each] - before[each]))
    if abs(here[name] - before[name]) <= SHIFTED:
        return []
    return [
        f"If only the shares of classes changed, '{name}' has a share of {here[name]:.0%} here and had "
        f"{before[name]:.0%}: probabilities and the threshold are then off by an intercept, which validate estimates."
    ]
