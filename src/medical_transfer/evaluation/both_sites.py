"""Validation images of both sites as one model sees them, and what the source's labels say of it.

Target labels have no part in this. Shapes: N source and M target images, H features, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import softmax

from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.evaluation.embedded import embed_images, embedder
from medical_transfer.methods.adaptation import dev_of
from medical_transfer.methods.contract import Outputs
from medical_transfer.metrics.classification import auroc
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.inference import classify_features
from medical_transfer.models.source_view import source_view
from medical_transfer.runtime.files import without_nan, write_json

FEATURES, JUDGED = "features.npz", "judged.json"


@dataclass(frozen=True)
class Shown:
    """Images of one site, and the model that sees them."""

    model: TrainedModel
    cache: ImageCache
    rows: LabelledRows


def write_both_sites(home: Shown, away: Shown, folder: Path) -> None:
    """Write the features of both, and the scores that rest on the source's labels.

    Args:
        home: labelled validation images of the source under the model as it is for them.
        away: validation images of the target.
        folder: gets `features.npz` and `judged.json`.
    """
    classifier, card = load_checkpoint(home.model.folder)
    view = source_view(home.model.folder)
    run = embedder(away.model, size=card.size)
    run_at_home = run if home.model == away.model else embedder(home.model, size=card.size)
    source_NH = embed_images(run_at_home, home.cache, home.rows.slots_N)
    source_NH = source_NH if view is None else view.of(source_NH)
    target_MH = embed_images(run, away.cache, away.rows.slots_N)
    logits_NC = classify_features(classifier, source_NH)
    outputs = Outputs(logits_NC / card.temperature, home.rows.labels_N, source_NH, target_features_MH=target_MH)
    write_json(folder / JUDGED, without_nan(source_scores(outputs)))
    np.savez(
        folder / FEATURES,
        source=source_NH.astype(np.float32),
        target=target_MH.astype(np.float32),
        source_groups=home.rows.groups_N,
        target_groups=away.rows.groups_N,
    )


def source_scores(outputs: Outputs) -> dict[str, float]:
    """Deep embedded validation and AUROC of the source's validation images; higher is better."""
    probabilities_NC = softmax(outputs.logits_NC, axis=1)
    here = auroc(outputs.labels_N, probabilities_NC, np.ones((1, len(outputs.labels_N))))
    return {"dev": dev_of(outputs), "source": float(here[0])}
