"""Is it better to act on the model's word than to treat all, or none? The answer depends on what a false alarm costs.

Who treats from a probability t on holds one missed positive for as bad as (1 - t) / t false alarms. Counting in true
positives per image, a false alarm then costs t / (1 - t).

Shapes: B resamples, N images, T thresholds.
Source: Vickers and Elkin (2006), equation for the net benefit; treating none has 0.
"""

from __future__ import annotations

import numpy as np

from medical_transfer.metrics.classification import Codes, Floats, ratio


def net_benefit(labels_N: Codes, scores_N: Floats, thresholds_T: Floats, weights_BN: Floats) -> Floats:
    """Net benefit (B, T) of treating the images whose probability of the positive class is at least the threshold.

    True positives per image minus false positives per image times t / (1 - t); at most the prevalence.

    Raises:
        ValueError: a threshold is not within 0..1, ends excluded: there the costs have no ratio.
    """
    odds_T = _odds(thresholds_T)
    called_NT = scores_N[:, None] >= thresholds_T
    positive_N = labels_N == 1
    worth_NT = np.where(positive_N[:, None], 1.0, -odds_T) * called_NT
    total_B1 = weights_BN.sum(axis=1, keepdims=True)
    return ratio(weights_BN @ worth_NT, np.broadcast_to(total_B1, (weights_BN.shape[0], thresholds_T.size)))


def treat_all(labels_N: Codes, thresholds_T: Floats, weights_BN: Floats) -> Floats:
    """Net benefit (B, T) of treating every image: prevalence - (1 - prevalence) t / (1 - t), 0 at t = prevalence."""
    return net_benefit(labels_N, np.ones(labels_N.size), thresholds_T, weights_BN)


def _odds(thresholds_T: Floats) -> Floats:
    if ((thresholds_T <= 0) | (thresholds_T >= 1)).any():
        raise ValueError(f"thresholds lie within 0..1, ends excluded, not {thresholds_T.min()}..{thresholds_T.max()}")
    return thresholds_T / (1 - thresholds_T)
