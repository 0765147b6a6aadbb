"""Exercise 3: adaptation from MNIST to MNIST-M without its labels, and what the strength of the reversal trades.

All trials have the same network, steps and images. A seed gives first weights of the head, order and noise; images and
the first weights of the trunk are the same for all seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from kedro.pipeline import Pipeline

from medical_transfer.config.folders import Folders
from medical_transfer.config.study_adaptation import Compared, StudyAdaptation
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.adaptation_names import DANN_ALPHA, HEADLINE, NAME, NAMES, sweep_setting
from medical_transfer.studies.pipeline import one_source, study_pipeline
from medical_transfer.studies.trials import Trial
from medical_transfer.types import Figure

KINDS: dict[Compared, str] = {
    "source_only": "finetune",
    "source_textured": "finetune",
    "dann_textured": "dann",
    "best": "dann_self_training",
}
"""`training.kind` of a method, where it has another name."""
POLICIES: dict[Compared, str] = {
    "source_textured": "textured",
    "dann_textured": "textured",
    "self_training": "gentle",
    "best": "textured",
}
"""`augmentation.policy` of a method, where it is not `none`."""

PAPER_DISCRIMINATOR = {"hidden": 100, "dropout": 0.0}
"""Ganin et al. 2016, figure 4a."""
ADVERSARIAL = ("dann", "cdan", "dann_self_training")
"""Values of `training.kind` with a discriminator, which sees the maps, as in the paper."""
CORAL_WEIGHT = 100.0
"""Brings Deep CORAL's loss, a mean over all pairs of 100 features, to the size of a cross-entropy, as in its paper."""


def run(
    study_adaptation: StudyAdaptation, folders: Folders, this_session: SessionFacts
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Run all trials that are not finished.

    Returns:
        The table of results, and the trials that failed with their sentences.

    Raises:
        UserError: MNIST-M is missing or too small, or no trial ended well.
    """
    from medical_transfer.studies.digit_sites import digit_sites  # noqa: PLC0415 - quick command line
    from medical_transfer.studies.place import Place  # noqa: PLC0415
    from medical_transfer.studies.runner import prepare, run_trials  # noqa: PLC0415
    from medical_transfer.studies.second_site import measure_target  # noqa: PLC0415
    from medical_transfer.studies.table import results_table, told_of  # noqa: PLC0415

    root = this_session.run_root / "studies" / NAME / "digits"
    sites = digit_sites(study_adaptation, folders.packages, root)
    place = Place(NAME, this_session, folders, shared(study_adaptation, *map(str, sites)), also=measure_target)
    trials = grid(study_adaptation)
    handed = network(prepare(place, [0])[0], study_adaptation)
    done, failures = run_trials(place, trials, handed)
    return results_table(done, failures), told_of(failures)


def draw(results: pd.DataFrame, _study: StudyAdaptation) -> Figure:
    """Accuracy on both sites against invariance, over the strengths of the reversal and over methods."""
    from medical_transfer.reporting.trade_off import trade_off_figure  # noqa: PLC0415 - fonts
    from medical_transfer.studies.adaptation_tables import method_means, sweep_rows  # noqa: PLC0415

    return trade_off_figure(sweep_rows(results), method_means(results), names=NAMES)


def conclude(
    results: pd.DataFrame, failures: list[dict[str, Any]], study_adaptation: StudyAdaptation, this_session: SessionFacts
) -> str:
    """The summary: methods, sweep, choices without labels beside the oracle's, set-up, limits."""
    from medical_transfer.studies.adaptation_summary import summary  # noqa: PLC0415 - scipy

    return summary(results, failures, study_adaptation, this_session.parameters)


def create_pipeline() -> Pipeline:
    """Digits -> table, figure and summary of the study."""
    return study_pipeline(NAME, run=run, figures={"trade_off": draw}, conclude=conclude)


def shared(study: StudyAdaptation, source: str, target: str) -> dict[str, Any]:
    """Runtime parameters of all trials: both sites, the network, the budget and what judges epochs."""
    site = {"kind": "npz", "classes": {}, "size": 32, "limit": None, "group_pattern": None, "group_block": None}
    return {
        **one_source(study.source, None),
        "images": {**site, "root": source, "licence": "unknown"},
        "target_images": {**site, "root": target, "licence": "unknown"},
        "split": {"near_duplicates": False},
        "model": {"freeze": "none", "head": study.head, "dropout": 0.0},
        "evaluation": {"predict_training": False, "resamples": 200},
        "training": {
            "batch_size": study.batch_size,
            "steps_per_epoch": study.steps // study.rounds,
            "epochs": study.rounds,
            "patience": study.rounds,
            "per_class": None,
            "class_weights": False,
            "number_format": "fp32",
            "keep_epochs": True,
            "adaptation": {"selection": study.choose_by, "batch_norm": study.batch_norm},
            **{
                kind: {**PAPER_DISCRIMINATOR, "learning_rate": study.discriminator_learning_rate}
                for kind in ADVERSARIAL
            },
            "finetune": {
                "head_first": False,
                "learning_rate": study.learning_rate,
                "multiplier": 1.0,
                "batch_norm": "adapt",
                "unfreezing": "at_once",
                "schedule": "warmup_cosine",
            },
        },
    }


def network(handed: Mapping[str, Any], study: StudyAdaptation) -> dict[str, dict[str, Any]]:
    """What trials are handed, by the name of their network: one for all, with the same images under every seed."""
    chosen = {**handed["transferability"], "chosen": study.source}
    return {study.source: {**handed, "transferability": chosen}}


def grid(study: StudyAdaptation) -> list[Trial]:
    """All trials, whole seeds first: a study that is stopped early has the methods and the sweep of its first seed."""
    trials = []
    for seed in dict.fromkeys([*study.seeds, *study.sweep_seeds]):
        if seed in study.seeds:
            methods = [*study.methods, *(study.once if seed == study.seeds[0] else ())]
            trials += [Trial(method, HEADLINE, seed, parameters_of(method), study.source) for method in methods]
        if seed in study.sweep_seeds:
            known = seed in study.seeds and "dann" in study.methods  # the sweep has the methods' trial of strength 1
            alphas = [alpha for alpha in study.alphas if not (known and alpha == DANN_ALPHA)]
            trials += [
                Trial("dann", sweep_setting(alpha), seed, parameters_of("dann", alpha), study.source)
                for alpha in alphas
            ]
    return trials


def parameters_of(method: Compared, alpha: float | None = None) -> dict[str, Any]:
    """Runtime parameters of one trial, over those that all share."""
    kind = KINDS.get(method, method)
    own = {"dann": {"reversal": DANN_ALPHA if alpha is None else alpha}, "coral": {"weight": CORAL_WEIGHT}}
    align = "trunk" if kind in ADVERSARIAL else "hidden"
    training = {"kind": kind, "adaptation": {"align": align}, **own}
    return {"training": training, "augmentation": {"policy": POLICIES.get(method, "none")}}
