"""Which checkpoint, which setting, when the target has no labels: scores of target predictions and source labels.

Each score is a float, higher is better, comparable between checkpoints on the same images and between nothing else.
None of them is safe alone: certainty and density reward a network that gives one class to all, and source scores know
nothing of the target. `negative_transfer.py` looks for the first.

Source of the comparison: Musgrave, Belongie and Lim 2022, "Three New Validators and a Large-Scale Benchmark Ranking for
Unsupervised Domain Adaptation". Shapes: N images (target unless said otherwise), C classes, D features. Entropies
are in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from medical_transfer.metrics.classification import Codes, Floats, accuracy, one_hot

SND_TEMPERATURE = 0.05
"""The paper's."""
ROWS_AT_ONCE = 1024
"""Rows of the similarity matrix in memory: 8 kB an image."""


def negative_entropy(probabilities_NC: Floats) -> float:
    """Certainty: minus the mean entropy of predictions, from -ln C to 0.

    Source: Morerio, Cavazza and Murino 2018, "Minimal-Entropy Correlation Alignment", as a criterion of selection. Best
    for a network that gives one class to all with certainty.
    """
    return float(-_entropy(probabilities_NC).mean())


def information_maximisation(probabilities_NC: Floats) -> float:
    """Mutual information of image and prediction: entropy of the mean prediction less the mean entropy, 0 to ln C.

    Source: Shi and Sha 2012, "Information-Theoretical Learning of Discriminative Clusters for Unsupervised Domain
    Adaptation". Largest for certain predictions that use all classes alike, which is wrong of a target of unequal
    classes.
    """
    return float(_entropy(probabilities_NC.mean(axis=0)) - _entropy(probabilities_NC).mean())


def batch_nuclear_norm(probabilities_NC: Floats) -> float:
    """Certainty and diversity: nuclear norm of the prediction matrix over sqrt(N min(N, C)), above 0, at most 1.

    1 where predictions are certain and all classes equally frequent. Source: Cui et al. 2020, "Towards Discriminability
    and Diversity: Batch Nuclear-Norm Maximization". Departure: divided by its greatest value, so that it does not
    grow with the number of images.
    """
    greatest = np.sqrt(len(probabilities_NC) * min(probabilities_NC.shape))
    return float(np.linalg.svd(probabilities_NC, compute_uv=False).sum() / greatest)


def soft_neighbourhood_density(probabilities_NC: Floats, *, temperature: float = SND_TEMPERATURE) -> float:
    """Mean entropy of each image's softmax over its cosine similarities to the other images, 0 to ln(N - 1).

    High where each image has many equally close neighbours, that is in tight clusters. Source: Saito et al. 2021, "Tune
    it the Right Way: Unsupervised Validation of Domain Adaptation via Soft Neighborhood Density": on softmax
    outputs, an image's similarity to itself left out. Best for a network that gives one class to all: read it
    beside information maximisation. Any features (N, D) may stand for the probabilities.

    Raises:
        ValueError: fewer than two images.
    """
    images = len(probabilities_NC)
    if images < 2:
        raise ValueError(f"a neighbourhood needs two images, not {images}")
    norms_N1 = np.linalg.norm(probabilities_NC, axis=1, keepdims=True)
    unit_NC = probabilities_NC / np.maximum(norms_N1, np.finfo(float).tiny)
    blocks = range(0, images, ROWS_AT_ONCE)
    return float(np.concatenate([_neighbour_entropy(unit_NC, first, temperature) for first in blocks]).mean())


def source_accuracy(labels_N: Codes, probabilities_NC: Floats) -> float:
    """Accuracy on labelled validation images of the source, the plainest score: blind to the target."""
    decisions_NC = one_hot(probabilities_NC.argmax(axis=1).astype(np.intp), probabilities_NC.shape[1])
    return float(accuracy(labels_N, decisions_NC, np.ones((1, len(labels_N))))[0])


TARGET_SCORES: Mapping[str, Callable[[Floats], float]] = MappingProxyType(
    {
        "negative_entropy": negative_entropy,
        "information_maximisation": information_maximisation,
        "batch_nuclear_norm": batch_nuclear_norm,
        "soft_neighbourhood_density": soft_neighbourhood_density,
    }
)
"""The scores that need predictions on target images and nothing else."""


def _entropy(probabilities_NC: Floats) -> Floats:
    """Of the last axis; a probability of 0 adds 0."""
    logs_NC = np.log(probabilities_NC, out=np.zeros_like(probabilities_NC), where=probabilities_NC > 0)
    return np.asarray(-(probabilities_NC * logs_NC).sum(axis=-1))


def _neighbour_entropy(unit_ND: Floats, first: int, temperature: float) -> Floats:
    """Entropies of the rows from `first` on; each row's own place is left out."""
    rows_BD = unit_ND[first : first + ROWS_AT_ONCE]
    logits_BN = rows_BD @ unit_ND.T / temperature
    own = np.arange(len(rows_BD))
    logits_BN[own, first + own] = -np.inf
    weights_BN = np.exp(logits_BN - logits_BN.max(axis=1, keepdims=True))
    return _entropy(weights_BN / weights_BN.sum(axis=1, keepdims=True))
