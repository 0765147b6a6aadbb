"""The words of the fine-tuning study, computed from its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from medical_transfer.config.study_finetuning import StudyFinetuning
from medical_transfer.config.training import Training
from medical_transfer.studies.conclusion import LEAST_SEEDS, Choice, Comparison, averages, choose
from medical_transfer.studies.finetuning_names import METRIC, NAME, NAMES, setting_of
from medical_transfer.studies.main_job import COUNTED
from medical_transfer.studies.table import values_of
from medical_transfer.studies.time_left import in_words
from medical_transfer.studies.words import command, ends, failed, on_what


def summary(
    results: pd.DataFrame,
    failures: Sequence[Mapping[str, Any]],
    study: StudyFinetuning,
    parameters: Mapping[str, Any],
) -> str:
    """The page in Markdown: conclusion, rule, numbers, failures, limits."""
    values = values_of(results, METRIC)
    choices = choose(values, [setting_of(size) for size in study.sizes])
    parts = [
        "# Fine-tuning strategies",
        conclusion(choices),
        "## Which strategy at which size",
        "\n".join(rule(choices)),
        "## Test AUROC",
        _table(values, choices, study),
        "## Parameters that learn",
        "\n".join(_parameters(results, study)),
        "## Set-up",
        _set_up(results, study, parameters),
        command(NAME, parameters),
        *failed(failures),
        "## What this cannot say",
        _limits(study, parameters),
    ]
    return "\n\n".join(parts) + "\n"


LIMITS = """\
- Validation is whole at every size, so the best time (of a linear head on frozen features: the last), temperature and
  threshold are chosen better than a site with so few labelled images could.
- A strategy has one learning rate at all sizes ({rates}); none was tuned for its size.
- Strategies differ in more than what learns. All frozen and LP-FT train the new head on frozen features at
  `training.finetune.head_learning_rate` ({head_rate:g}), a linear one with a ridge; partial, discriminative and full
  train it from random in the same steps. What parts them may be that.
- Intervals are over seeds. Seeds draw their splits from the same images (where splits were given: only the training
  images are drawn), so they speak of this data set, not of another one.
- A study of few seeds shows large differences only: "no difference shown" does not mean that there is none."""


def _limits(study: StudyFinetuning, parameters: Mapping[str, Any]) -> str:
    finetune = Training.model_validate(parameters["training"]).finetune
    moving = [name for name in study.strategies if name != "all_frozen"]
    rates = [f"{NAMES[name]} {study.learning_rates.get(name, finetune.learning_rate):g}" for name in moving]
    heads = f"heads on frozen features {finetune.head_learning_rate:g}"
    return LIMITS.format(head_rate=finetune.head_learning_rate, rates="; ".join([*rates, heads]))


def conclusion(choices: Sequence[Choice]) -> str:
    """One paragraph: where a strategy is shown to be worse, and where none is."""
    if not choices:
        return "No trial ended well, so nothing can be said."
    undecided = [choice.setting for choice in choices if not choice.decidable]
    if len(undecided) == len(choices):
        return f"Nothing is compared: no two strategies have {LEAST_SEEDS} seeds in common."
    shown = [_shown(choice) for choice in choices if choice.worse]
    equal = [choice.setting for choice in choices if choice.decidable and not choice.worse]
    sentences = list(shown)
    if equal:
        everywhere = "at any size" if len(equal) == len(choices) else f"at {_sizes(equal)}"
        sentences.append(f"No difference between strategies is shown {everywhere}.")
    if undecided:
        sentences.append(f"At {_sizes(undecided)} there are too few seeds to compare.")
    return " ".join(sentences)


def rule(choices: Sequence[Choice]) -> list[str]:
    """The rule, a line for each stretch of sizes with the same answer."""
    lines = [
        "Take the strategy that costs the fewest seconds of those that are not shown to be worse than the best mean "
        "(all intervals of a size hold together with 95 %). Means are compared over the seeds that all strategies of a "
        f"size have; one with fewer than {LEAST_SEEDS} seeds in common with the best is not taken:",
        "",
    ]
    for answer, stretch in groupby(choices, key=_answer):
        lines.append(f"- {_sizes([choice.setting for choice in stretch])}: {answer}")
    return lines


def _answer(choice: Choice) -> str:
    """What to take; nothing where no two strategies can be compared, since cost alone is no reason."""
    return f"**{NAMES[choice.taken]}**" if choice.decidable else f"too few seeds to say ({LEAST_SEEDS} in common)"


def _shown(choice: Choice) -> str:
    worse = [each for each in choice.compared if each.shown_worse]
    told = ", ".join(f"{NAMES[each.method]} by {_interval(each)}" for each in worse)
    return f"At {_sizes([choice.setting])}, {NAMES[choice.best]} has the highest AUROC; shown to be below it: {told}."


def _interval(compared: Comparison) -> str:
    below = compared.below
    return f"{below.estimate:.3f} ({below.low:.3f} to {below.high:.3f}, {compared.seeds} seeds)"


def _sizes(settings: Sequence[str]) -> str:
    numbers = [setting for setting in settings if setting != "all"]
    parts = [f"{_list(numbers)} images per class"] if numbers else []
    return " and ".join([*parts, *(["all images"] if "all" in settings else [])])


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _table(values: pd.DataFrame, choices: Sequence[Choice], study: StudyFinetuning) -> str:
    """A row per size, a column per strategy: mean, 95 % interval over seeds, seconds; what is taken is bold."""
    found = averages(values).to_dict("records")
    lines = [
        "Mean over seeds (95 % interval), seconds of training; bold: what the rule takes.",
        "",
        "| images of each class | " + " | ".join(NAMES[name] for name in study.strategies) + " |",
        "|---" * (len(study.strategies) + 1) + "|",
    ]
    for choice in choices:
        cells = [_cell(found, choice, name) for name in study.strategies]
        lines.append(f"| {choice.setting} | " + " | ".join(cells) + " |")
    lines += ["", "Cells of a row may rest on different seeds: the rule compares only what has the same ones."]
    return "\n".join(lines)


def _cell(found: Sequence[Mapping[Any, Any]], choice: Choice, method: str) -> str:
    mine = [row for row in found if (row["setting"], row["method"]) == (choice.setting, method)]
    if not mine:
        return "-"
    mean, low, high = (mine[0][name] for name in ("mean", "low", "high"))
    bold = "**" if choice.decidable and method == choice.taken else ""
    return f"{bold}{mean:.3f}{bold} ({ends(low, high)}), {in_words(mine[0]['seconds'])}"


def _parameters(results: pd.DataFrame, study: StudyFinetuning) -> list[str]:
    counts = values_of(results, COUNTED).groupby("method")["value"].max()
    return [f"- {NAMES[name]}: {int(counts[name]):,}" for name in study.strategies if name in counts.index]


def _set_up(results: pd.DataFrame, study: StudyFinetuning, parameters: Mapping[str, Any]) -> str:
    told = on_what(results["trial_id"].nunique(), parameters, source=study.source, image_size=study.image_size)
    tested = results.loc[results["metric"] == METRIC, "n"]
    across = _list([str(n) for n in sorted({tested.min(), tested.max()})]) if tested.size else "no"
    halves = ", LP-FT half of them for the head," if "lp_ft" in study.strategies else ""
    return (
        f"{told} Each trial has {study.steps} steps of {study.batch_size} "
        f"images{halves} and is looked at {study.rounds} times on validation. Seeds {study.seeds} from cached "
        f"activations, {study.seeds_whole} for the whole network; {across} test images. Interval over seeds: "
        "Student's t; differences: paired by seed, Bonferroni over all pairs of strategies of a size."
    )
