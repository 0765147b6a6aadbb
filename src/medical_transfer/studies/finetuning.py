"""Exercise 2: which fine-tuning strategy on how many images, and at what cost.

All trials have the same number of steps. A seed gives its own split, draw of training images, first weights and order;
all strategies and sizes of a seed share split and validation and test images, so that they can be compared in pairs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
from kedro.pipeline import Pipeline

from medical_transfer.config.folders import Folders
from medical_transfer.config.study_finetuning import Size, Strategy, StudyFinetuning
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.finetuning_names import METRIC, NAME, NAMES, setting_of
from medical_transfer.studies.pipeline import one_source, study_pipeline
from medical_transfer.studies.trials import Trial
from medical_transfer.types import Figure, UserError

FROM_CACHE = ("all_frozen", "partial")
"""Strategies that learn from cached activations."""


def run(
    study_finetuning: StudyFinetuning, folders: Folders, this_session: SessionFacts
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Run all trials that are not finished.

    Returns:
        The table of results, and the trials that failed with their sentences.

    Raises:
        UserError: a size is larger than the data, or no trial ended well.
    """
    from medical_transfer.studies.place import Place  # noqa: PLC0415 - quick command line
    from medical_transfer.studies.runner import prepare, run_trials  # noqa: PLC0415
    from medical_transfer.studies.table import results_table, told_of  # noqa: PLC0415

    place = Place(NAME, this_session, folders, one_source(study_finetuning.source, study_finetuning.image_size))
    trials = grid(study_finetuning)
    choosing = replace(place, parameters=place.parameters | what_may_learn(study_finetuning))
    handed = prepare(choosing, [trial.seed for trial in trials])
    for seed, given in handed.items():
        check_sizes(study_finetuning, given["manifest"], seed)
    done, failures = run_trials(place, trials, handed)
    return results_table(done, failures), told_of(failures)


def draw(results: pd.DataFrame, study_finetuning: StudyFinetuning) -> Figure:
    """Learning curves with bands, cost beside quality."""
    from medical_transfer.reporting.learning_curves import learning_curves_figure  # noqa: PLC0415 - fonts
    from medical_transfer.studies.conclusion import averages  # noqa: PLC0415 - scipy
    from medical_transfer.studies.table import values_of  # noqa: PLC0415

    return learning_curves_figure(
        averages(values_of(results, METRIC)),
        settings=[setting_of(size) for size in study_finetuning.sizes],
        names={name: NAMES[name] for name in study_finetuning.strategies},
        quality="test AUROC",
        setting="training images of each class",
    )


def conclude(
    results: pd.DataFrame, failures: list[dict[str, Any]], study_finetuning: StudyFinetuning, this_session: SessionFacts
) -> str:
    """The summary: conclusion, rule, table, what failed and what the study cannot say."""
    from medical_transfer.studies.finetuning_summary import summary  # noqa: PLC0415 - scipy

    return summary(results, failures, study_finetuning, this_session.parameters)


def create_pipeline() -> Pipeline:
    """Images -> table, figure and summary of the study."""
    return study_pipeline(NAME, run=run, figures={"curves": draw}, conclude=conclude)


def grid(study: StudyFinetuning) -> list[Trial]:
    """All trials, a whole grid per seed, so that a study that is stopped early has whole grids."""
    seeds = list(dict.fromkeys([*study.seeds, *study.seeds_whole]))
    return [
        Trial(strategy, setting_of(size), seed, parameters_of(strategy, size, study))
        for seed in seeds
        for size in study.sizes
        for strategy in study.strategies
        if seed in (study.seeds if strategy in FROM_CACHE else study.seeds_whole)
    ]


def what_may_learn(study: StudyFinetuning) -> dict[str, Any]:
    """For the choice of the source: one that is only a graph may be taken where all strategies learn heads only."""
    return {"model": {"freeze": "all"}} if set(study.strategies) == {"all_frozen"} else {}


def parameters_of(strategy: Strategy, size: Size, study: StudyFinetuning) -> dict[str, Any]:
    """Runtime parameters of one trial: `rounds` epochs of as many steps, however many images and phases there are."""
    head_rounds = {"all_frozen": study.rounds, "lp_ft": study.rounds // 2}.get(strategy, study.rounds)
    finetune: dict[str, Any] = {"head_first": strategy == "lp_ft", "head_epochs": head_rounds}
    if strategy in {"full", "lp_ft"}:
        finetune["multiplier"] = 1.0
    if strategy in study.learning_rates:
        finetune["learning_rate"] = study.learning_rates[strategy]
    return {
        "model": {"freeze": {"all_frozen": "all", "partial": "partial"}.get(strategy, "none")},
        "training": {
            "per_class": None if size == "all" else size,
            "batch_size": study.batch_size,
            "steps_per_epoch": study.steps // study.rounds,
            "epochs": study.rounds - head_rounds if strategy == "lp_ft" else study.rounds,
            "patience": study.rounds,
            "finetune": finetune,
        },
    }


def check_sizes(study: StudyFinetuning, manifest: pd.DataFrame, seed: int) -> None:
    """Refuse sizes that a seed's training images do not reach.

    Raises:
        UserError: names the class and the largest size that would do.
    """
    from medical_transfer.studies.main_job import training_images  # noqa: PLC0415 - quick command line

    counts = training_images(manifest)
    name, fewest = min(counts.items(), key=lambda each: each[1])
    if too_large := [size for size in study.sizes if isinstance(size, int) and size > fewest]:
        raise UserError(
            f"study_finetuning.sizes has {', '.join(map(str, too_large))}, but with seed {seed} class '{name}' has "
            f"{fewest} training images: name others in conf/local/parameters.yml ('all' stands for all images)."
        )
