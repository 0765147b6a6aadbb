"""The main job's numbers by patient, where it is known whose the images are."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.evaluate import EVALUATED, evaluate
from medical_transfer.evaluation.operating_point import sample_size
from medical_transfer.evaluation.patients import by_patient
from medical_transfer.models.card import ModelCard

UNKNOWN = "no image has a patient: set images.group_pattern, or a column 'group' in the table"


def patient_evaluation(
    predictions: pd.DataFrame, audit: pd.DataFrame, card: ModelCard, evaluation: Evaluation, seed: int
) -> dict[str, Any]:
    """Metric rows of val and test as `evaluate` gives them, one row of the table being a patient.

    Patients are those that were given (the audit's groups); near-duplicates that join several of them into one group of
    the split only make them one group of the bootstrap. Images without a patient are left out and counted in
    `about.without_patient`. Without any patient `val` and `test` are null, and `about.reason` says why.
    """
    whose = audit.set_index("image_id")["group_id"]
    rows = predictions.assign(patient=predictions["image_id"].map(whose).to_numpy())
    known = rows[rows["patient"].notna()]
    if known.empty:
        return {"val": None, "test": None, "about": {"reason": UNKNOWN}}
    tables = []
    for split in EVALUATED:
        mine = known[known["split"] == split]
        groups = mine.groupby("patient")["group_id"].first()
        patients = by_patient(
            mine.drop(columns="group_id").rename(columns={"patient": "group_id"}),
            card.classes,
            card.positive_class,
            card.threshold,
        )
        tables.append(patients.assign(split=split, group_id=patients["group_id"].map(groups)))
    table = pd.concat(tables, ignore_index=True).drop(columns="decision")
    told = evaluate(table, list(card.classes), card.positive_class, card.threshold, evaluation, seed)
    counted = rows["split"].isin(EVALUATED)
    about = {
        **told["about"],
        "without_patient": int((rows["patient"].isna() & counted).sum()),
        "sample_size": sample_size(told["test"], evaluation, "patients", expected=told["val"]),
    }
    return {**told, "about": about}
