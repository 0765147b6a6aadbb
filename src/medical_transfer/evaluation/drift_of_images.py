"""From new images to the verdict on their drift: what the model sees of them, held against what it kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from medical_transfer.config.drift import Drift
from medical_transfer.data.new_images import NewImages
from medical_transfer.evaluation.drift import Batch, drifted, group_codes
from medical_transfer.evaluation.predictor import load
from medical_transfer.evaluation.stream import parts_of
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.reference import read_reference
from medical_transfer.types import UserError


def drift_of(model: TrainedModel, new: NewImages, asked: Drift, *, seed: int) -> dict[str, Any]:
    """The content of `drift.json`.

    Raises:
        UserError: the model kept nothing of its images, or none of the new images can be read.
    """
    reference = read_reference(model.folder, model.card)
    if reference is None:
        raise UserError(
            f"The model in {model.folder} was saved without the features of its images, so nothing can be held against "
            "the new ones: train it again with this version."
        )
    predictor = load(model.folder, novelty=asked.novelty, false_abstain=asked.false_abstain)
    parts = list(
        parts_of(new, predictor.see, classes=len(model.card.classes), part_images=asked.part_images, features=True)
    )
    read_N = np.array([reason is None for part in parts for reason in part.reasons_N], dtype=bool)
    if not read_N.any():
        reasons = pd.Series([reason for part in parts for reason in part.reasons_N]).value_counts()
        raise UserError(f"None of {len(read_N)} files of drift.images can be read (most often: {reasons.index[0]}).")
    batch = Batch(
        features_nH=np.concatenate([part.seen.features_nH for part in parts if len(part.seen.features_nH)]),
        probabilities_nC=np.concatenate([part.seen.probabilities_nC for part in parts]),
        novelty_n=np.concatenate([part.seen.novelty_n for part in parts]),
        groups_n=group_codes(new.rows.loc[read_N, "group_id"]),
    )
    told = drifted(
        batch,
        reference,
        predictor.detector,
        model.card,
        false_abstain=asked.false_abstain,
        permutations=asked.permutations,
        seed=seed,
    )
    return {**told, "not_read": int((~read_N).sum())}
