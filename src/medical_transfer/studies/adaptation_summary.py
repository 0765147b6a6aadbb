"""The words of the study of adaptation, computed from its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medical_transfer.config.study_adaptation import StudyAdaptation
from medical_transfer.studies.adaptation_names import (
    DISTANCE,
    NAME,
    NAMES,
    SCORE_NAMES,
    SOURCE_ACCURACY,
    TARGET_ACCURACY,
)
from medical_transfer.studies.adaptation_tables import BEST_EPOCH, choices, epoch_gaps, method_means, sweep_rows
from medical_transfer.studies.time_left import in_words
from medical_transfer.studies.words import command, failed

PUBLISHED = {"source_only": 0.5225, "dann": 0.7666}
"""Ganin et al. 2016, table 2, MNIST to MNIST-M on 9,001 test images; trained on the target's labels: 0.9596."""
BATCH_NORM = {
    "together": "Both sites go through batch norm, where there is one, as one batch.",
    "per_domain": "Each site goes through batch norm, where there is one, by itself; the target's statistics are kept.",
}
GOALS = {"dann": 0.767, "best": 0.95}

LIMITS = """\
- This is not the protocol of the published figures (59,001 training images, 9,001 test images made from MNIST's test
  digits): all MNIST-M images at hand were made from training digits, so those digits were left out of the source, and
  the target's images were cut at random into parts. Published figures stand beside ours for orientation only.
- All methods have the same few steps, the same rates and no tuning of their own. The default network, rates and batch
  norm were looked for with DANN under seed 0, in shorter runs, by labels of 2,000 of the images to learn from, never of
  those to judge by. Longer training lifts most methods and may order them otherwise.
- Seeds share the images and the trunk's first weights; they differ in order, noise, and the first weights of head and
  discriminator. The spread over them is smaller than that of a whole repetition.
- What trains on random grounds knows the recipe of the target, shapes on grounds by absolute difference. That is
  knowledge of the domain, not of its images or labels; where one has none, read the methods without it.
- Accuracies of epochs are known afterwards, by labels. Nothing was chosen by them: the oracle's columns say what a
  choice with labels would have given."""


def summary(
    results: pd.DataFrame, failures: Sequence[Mapping[str, Any]], study: StudyAdaptation, parameters: Mapping[str, Any]
) -> str:
    """The page in Markdown: conclusion, methods, sweep, choices, set-up, failures, limits."""
    means, sweep = method_means(results), sweep_rows(results)
    parts = ["# Adaptation: MNIST to MNIST-M", conclusion(means, sweep)]
    if len(means):
        parts += [
            "## Methods",
            _methods(means),
            "## Choosing a method without labels",
            _choice_lines(results, "method"),
        ]
    if len(sweep):
        parts += ["## The strength of DANN's reversal", _sweep(sweep), _choice_lines(results, "alpha")]
    parts += [
        *("## Choosing an epoch without labels", _epochs(results)),
        *("## Set-up", _set_up(results, study), command(NAME, parameters)),
        *failed(failures),
        *("## What this cannot say", LIMITS),
    ]
    return "\n\n".join(parts) + "\n"


def conclusion(means: pd.DataFrame, sweep: pd.DataFrame) -> str:
    """What was reached, whether goals were met, and what the strength trades."""
    sentences = []
    for row in means.to_dict("records"):
        if (goal := GOALS.get(row["method"])) is not None:
            reached = row[TARGET_ACCURACY]
            met = "meets" if reached >= goal else "misses"
            told = f"{NAMES[row['method']]} reaches {reached:.1%} on the target, which {met} the goal of {goal:.1%}"
            sentences.append(f"{told} (mean of {_seeds(row['seeds'])}).")
    if len(sweep) > 1:
        sentences.append(_trade(sweep))
    return " ".join(sentences) or "No method was compared and no strength was swept."


def _trade(sweep: pd.DataFrame) -> str:
    rows = sweep.to_dict("records")
    first, best = rows[0], max(rows, key=lambda row: row[TARGET_ACCURACY])
    most = min(rows, key=lambda row: row[DISTANCE])
    return (
        f"Of the strengths of the reversal, {best['alpha']:g} is best on the target ({best[TARGET_ACCURACY]:.1%}; "
        f"{first[TARGET_ACCURACY]:.1%} at {first['alpha']:g}), and {most['alpha']:g} is the most invariant (a fresh "
        f"classifier's distance is {most[DISTANCE]:.2f}, {first[DISTANCE]:.2f} at {first['alpha']:g}; 2: never alike)."
    )


def _methods(means: pd.DataFrame) -> str:
    lines = [
        "Accuracy on test images: mean over seeds ± standard deviation. The epoch is chosen without labels of the "
        "target; `oracle epoch` is the best one by its test labels. A-distance: 0 the sites look alike, 2 never.",
        "",
        "| method | target | oracle epoch | gap | source | A-distance | seeds | training | published |",
        "|---" * 9 + "|",
    ]
    for row in means.to_dict("records"):
        cells = [
            NAMES.get(row["method"], row["method"]),
            f"**{_spread(row, TARGET_ACCURACY)}**",
            _spread(row, BEST_EPOCH),
            f"{row[BEST_EPOCH] - row[TARGET_ACCURACY]:.3f}",
            _spread(row, SOURCE_ACCURACY),
            _spread(row, DISTANCE, digits=2),
            str(row["seeds"]),
            in_words(row["seconds"]),
            f"{PUBLISHED[row['method']]:.4f}" if row["method"] in PUBLISHED else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _sweep(sweep: pd.DataFrame) -> str:
    lines = ["| alpha | target | oracle epoch | source | A-distance |", "|---" * 5 + "|"]
    for row in sweep.to_dict("records"):
        numbers = [f"{row[name]:.3f}" for name in (TARGET_ACCURACY, BEST_EPOCH, SOURCE_ACCURACY)]
        lines.append(f"| {row['alpha']:g} | {' | '.join(numbers)} | {row[DISTANCE]:.2f} |")
    return "\n".join(lines)


def _choice_lines(results: pd.DataFrame, of: str) -> str:
    """A line per score: what it takes under each seed, and how far below the oracle's choice that is."""
    found = choices(results, of)
    what = "method and epoch" if of == "method" else "strength and epoch"
    lines = [f"By the highest score of any {what}, on unlabelled validation images of the target:", ""]
    for score, rows in found.groupby("score", sort=False):
        told = "; ".join(_told(row, of) for row in rows.to_dict("records"))
        lines.append(f"- {SCORE_NAMES[str(score)]}: {told}. Mean gap {rows['gap'].mean():.3f}.")
    return "\n".join(lines)


def _told(row: Mapping[Any, Any], of: str) -> str:
    named = [NAMES.get(each, each) if of == "method" else f"{each:g}" for each in (row["picked"], row["best"])]
    return f"seed {row['seed']} {named[0]} ({row['accuracy']:.3f}; the oracle {named[1]}, {row['best_accuracy']:.3f})"


def _epochs(results: pd.DataFrame) -> str:
    lines = [
        "Mean accuracy over all trials of the epoch that each score picks.",
        "",
        "| score | picked | oracle | gap |",
        "|---" * 4 + "|",
    ]
    lines += [
        f"| {SCORE_NAMES[row['score']]} | {row['picked']:.3f} | {row['best']:.3f} | {row['gap']:.3f} |"
        for row in epoch_gaps(results).to_dict("records")
    ]
    return "\n".join(lines)


def _set_up(results: pd.DataFrame, study: StudyAdaptation) -> str:
    learn, choose, judge = study.target_images
    budget = f"{study.steps} steps of {study.batch_size} images of each site (no adaptation: of the source alone)"
    trials = results["trial_id"].nunique()
    return (
        f"{trials} trials of {budget}, network `{study.source}` with head `{study.head}`, learning rate "
        f"{study.learning_rate:g} ({study.discriminator_learning_rate:g} of the discriminator) with warm-up and a "
        f"cosine, {study.rounds} looks at validation. Discriminators see "
        "the maps before the head; MMD and Deep CORAL align what the last layer sees. "
        f"{study.source_images} source digits of which no target image was made; {learn} target images to learn from "
        f"without labels, {choose} to choose by, {judge} to judge by. {BATCH_NORM[study.batch_norm]}"
    )


def _spread(row: Mapping[Any, Any], number: str, digits: int = 3) -> str:
    mean, spread = row[number], row[f"{number}_spread"]
    return f"{mean:.{digits}f}" if math.isnan(spread) else f"{mean:.{digits}f} ± {spread:.{digits}f}"


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"
