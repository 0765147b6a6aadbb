"""What frozen features give: every score of the training images, and the probe on the test images, for each seed.

The features of a target's images under a source are computed once; a seed takes the rows of its split. Whatever stands
in the menu of scores is computed, so a new score appears in the study by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.data.dataset import LabelledRows, labelled_rows, scored_rows, without_labels
from medical_transfer.models.source import Source
from medical_transfer.models.weights import Untrained
from medical_transfer.pipelines.transferability.feature_modules import FEATURE_MODULES
from medical_transfer.pipelines.transferability.scoring import (
    CONTROL,
    Shown,
    SourceFeatures,
    source_features,
)
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.studies.frozen_probe import Floats, probe_auroc
from medical_transfer.studies.place import Place
from medical_transfer.studies.prepared_targets import Prepared
from medical_transfer.transferability.evidence import Evidence
from medical_transfer.transferability.rank import score_source

logger = logging.getLogger(__name__)

MODULES = (
    *FEATURE_MODULES,
    "medical_transfer.transferability",
    "medical_transfer.data.dataset",
    "medical_transfer.metrics",
    "medical_transfer.studies.frozen",
    "medical_transfer.studies.frozen_probe",
)
"""A measured pair of source and target is not measured again unless the text of one of these changes."""
RESAMPLES = 1000
JOINED = (2, 3)
"""So many sources side by side."""


@dataclass(frozen=True)
class Frozen:
    """The images of a target under one seed, and the features of all of its images under each source.

    Attributes:
        prepared: the target.
        study: the block of the study.
        seed: of the split.
        features: of each source (N, D) with the seconds that they cost, a row for each of `images`.
        images: row of each image.
        folder: where what was measured is kept.
    """

    prepared: Prepared
    study: StudyTransferability
    seed: int
    features: Mapping[str, SourceFeatures]
    images: Mapping[str, int]
    folder: Path

    def rows(self, split: Any) -> LabelledRows:
        """Usable images of a split."""
        return labelled_rows(self.prepared.manifests[self.seed], self.prepared.cache, split)

    def of(self, name: str, rows: LabelledRows) -> Floats:
        """Features of some images under a source."""
        return np.asarray(self.features[name].features_ND[self._places(rows)], dtype=np.float64)

    def probabilities_of(self, name: str, rows: LabelledRows) -> Floats | None:
        """What a source's own head says of some images; None where it has none."""
        probabilities_NK = self.features[name].probabilities_NK
        return None if probabilities_NK is None else np.asarray(probabilities_NK[self._places(rows)], dtype=np.float64)

    def _places(self, rows: LabelledRows) -> list[int]:
        return [self.images[image] for image in rows.image_ids]


def all_images(prepared: Prepared) -> LabelledRows:
    """Every image of a target that some seed trains, validates or tests on, in the order of its manifest."""
    manifest = next(iter(prepared.manifests.values()))
    used = np.logical_or.reduce([(each["split"] != "excluded").to_numpy(bool) for each in prepared.manifests.values()])
    mine = manifest[used & (manifest["status"] == "ok").to_numpy(bool) & manifest["label"].notna().to_numpy(bool)]
    return without_labels(mine, prepared.cache)


def features_of(
    source: Source, rows: LabelledRows, prepared: Prepared, place: Place, backbones: Backbones
) -> SourceFeatures:
    """Features and own probabilities of all images of a target under a source."""
    return source_features(source, Shown(rows, prepared.cache, backbones, place.folders))


def measure(source: Source, frozen: Frozen) -> dict[str, Any]:
    """Scores and probe of one source on one target under one seed.

    Returns:
        `scores` (name -> value, seconds, reason), `probe` (estimate, low, high, n, seconds), `images` that were scored.
    """

    def compute() -> dict[str, Any]:
        scored = scored_rows(frozen.rows("train"), frozen.study.score_images, frozen.seed)
        values = score_source(_evidence(source, frozen, scored)).values
        return {
            "scores": {name: asdict(value) for name, value in values.items()},
            "probe": _probe([source.name], frozen),
            "images": len(scored),
        }

    return _kept([source], frozen, compute)


def side_by_side(sources: Sequence[Source], frozen: Frozen) -> dict[str, Any]:
    """The probe on the features of several sources next to each other."""
    return _kept(sources, frozen, lambda: {"probe": _probe([source.name for source in sources], frozen)})


def best_first(sources: Sequence[Source], measured: Mapping[str, Mapping[str, Any]]) -> list[Source]:
    """Pretrained sources by their cross-validated probe on the training images: what the main job goes by."""
    known = {
        name: value for name, each in measured.items() if (value := each["scores"]["linear_probe"]["value"]) is not None
    }
    there = [source for source in sources if source.name in known and not isinstance(source.weights, Untrained)]
    return sorted(there, key=lambda source: -known[source.name])


def _kept(sources: Sequence[Source], frozen: Frozen, compute: Any) -> dict[str, Any]:
    key = content_key(
        inputs={
            "cache": frozen.prepared.cache.key,
            "split": split_hash(frozen.prepared.manifests[frozen.seed]),
            "sources": [source.identity for source in sources],
            "reference": CONTROL in frozen.features,
            "seed": frozen.seed,
            "score_images": frozen.study.score_images,
        },
        parameters=[],
        modules=MODULES,
    )
    folder = once(frozen.folder, key, lambda partial: write_json(partial / "measured.json", compute()))
    found: dict[str, Any] = {"key": key, **read_json(folder / "measured.json")}
    return found


def _probe(names: Sequence[str], frozen: Frozen) -> dict[str, Any]:
    started_s = time.perf_counter()
    train, test = frozen.rows("train"), frozen.rows("test")
    train_ND, test_MD = (np.hstack([frozen.of(name, rows) for name in names]) for rows in (train, test))
    seed = derive_seed(frozen.seed, "probe/bootstrap")
    found = probe_auroc(train, test, train_ND, test_MD, resamples=RESAMPLES, seed=seed)
    return {**asdict(found), "n": len(test), "seconds": round(time.perf_counter() - started_s, 3)}


def _evidence(source: Source, frozen: Frozen, rows: LabelledRows) -> Evidence:
    reference = frozen.of(CONTROL, rows) if CONTROL in frozen.features and source.name != CONTROL else None
    return Evidence(
        features_ND=frozen.of(source.name, rows),
        labels_N=rows.labels_N,
        groups_N=rows.groups_N,
        reference_features_NE=reference,
        source_probabilities_NK=frozen.probabilities_of(source.name, rows),
        widths=frozen.features[source.name].widths,
        parameters=source.parameters,
        source_accuracy=source.source_accuracy,
        seed=derive_seed(frozen.seed, "scores"),
        source=source.name,
    )
