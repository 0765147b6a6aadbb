"""LEEP: how well the source's own class probabilities, relabelled by counting, explain the target labels.

Nguyen et al. 2020 (LEEP: a new measure to evaluate transferability of learned representations, section 3).
"""

from __future__ import annotations

import numpy as np

from medical_transfer.transferability.evidence import Evidence, Floats, Integers, Undefined


def leep(evidence: Evidence) -> float:
    """Mean log likelihood of the labels under the source's own head, -H(Y) to 0; higher is better. See `leep_of`.

    Raises:
        Undefined: the source gives no class probabilities (a trunk without its head, an untrained network).
    """
    if evidence.source_probabilities_NK is None:
        raise Undefined(f"{evidence.source} gives no probabilities of its own classes")
    return leep_of(evidence.source_probabilities_NK, evidence.labels_N)


def leep_of(probabilities_NK: Floats, labels_N: Integers) -> float:
    """LEEP of target labels (N,) given probabilities (N, K) of source classes: the mean over images of log p(y | x).

    p(y, z) = (1/N) sum over images of class y of theta_z(x), p(y | z) = p(y, z) / p(z), and
    p(y | x) = sum_z p(y | z) theta_z(x): source classes z predict target labels y, never the other way round.
    From -H(Y), where theta is the same for all images, to 0; -H(Y | Z) where it is one-hot. Rows are divided by their
    sum, which float32 leaves a little off 1; a source class that no image has plays no part.

    Raises:
        ValueError: the shapes are not (N, K) and (N,), or the labels are no integers; so swapped arguments are seen.
    """
    if probabilities_NK.ndim != 2 or labels_N.shape != probabilities_NK.shape[:1] or labels_N.dtype.kind not in "iu":
        raise ValueError(
            f"leep_of takes probabilities (N, K) and integer labels (N,), found {probabilities_NK.shape} and "
            f"{labels_N.shape} of {labels_N.dtype}."
        )
    theta_NK = probabilities_NK.astype(np.float64)
    theta_NK = theta_NK / theta_NK.sum(axis=1, keepdims=True)
    theta_NK = theta_NK[:, theta_NK.any(axis=0)]
    members_CN = (np.unique(labels_N)[:, None] == labels_N).astype(np.float64)
    joint_CK = members_CN @ theta_NK
    given_CK = joint_CK / joint_CK.sum(axis=0)
    likelihood_N = (given_CK[np.unique(labels_N, return_inverse=True)[1]] * theta_NK).sum(axis=1)
    return float(np.log(np.minimum(likelihood_N, 1.0)).mean())
