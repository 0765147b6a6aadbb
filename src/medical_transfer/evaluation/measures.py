"""What is measured of one split: every metric with labels and scores filled in, as a function of the weights of images.

`evaluate` takes them for one model, `compare` for the difference of two, so both measure the same.
"""

from __future__ import annotations

from functools import partial

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.scored import Scored
from medical_transfer.metrics import (
    BINARY_DECISION_METRICS,
    BINARY_PROBABILITY_METRICS,
    DECISION_METRICS,
    PROBABILITY_METRICS,
)
from medical_transfer.metrics.calibration import ece, ece_noise
from medical_transfer.metrics.classification import class_auroc, class_recall, one_hot
from medical_transfer.metrics.intervals import Statistic
from medical_transfer.metrics.operating_points import sensitivity_at, specificity_at


def statistics_of(scored: Scored, config: Evaluation) -> dict[str, Statistic]:
    """Metrics by name; with two classes those of the positive one, else also `auroc_<class>` and `recall_<class>`."""
    labels_N, probabilities_NC = scored.labels_N, scored.probabilities_NC
    decided_NC = one_hot(scored.decided_N, len(scored.classes))
    of_probabilities = {**PROBABILITY_METRICS, **(BINARY_PROBABILITY_METRICS if scored.binary else {})}
    of_decisions = {**DECISION_METRICS, **(BINARY_DECISION_METRICS if scored.binary else {})}
    found: dict[str, Statistic] = {
        name: partial(metric, labels_N, probabilities_NC) for name, metric in of_probabilities.items()
    }
    found["ece"] = partial(ece, labels_N, probabilities_NC, bins=config.bins)
    found |= {name: partial(metric, labels_N, decided_NC) for name, metric in of_decisions.items()}
    if scored.binary:
        return found | _at_fixed_rates(scored, config)
    for code, name in enumerate(scored.classes):
        found[f"auroc_{name}"] = partial(class_auroc, labels_N, probabilities_NC, of=code)
        found[f"recall_{name}"] = partial(class_recall, labels_N, decided_NC, of=code)
    return found


def noise_of(scored: Scored, config: Evaluation) -> dict[str, Statistic]:
    """What errors that cannot be below 0 would be by chance alone."""
    return {"ece": partial(ece_noise, scored.labels_N, scored.probabilities_NC, bins=config.bins)}


def _at_fixed_rates(scored: Scored, config: Evaluation) -> dict[str, Statistic]:
    images = (scored.labels_N, scored.probabilities_NC)
    found: dict[str, Statistic] = {}
    for rate in config.fixed_rates:
        found[f"sensitivity_at_specificity_{rate:g}"] = partial(sensitivity_at, *images, specificity=rate)
        found[f"specificity_at_sensitivity_{rate:g}"] = partial(specificity_at, *images, sensitivity=rate)
    return found
