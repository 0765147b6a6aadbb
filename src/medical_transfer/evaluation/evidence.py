"""What a team must be able to answer about a model beyond its metrics: for whom, at what cost, and what is missing.

It is read from the predictions table and the manifest; no torch.
"""

from __future__ import annotations

from typing import TypedDict

import pandas as pd

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.levels import divisions, own_columns
from medical_transfer.evaluation.per_class import OfClass, per_class
from medical_transfer.evaluation.quarantine import Association, quarantine_bias
from medical_transfer.evaluation.scored import check_columns, positive_last, read_scored
from medical_transfer.evaluation.subgroups import Subgroups, subgroups
from medical_transfer.evaluation.worth import DecisionCurve, Predictive, decision_curve, predictive_values


class Evidence(TypedDict):
    """Of the test images, as it is written to JSON; `quarantine` is of all files found."""

    per_class: list[OfClass]
    subgroups: Subgroups
    predictive_values: list[Predictive]
    decision_curve: DecisionCurve | None
    quarantine: list[Association]


def weigh(
    predictions: pd.DataFrame,
    manifest: pd.DataFrame,
    classes: list[str],
    positive: str | None,
    threshold: float | None,
    config: Evaluation,
    seed: int,
) -> Evidence:
    """Divide the test images by class and subgroup, and ask what decisions on them are worth.

    Args:
        predictions: as for `evaluate`, with image_id.
        manifest: a row for each image of the predictions, with the table's own columns.
        classes: names of the classes.
        positive: the positive one of two classes; null: the last in sorted order.
        threshold: frozen threshold of the positive class; null: the most probable class.
        config: resamples, coverage, subgroups, prevalences.
        seed: root seed.

    Raises:
        UserError: from `positive_last`, `check_columns` or `read_scored`.
    """
    ordered = positive_last(classes, positive)
    check_columns(predictions, classes, "image_id")
    scored = read_scored(predictions, "test", ordered, threshold)
    known = own_columns(manifest)
    facts = manifest.set_index("image_id").reindex(predictions["image_id"])
    tested = facts.iloc[scored.places_N]
    wanted = known if config.subgroups is None else config.subgroups
    _, left_out = divisions(tested, wanted, config)
    levels, _ = divisions(facts, [name for name in wanted if name not in left_out], config)
    return Evidence(
        per_class=per_class(scored, config, seed),
        subgroups=subgroups(scored, levels, left_out, config, seed),
        predictive_values=predictive_values(scored, config, seed),
        decision_curve=decision_curve(scored, config, seed),
        quarantine=quarantine_bias(manifest, known, config, seed),
    )
