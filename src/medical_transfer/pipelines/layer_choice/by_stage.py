"""Features and scores of all stages of a source and of its untrained control, and the suggestion that they give."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medical_transfer.config.layer_choice import LayerChoice
from medical_transfer.models.source import Source
from medical_transfer.models.stage_features import stage_file, write_stage_features
from medical_transfer.models.weights import Untrained
from medical_transfer.pipelines.transferability.feature_modules import FEATURE_MODULES
from medical_transfer.pipelines.transferability.scoring import Shown, kept_features
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.stage import seconds_spent
from medical_transfer.transferability.choose import Candidate
from medical_transfer.transferability.depth import (
    CAVEAT,
    against_untrained,
    in_units_of_spread,
    parameters_above,
    suggest_cut,
)
from medical_transfer.transferability.evidence import Evidence
from medical_transfer.transferability.rank import SourceScores, score_source

CONTROL_WEIGHTS = Untrained("init/random")
"""The random weights are those of the source `random` where the architecture is the same."""


@dataclass(frozen=True)
class Looking:
    """What all stages of one comparison share."""

    shown: Shown
    config: LayerChoice
    seed: int


def compare_stages(source: Source, looking: Looking) -> dict[str, Any]:
    """Score every stage: all of `layer_choice.json` but the suggestion."""
    is_untrained = isinstance(source.weights, Untrained)
    control = (
        None
        if is_untrained or not looking.config.untrained
        else source.untrained(f"{source.name} with random weights", CONTROL_WEIGHTS)
    )
    folder = _stage_features(source, looking)
    facts, scores = read_json(folder / "stages.json"), _scores(source, folder, looking)
    beside = None if control is None else _stage_features(control, looking)
    control_scores = [] if control is None or beside is None else _scores(control, beside, looking)
    above = parameters_above([Candidate(stage["name"], (), stage["parameters"]) for stage in facts])
    stages = [
        {
            "index": number + 1,
            **stage,
            "parameters_above": above[number],
            **_told(scores[number]),
            "untrained": _told(control_scores[number]) if control_scores else None,
        }
        for number, stage in enumerate(facts)
    ]
    return {
        "source": source.name,
        "domain": source.domain,
        "architecture": source.architecture,
        "untrained_source": is_untrained,
        "images": len(looking.shown.rows),
        "seconds": {
            "pretrained": round(seconds_spent(folder), 3),
            "untrained": None if beside is None else round(seconds_spent(beside), 3),
        },
        "stages": stages,
    }


def with_suggestion(scored: dict[str, Any], *, head_parameters: int) -> dict[str, Any]:
    """The content of `layer_choice.json`: what `compare_stages` gave, and where it suggests to cut.

    Args:
        scored: stages from the image to the head.
        head_parameters: of the head that `model` asks for, which always learns.
    """
    stages = scored["stages"]
    cut = suggest_cut([_candidate(stage, stage) for stage in stages])
    if cut is None:
        reason = stages[0]["scores"]["linear_probe"]["reason"]
        return {**scored, "suggestion": {"settings": None, "text": f"No stage could be probed: {reason}."}}
    kept, total = stages[cut.kept - 1], sum(stage["parameters"] for stage in stages) + head_parameters
    trainable = cut.parameters + head_parameters
    sentences = [cut.why, f"Then {trainable:,} of {total:,} parameters learn, the new head included."]
    if kept["untrained"]:
        sentences.append(against_untrained(_candidate(kept, kept), _candidate(kept, kept["untrained"])))
    if scored["untrained_source"]:
        sentences.append(f"{scored['source']} is untrained, so this says nothing about what pretraining gives.")
    suggestion = {
        "kept": cut.kept,
        "stage": kept["name"],
        "best": stages[cut.best - 1]["name"],
        "trainable_stages": cut.retrained,
        "trainable": trainable,
        "total": total,
        "settings": cut.settings,
        "text": " ".join([*sentences, CAVEAT]),
    }
    return {**scored, "suggestion": suggestion}


def _stage_features(source: Source, looking: Looking) -> Path:
    modules = (*FEATURE_MODULES, "medical_transfer.models.stage_features")
    return kept_features(source, looking.shown, partial(write_stage_features, source), modules)


def _scores(source: Source, folder: Path, looking: Looking) -> list[SourceScores]:
    names = tuple(dict.fromkeys(["linear_probe", *looking.config.scores]))
    return [
        score_source(_evidence(np.load(stage_file(folder, index)), f"{stage['name']} of {source.name}", looking), names)
        for index, stage in enumerate(read_json(folder / "stages.json"))
    ]


def _evidence(features_ND: np.ndarray, what: str, looking: Looking) -> Evidence:
    return Evidence(
        features_ND=in_units_of_spread(features_ND),
        labels_N=looking.shown.rows.labels_N,
        groups_N=looking.shown.rows.groups_N,
        folds=looking.config.folds,
        seed=looking.seed,
        source=what,
    )


def _told(scores: SourceScores) -> dict[str, Any]:
    return {
        "scores": {name: asdict(value) for name, value in scores.values.items()},
        "fold_aurocs": list(scores.fold_aurocs),
    }


def _candidate(stage: dict[str, Any], scored: dict[str, Any]) -> Candidate:
    return Candidate(stage["name"], tuple(scored["fold_aurocs"]), stage["parameters"])
