"""All pairs of target and source on frozen features, as trials of the study's table."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.models.source import Source
from medical_transfer.studies.attempt import is_end, sentence_of
from medical_transfer.studies.frozen import (
    JOINED,
    Frozen,
    all_images,
    best_first,
    features_of,
    measure,
    side_by_side,
)
from medical_transfer.studies.place import Place
from medical_transfer.studies.prepared_targets import Prepared
from medical_transfer.studies.transferability_names import FEATURES, PROBE, SCORE, joined_name
from medical_transfer.studies.trials import Done, Failure, Measured, Trial

logger = logging.getLogger(__name__)


@dataclass
class FrozenTrials:
    """What frozen features gave: trials that ended, those that failed, and score -> source -> why it has no value."""

    done: list[Done] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    undefined: dict[str, dict[str, str]] = field(default_factory=dict)


def measure_frozen(
    place: Place,
    ready: Sequence[Prepared],
    sources: Sequence[Source],
    study: StudyTransferability,
    backbones: Backbones,
) -> FrozenTrials:
    """Scores and probes of all targets, sources and seeds; a source that fails is named, and the next one is measured.

    Raises:
        Exception: where the study was told to stop or the disk is full.
    """
    told = FrozenTrials()
    for number, prepared in enumerate(ready, start=1):
        features = _features(place, prepared, sources, backbones, told)
        there = [source for source in sources if source.name in features]
        rows = {image: row for row, image in enumerate(all_images(prepared).image_ids)}
        for seed in study.seeds:
            frozen = Frozen(prepared, study, seed, features, rows, place.root / "measured")
            _measure_seed(frozen, there, told)
        name, place_in_row = prepared.target.name, f"{number} of {len(ready)}"
        logger.info("Study %s: scores and probes of %s (%s) are there", place.name, name, place_in_row)
    return told


def _features(
    place: Place, prepared: Prepared, sources: Sequence[Source], backbones: Backbones, told: FrozenTrials
) -> dict[str, Any]:
    rows, found = all_images(prepared), {}
    for source in sources:
        trial = Trial(source.name, prepared.target.name, next(iter(prepared.manifests)))
        try:
            found[source.name] = features_of(source, rows, prepared, place, backbones)
        except Exception as error:
            if is_end(error):
                raise
            _fail(told, trial, error)
        else:
            seen = found[source.name]
            width = Measured(FEATURES, seen.features_ND.shape[1], None, None, len(rows))
            told.done.append(Done("", trial, round(seen.seconds, 2), (width,)))
    return found


def _measure_seed(frozen: Frozen, sources: Sequence[Source], told: FrozenTrials) -> None:
    measured: dict[str, Mapping[str, Any]] = {}
    for source in sources:
        trial = Trial(source.name, frozen.prepared.target.name, frozen.seed)
        try:
            measured[source.name] = measure(source, frozen)
        except Exception as error:
            if is_end(error):
                raise
            _fail(told, trial, error)
        else:
            told.done += _trials_of(trial, measured[source.name], frozen, [source])
            for score, value in measured[source.name]["scores"].items():
                if value["reason"]:
                    told.undefined.setdefault(score, {})[source.name] = value["reason"]
    order = best_first(sources, measured)
    for count in (1, *JOINED):
        if count <= len(order):
            joined = order[:count]
            trial = Trial(joined_name(count), frozen.prepared.target.name, frozen.seed)
            found = measured[joined[0].name] if count == 1 else side_by_side(joined, frozen)
            told.done.append(_probed(trial, found, frozen, joined))


def _trials_of(trial: Trial, found: Mapping[str, Any], frozen: Frozen, sources: Sequence[Source]) -> list[Done]:
    scores = [
        Done(
            found["key"],
            trial,
            value["seconds"],
            (Measured(SCORE + name, value["value"], None, None, found["images"]),),
        )
        for name, value in found["scores"].items()
    ]
    return [_probed(trial, found, frozen, sources), *scores]


def _probed(trial: Trial, found: Mapping[str, Any], frozen: Frozen, sources: Sequence[Source]) -> Done:
    """The probe, with the seconds of the features that it stands on and of its fit."""
    probe = found["probe"]
    seconds = probe["seconds"] + sum(frozen.features[source.name].seconds for source in sources)
    number = Measured(PROBE, probe["estimate"], probe["low"], probe["high"], probe["n"])
    return Done(found["key"], trial, round(seconds, 2), (number,))


def _fail(told: FrozenTrials, trial: Trial, error: Exception) -> None:
    told.failures.append(Failure("", trial, math.nan, sentence_of(error)))
    logger.warning("Study: trial %s failed: %s", trial, sentence_of(error))
