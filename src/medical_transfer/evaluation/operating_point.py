"""Whether a clinical target can be shown at all with the units at hand, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.metrics.sample_size import in_words
from medical_transfer.types import MetricRow

SENSITIVITY = 0.95
"""What the sentence speaks of where no other target was set."""
SIDES = {"sensitivity": "positive", "specificity": "negative"}


def sample_size(
    rows: Mapping[str, MetricRow],
    evaluation: Evaluation,
    unit: str,
    *,
    expected: Mapping[str, MetricRow] | None = None,
) -> str | None:
    """How many units it takes to show the target sensitivity (or specificity), and how many there are.

    Args:
        rows: metric rows of the images or patients that are to show it.
        evaluation: its rule and target; under a rule without one, a sensitivity of .95.
        unit: what the rows are, in the plural.
        expected: rows whose value is taken for the true one; null: `rows` themselves.

    Returns:
        A sentence; None where there are no two classes, or the value is not defined.
    """
    what = evaluation.threshold if evaluation.threshold in SIDES else "sensitivity"
    target = evaluation.target if evaluation.threshold in SIDES else SENSITIVITY
    if what not in rows:
        return None
    true = (expected or rows)[what]["estimate"]
    if math.isnan(true):
        return None
    return in_words(what, target, true, units=rows[what]["groups"], unit=f"{SIDES[what]} {unit}")
