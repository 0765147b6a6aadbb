"""What a reader of the numbers must be told: what is undefined, and which numbers look better than they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medical_transfer.evaluation.scored import Scored
from medical_transfer.types import MetricRow

FEWEST_GROUPS = 10
"""A class in fewer groups than this makes the intervals rough."""
SAME = 1e-9
"""Probabilities that differ by less are the same."""


def undefined(scored: Scored, rows: Mapping[str, MetricRow]) -> dict[str, str]:
    """Say for each metric that is NaN why it is."""
    return {
        metric: f"{metric} is undefined: {_why(scored)}" for metric, row in rows.items() if np.isnan(row["estimate"])
    }


def _why(scored: Scored) -> str:
    names = ", ".join(f"'{name}'" for name in scored.missing)
    if scored.labels_N.size and not names:  # the calibration slope alone asks for more than images of each class
        return f"on the {scored.split} images the probabilities are all the same, or part the classes entirely"
    return f"the {scored.split} split has no image of {f'class {names}' if scored.labels_N.size else 'any class'}"


def cautions(scored: Scored, rows: Mapping[str, MetricRow]) -> list[str]:
    """Write one sentence for each thing to beware of in one split; none where all is well."""
    counts = [
        f"{scored.split}: {n} {why} images are left out of all numbers." for why, n in scored.left_out.items() if n
    ]
    if not scored.labels_N.size:
        return [*counts, f"{scored.split}: no image could be evaluated."]
    return counts + _of_groups(scored) + _of_constants(scored) + _of_intervals(scored, rows)


def _of_groups(scored: Scored) -> list[str]:
    found = []
    for code, name in enumerate(scored.classes):
        groups = np.unique(scored.groups_N[scored.labels_N == code]).size
        if groups == 0:
            found.append(f"{scored.split}: class '{name}' has no image, so metrics that need it are undefined.")
        elif groups < FEWEST_GROUPS:
            found.append(
                f"{scored.split}: class '{name}' has {groups} independent groups, fewer than {FEWEST_GROUPS}: "
                f"the intervals are rough."
            )
    return found


def _of_constants(scored: Scored) -> list[str]:
    found = []
    if scored.labels_N.size > 1 and (np.ptp(scored.probabilities_NC, axis=0) < SAME).all():
        found.append(f"{scored.split}: constant predictor, every image gets the same probabilities.")
    decided = np.unique(scored.decided_N)
    if scored.labels_N.size > 1 and decided.size == 1:
        found.append(f"{scored.split}: every image is decided as '{scored.classes[decided[0]]}'.")
    return found


def _of_intervals(scored: Scored, rows: Mapping[str, MetricRow]) -> list[str]:
    # Rates read from the curve follow it, and the calibration line says in the table what it lacks.
    headlines = {name: row for name, row in rows.items() if "_at_" not in name and "calibration_" not in name}
    flat = [name for name, row in headlines.items() if row["low"] == row["high"]]
    open_ended = [name for name, row in headlines.items() if np.isnan(row["low"]) and not np.isnan(row["estimate"])]
    found = []
    if flat:
        found.append(
            f"{scored.split}: all resamples agree on {', '.join(flat)}: an interval without width says that these "
            f"images hold no counter-example, not that the value is certain."
        )
    if open_ended:
        found.append(
            f"{scored.split}: {', '.join(open_ended)} could not be computed in more than 5 % of the resamples "
            f"(a class lies in too few groups), so there is no interval."
        )
    return found
