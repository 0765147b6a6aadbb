"""How well a classifier that is trained for the purpose still tells the two domains apart.

Not the adversary's own loss: an adversary that lost its way reads as invariance. Sources: Ben-David et al. 2007,
"Analysis of Representations for Domain Adaptation", section 4; Ganin et al. 2016, section 5.1.
Shapes: N source and M target images, D features.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from medical_transfer.metrics.classification import Codes, Floats

Kind = Literal["linear", "rbf"]


def proxy_a_distance(
    source_ND: Floats,
    target_MD: Floats,
    rng: np.random.Generator,
    *,
    kind: Kind = "linear",
    source_groups_N: Codes | None = None,
    target_groups_M: Codes | None = None,
) -> float:
    """2 (1 - 2 error) of a fresh support vector machine: 0 where domains look alike, 2 where they never do.

    Each domain is cut at random into halves; the machine learns from one half of both and is judged on the other, then
    the reverse. The error is the mean of both domains' error rates, so that their sizes don't matter; by chance it may
    be above one half and the distance below 0.

    Args:
        source_ND: features of source images.
        target_MD: features of target images.
        rng: draws the halves.
        kind: kernel; `rbf` also sees differences that are no shift of means. Its time grows with the square of N + M.
        source_groups_N: patient codes; whole groups stay in one half, lest the machine recognise patients.
        target_groups_M: likewise.

    Raises:
        ValueError: fewer than two groups (or images) of a domain.
    """
    source_halves_N = _halves(len(source_ND), source_groups_N, rng)
    target_halves_M = _halves(len(target_MD), target_groups_M, rng)
    rows_PD, domain_P = np.concatenate([source_ND, target_MD]), np.repeat([0, 1], [len(source_ND), len(target_MD)])
    second_P = np.concatenate([source_halves_N, target_halves_M])
    errors = [_error(rows_PD, domain_P, learned_P, kind) for learned_P in (second_P, ~second_P)]
    return float(2 * (1 - 2 * np.mean(errors)))


def _halves(images: int, groups_N: Codes | None, rng: np.random.Generator) -> np.ndarray:
    """Which images are in the second half, by whole groups."""
    codes_N = np.unique(np.arange(images) if groups_N is None else groups_N, return_inverse=True)[1]
    groups = int(codes_N.max(initial=-1)) + 1
    if groups < 2:
        raise ValueError(f"{groups} group of images in a domain cannot be cut into halves")
    second_G = rng.permutation(groups) >= groups // 2
    return np.asarray(second_G[codes_N])


def _error(rows_PD: Floats, domain_P: Codes, learned_P: np.ndarray, kind: Kind) -> float:
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - only who measures this should pay
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from sklearn.svm import SVC  # noqa: PLC0415

    machine = make_pipeline(StandardScaler(), SVC(kernel=kind, class_weight="balanced"))
    machine.fit(rows_PD[learned_P], domain_P[learned_P])
    wrong_P = machine.predict(rows_PD[~learned_P]) != domain_P[~learned_P]
    return float(np.mean([wrong_P[domain_P[~learned_P] == domain].mean() for domain in (0, 1)]))
