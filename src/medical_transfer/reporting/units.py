"""Numbers as people write them: durations, memory, counts, estimates with intervals, and the names of metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

NOT_DEFINED: Final = "not defined"

METRICS: Final = {
    "auroc": ("AUROC", "chance that a positive image scores above a negative one; 0.5 is a coin, 1 is perfect"),
    "auprc": ("AUPRC", "mean precision over all recalls; a coin reaches the prevalence"),
    "accuracy": ("Accuracy", "share of images decided rightly"),
    "balanced_accuracy": ("Balanced accuracy", "mean over classes of the share decided rightly"),
    "mcc": ("MCC", "agreement of decision and truth; 0 is a coin, 1 is perfect"),
    "sensitivity": ("Sensitivity", "share of the positive images that are found"),
    "specificity": ("Specificity", "share of the negative images that are cleared"),
    "recall": ("Recall", "share of a class's images that are found"),
    "minority_recall": ("Minority recall", "share of the rarest class that is found"),
    "ppv": ("PPV", "share of the positive decisions that are right, at this prevalence"),
    "npv": ("NPV", "share of the negative decisions that are right, at this prevalence"),
    "f1": ("F1", "harmonic mean of PPV and sensitivity"),
    "brier": ("Brier score", "mean squared error of the probabilities; lower is better"),
    "log_loss": ("Log loss", "surprise of the truth under the probabilities, in nats; lower is better"),
    "sensitivity_at_specificity": ("Sensitivity at specificity", "best of the curve there; read from these images"),
    "specificity_at_sensitivity": ("Specificity at sensitivity", "best of the curve there; read from these images"),
    "calibration_slope": ("Calibration slope", "1 is best; below, probabilities are too extreme, above too timid"),
    "calibration_intercept": ("Calibration intercept", "0 is best; above, the positive class is likelier than stated"),
    "ece": ("Calibration error", "ECE: mean gap of stated and observed frequency; lower is better"),
}
"""Metric -> its name and what it says."""

_FIXED: Final = ("_at_specificity", "_at_sensitivity")
"""Ends of the names of metrics that are followed by a rate."""

_SCORES: Final = {
    "linear_probe": "Linear probe (AUROC)",
    "logme": "LogME",
    "sfda": "SFDA",
    "nleep": "NLEEP",
    "leep": "LEEP",
    "h_score": "H-score (shrunk)",
    "parc": "PARC",
    "gbc": "GBC",
    "spearman_mmd": "Spearman - 0.1 MMD (literal)",
    "rdm_spearman_mmd": "Spearman - 0.1 MMD (sound)",
    "parameters": "Parameters",
    "source_accuracy": "Source accuracy",
}


def metric_name(metric: str) -> str:
    """The published name of a metric; an unknown one keeps its own, with spaces (`auroc_<class>` is one-vs-rest)."""
    if metric in METRICS:
        return METRICS[metric][0]
    head, _, rate = metric.rpartition("_")
    if head.endswith(_FIXED) and head in METRICS:
        return f"{METRICS[head][0]} {rate}"
    head, _, tail = metric.partition("_")
    if head in METRICS and tail:
        return f"{METRICS[head][0]}, {tail}"
    return metric.replace("_", " ").capitalize()


def metric_meaning(metric: str) -> str:
    """One line for people who do not read metrics every day; empty where none is known."""
    head = metric.rpartition("_")[0]
    known = head if head.endswith(_FIXED) else metric
    return METRICS[known][1] if known in METRICS else ""


def score_name(score: str) -> str:
    """The published name of a transferability score."""
    return _SCORES.get(score, score.replace("_", " "))


def missing(value: Any) -> bool:
    """Whether a value from JSON or a frame stands for 'undefined' (null, NaN or an infinity)."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def writable(text: str) -> str:
    """Text that can be written as UTF-8: file names of other encodings hold signs that cannot, which become `?`."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def count_text(count: int) -> str:
    """A count with thin groups of thousands: 12,345."""
    return f"{count:,}"


def decimal_text(value: float | None, *, digits: int = 3) -> str:
    """A number with fixed digits, or 'not defined'."""
    return NOT_DEFINED if value is None or missing(value) else f"{value:.{digits}f}"


def value_text(value: float | None) -> str:
    """A score of unknown size with four significant digits, whole numbers as counts."""
    if value is None or missing(value):
        return NOT_DEFINED
    if abs(value) >= 1000:
        return count_text(round(value))
    return f"{value:.4g}"


def percent_text(share: float | None, *, digits: int = 1) -> str:
    """A share as percent."""
    return NOT_DEFINED if share is None or missing(share) else f"{100 * share:.{digits}f} %"


def interval_text(row: Mapping[str, Any] | None) -> str:
    """A metric row as 'estimate (low-high)'; undefined parts are named, with the reason where the row gives one."""
    if row is None:
        return f"{NOT_DEFINED} (not measured)"
    if missing(row.get("estimate")):
        return f"{NOT_DEFINED} ({_reason(row)})"
    estimate = decimal_text(row["estimate"])
    if missing(row.get("low")) or missing(row.get("high")):
        return f"{estimate} (interval {NOT_DEFINED})"
    between = "–" if row["low"] >= 0 else " to "  # a dash before a minus is hard to read
    return f"{estimate} ({decimal_text(row['low'])}{between}{decimal_text(row['high'])})"


def _reason(row: Mapping[str, Any]) -> str:
    if row.get("reason"):
        return str(row["reason"])
    return "no images in this split" if row.get("n") == 0 else "see the warnings of this run"


def seconds_text(seconds: float | None) -> str:
    """A duration in the units one would say: 0.4 s, 12 s, 3 min 05 s, 2 h 07 min."""
    if seconds is None or missing(seconds):
        return NOT_DEFINED
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def megabytes_text(megabytes: float | None) -> str:
    """Memory in MB, from 1000 MB on in GB."""
    if megabytes is None or missing(megabytes):
        return NOT_DEFINED
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 999.5 else f"{megabytes:.0f} MB"
