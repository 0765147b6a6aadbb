"""The menu of metrics: what is published under which name, from which kind of scores.

A metric is a function `metric(labels_N, scores_NC, weights_BN) -> values_B`; a new one is its function, its line here
and its row in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping

from medical_transfer.metrics.calibration import ece
from medical_transfer.metrics.calibration_line import calibration_intercept, calibration_slope
from medical_transfer.metrics.classification import (
    Metric,
    accuracy,
    auprc,
    auroc,
    balanced_accuracy,
    brier,
    log_loss,
    mcc,
    sensitivity,
    specificity,
)

PROBABILITY_METRICS: Mapping[str, Metric] = {
    "auroc": auroc,
    "auprc": auprc,
    "brier": brier,
    "log_loss": log_loss,
    "ece": ece,
}
"""Of calibrated probabilities (N, C)."""

DECISION_METRICS: Mapping[str, Metric] = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "mcc": mcc}
"""Of one-hot decisions (N, C)."""

BINARY_PROBABILITY_METRICS: Mapping[str, Metric] = {
    "calibration_slope": calibration_slope,
    "calibration_intercept": calibration_intercept,
}
"""Of calibrated probabilities of two classes; column 1 is the positive one."""

BINARY_DECISION_METRICS: Mapping[str, Metric] = {"sensitivity": sensitivity, "specificity": specificity}
"""Of one-hot decisions between two classes; column 1 is the positive one."""

__all__ = [
    "BINARY_DECISION_METRICS",
    "BINARY_PROBABILITY_METRICS",
    "DECISION_METRICS",
    "PROBABILITY_METRICS",
    "Metric",
]
