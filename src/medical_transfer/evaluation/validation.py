"""A frozen model on new labelled images: its numbers there, and what an intercept from there would bring.

Shapes: N images, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.evaluate import evaluate
from medical_transfer.evaluation.operating_point import sample_size
from medical_transfer.evaluation.patients import by_patient
from medical_transfer.evaluation.scored import read_scored
from medical_transfer.metrics.recalibration import fit_intercepts, recalibrated_elsewhere
from medical_transfer.models.card import ModelCard
from medical_transfer.runtime.seeds import generator


def validated(predictions: pd.DataFrame, card: ModelCard, evaluation: Evaluation, seed: int) -> dict[str, Any]:
    """Everything that `validate_evaluation.json` holds.

    `test`: metric rows of all images that were read; `answered`: of those on which the model did not abstain;
    `patients`: of patients, where groups are known; `recalibrated`: of all images under an intercept fitted to the
    other groups. The last three may be null, with a reason in `about`. `about` is that of every evaluation, and
    `intercepts` (class -> what to add to the logarithm of its probability), `abstained`, `missing`, `sample_size`.
    """
    rows = predictions.drop(columns="decision").assign(split="test")
    answered = rows[~rows["abstained"].fillna(value=False).astype(bool)]
    patients = by_patient(rows, card.classes, card.positive_class, card.threshold)
    whole = _measured(rows, card, evaluation, seed)
    changed, intercepts = _recalibrated(rows, card, seed)
    tables = {"answered": answered, "patients": patients.assign(split="test"), "recalibrated": changed}
    parts = {
        name: _measured(table, card, evaluation, seed)["test"] if table is not None and len(table) else None
        for name, table in tables.items()
    }
    about = {
        **whole["about"],
        "intercepts": intercepts,
        "abstained": int(len(rows) - len(answered)),
        "missing": _why_missing(parts),
        "sample_size": sample_size(
            parts["patients"] or whole["test"], evaluation, "patients" if parts["patients"] else "independent images"
        ),
    }
    return {"test": whole["test"], **parts, "about": about}


def _measured(table: pd.DataFrame, card: ModelCard, evaluation: Evaluation, seed: int) -> dict[str, Any]:
    plain = table.drop(columns="decision", errors="ignore")
    told = evaluate(plain, list(card.classes), card.positive_class, card.threshold, evaluation, seed)
    about = {
        name: value["test"] if isinstance(value, dict) and "test" in value else value
        for name, value in told["about"].items()
    }
    warnings = [
        sentence.removeprefix("test: ") for sentence in told["about"]["warnings"] if sentence.startswith("test")
    ]
    return {"test": told["test"], "about": {**about, "warnings": warnings}}


def _recalibrated(
    rows: pd.DataFrame, card: ModelCard, seed: int
) -> tuple[pd.DataFrame | None, dict[str, float] | None]:
    """The labelled rows under intercepts of other groups, and the intercepts of all of them."""
    scored = read_scored(rows, "test", list(card.classes), None)
    intercepts_C = fit_intercepts(scored.probabilities_NC, scored.labels_N)
    if intercepts_C is None:
        return None, None
    rng = generator(seed, "recalibration/folds")
    changed_NC = recalibrated_elsewhere(scored.probabilities_NC, scored.labels_N, scored.groups_N, rng)
    named = dict(zip(card.classes, intercepts_C.tolist(), strict=True))
    if changed_NC is None:
        return None, named
    columns = [f"p_{name}" for name in card.classes]
    kept = rows[rows[columns].notna().all(axis=1) & rows["label"].notna()].copy()
    kept[columns] = changed_NC
    return kept, named


def _why_missing(parts: Mapping[str, Any]) -> dict[str, str]:
    reasons = {
        "answered": "the model abstains on all images",
        "patients": "no image has a group: set validate.group_pattern, or a column 'group' in the table",
        "recalibrated": "a class has no image, or too few groups hold one",
    }
    return {name: reasons[name] for name, rows in parts.items() if rows is None}
