"""The outcome that only sources with layers have: fine-tuning on every target under one budget, judged on its test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from medical_transfer.config.images import Images
from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.models.source import Source
from medical_transfer.studies.place import Place
from medical_transfer.studies.prepared_targets import Prepared
from medical_transfer.studies.runner import run_trials
from medical_transfer.studies.targets import Target
from medical_transfer.studies.transferability_names import LP_FT
from medical_transfer.studies.trials import Done, Failure, Measured, Trial

PREFIX = "lp_ft_"


def fine_tune(
    place: Place, ready: Sequence[Prepared], sources: Sequence[Source], study: StudyTransferability
) -> tuple[list[Done], list[Failure]]:
    """Fine-tune every source on every target under every seed, and say of those that are only graphs that they cannot.

    Returns:
        Trials with metrics whose names begin with `lp_ft_`, and those that failed.

    Raises:
        UserError: where the run is stopped from outside, the disk is full, or not a single trial ended well.
    """
    if "lp_ft" not in study.outcomes:
        return [], []
    trials, handed, bare = list[Trial](), dict[str, dict[str, Any]](), list[Done]()
    for seed in study.seeds:
        for prepared in ready:
            for source in sources:
                trial = Trial(
                    source.name,
                    prepared.target.name,
                    seed,
                    parameters_of_trial(prepared.target, study),
                    reads=f"{prepared.target.name}/{source.name}/{seed}",
                )
                if source.trainable:
                    trials.append(trial)
                    handed[str(trial.reads)] = _handed(prepared, source, seed)
                else:
                    bare.append(Done("", trial, math.nan, (Measured(LP_FT, None, None, None, 0),)))
    if not trials:
        return bare, []
    done, failures = run_trials(place, trials, handed)
    return [*map(_renamed, done), *bare], failures


def parameters_of_trial(target: Target, study: StudyTransferability) -> dict[str, Any]:
    """Runtime parameters of one trial: the head on frozen features, then everything, in the same steps for all."""
    images = Images.model_validate(target.images)
    finetune = {"head_first": True, "head_epochs": study.head_rounds, "multiplier": 1.0}
    return {
        "images": {
            "size": study.image_size,
            "positive_class": images.positive_class,
            "licence": images.licence,
        },
        "model": {"freeze": "none"},
        "training": {
            "batch_size": study.batch_size,
            "steps_per_epoch": study.steps // study.rounds,
            "epochs": study.rounds,
            "patience": study.rounds,
            "number_format": "fp32",  # what is fastest differs between sources, and would be a difference of its own
            "finetune": finetune,
        },
        "augmentation": {**target.blocks.get("augmentation", {}), "views": 1},
        "evaluation": {"predict_training": False},
    }


def _handed(prepared: Prepared, source: Source, seed: int) -> dict[str, Any]:
    chosen = {"chosen": source.name, "reason": "all sources of the study are built in turn"}
    mine = {"manifest": prepared.manifests[seed], "image_cache": prepared.cache, "transferability": chosen}
    return {**mine, **prepared.second}


def _renamed(done: Done) -> Done:
    return replace(done, measured=tuple(replace(each, metric=PREFIX + each.metric) for each in done.measured))
