"""The words of the medical study of few-shot learning, computed from its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medical_transfer.config.study_few_shot_medical import StudyFewShotMedical
from medical_transfer.studies.few_shot_budgets import TAUGHT, UNTRAINED, budget_table
from medical_transfer.studies.few_shot_medical_gains import ABOVE, BELOW, Gain, gains_of, of_modality
from medical_transfer.studies.few_shot_medical_names import NAME, NAMES, meta_learned, of_set
from medical_transfer.studies.few_shot_medical_tables import fold_lines, set_table
from medical_transfer.studies.few_shot_names import by_method
from medical_transfer.studies.few_shot_table import method_table
from medical_transfer.studies.words import command, failed

LIMITS = """\
- Intervals are over test episodes of the images that are here, not over patients or hospitals: two episodes share
  images, and a modality has one or two sets. How another set of the same modality would do is not told.
- Accuracies and ends are means over seeds. "Above" and "below" ask each seed's interval of the difference to lie on
  one side of 0; nothing is corrected for the number of comparisons, and the better rule is picked by the same
  episodes, which favours the rule a little.
- Rates and steps are one setting for all folds and were not searched for on test images. Other budgets may order the
  methods otherwise.
- There are few sets to learn from, and their questions are much alike: two classes, sick or not. With so few tasks
  meta-learning has little to learn from.
- Patients are known for the chest films alone. Elsewhere blocks of file numbers (CT of Sao Paulo) and looks stand for
  them, so that two images of a patient may be learned from and judged.
- Size and compression of both CT sets differ by class, and NIH's labels were mined from reports: an accuracy there
  is not one of diagnosis.
- Times are processor time of one process, drawing of episodes with it; features are computed before and not counted.
  Memory is the whole process's, with features of all sets and libraries. A trial that was killed and gone on with
  counts the time of its last process alone."""


def summary(
    results: pd.DataFrame,
    failures: Sequence[Mapping[str, Any]],
    study: StudyFewShotMedical,
    parameters: Mapping[str, Any],
) -> str:
    """The page in Markdown: the answer, all numbers by modality, sets and folds, budgets, failures, limits."""
    gains = gains_of(results, study)
    tested = [modality for modality in study.held_out if not of_modality(results, modality).empty]
    parts = ["# Learning from a few medical images", answer(gains, meta_learned(study.methods))]
    for modality in tested:
        parts += [f"## {modality}", _modality(of_modality(results, modality), study)]
        parts += [_gain_table([each for each in gains if each.modality == modality], study)]
    taught = [method for method in study.methods if method in meta_learned(study.methods) or method == UNTRAINED]
    parts += ["## Sets and folds", set_table(results, study), fold_lines(results, study)]
    parts += ["## Set-up", _set_up(study), budget_table(study, taught), command(NAME, parameters), *failed(failures)]
    return "\n\n".join([*parts, "## What this cannot say", LIMITS]) + "\n"


def answer(gains: Sequence[Gain], learned: Sequence[str]) -> str:
    """Whether meta-learning beats what needs none, in as many words as the numbers allow."""
    mine = [each for each in gains if each.method in learned]
    if not mine:
        return "Nothing was measured that would tell whether meta-learning pays."
    above, below = (sum(each.verdict == side for each in mine) for side in (ABOVE, BELOW))
    told = (
        f"Of {len(mine)} comparisons of a meta-learned method with the better of nearest centroid and linear probe "
        f"(same features, same test episodes), {above} are above it in every seed, {below} below, "
        f"{len(mine) - above - below} not told apart. {_word(above, below, len(mine))}"
    )
    best = max(mine, key=lambda each: each.value)
    where = f"{NAMES[best.method]}, {best.modality}, {best.shots} shot"
    rest = [f"- highest gain: {where}, {best}"]
    rest += [f"- {_of_method(name, [each for each in mine if each.method == name])}" for name in learned]
    return "\n".join([told, "", *rest])


def _word(above: int, below: int, whole: int) -> str:
    if above == below == 0:
        return "**No difference is shown.**"
    if above > below:
        return f"**Meta-learning helps more often than it harms here**, in {above} of {whole}."
    if below > above:
        return f"**Meta-learning harms more often than it helps here**, in {below} of {whole}."
    return "**Meta-learning helps as often as it harms here.**"


def _of_method(name: str, gains: Sequence[Gain]) -> str:
    above, below = (sum(each.verdict == side for each in gains) for side in (ABOVE, BELOW))
    mean = sum(each.value for each in gains) / len(gains) if gains else float("nan")
    return f"{NAMES[name]}: above in {above}, below in {below} of {len(gains)}; mean gain {mean:+.3f}"


def _modality(mine: pd.DataFrame, study: StudyFewShotMedical) -> str:
    chance = f"; chance is {1 / study.meta_learning.ways:.2f}"
    return "\n".join([method_table(mine, study, NAMES, chance), *_by_set(mine, study)])


def _by_set(mine: pd.DataFrame, study: StudyFewShotMedical) -> list[str]:
    """Mean accuracy of each of several sets; nothing where there is one."""
    sets = [name for name in study.modalities if not mine[mine["metric"] == of_set(study.shots[0], name)].empty]
    if not sets:
        return []
    columns = {f"{name}, {shots} shot": by_method(mine, of_set(shots, name)) for name in sets for shots in study.shots}
    lines = ["", "By set:", "", f"| method | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for method in next(iter(columns.values())):
        cells = [f"{found[method]['value']:.3f}" if method in found else "-" for found in columns.values()]
        lines.append(f"| {NAMES[method]} | {' | '.join(cells)} |")
    return lines


def _gain_table(gains: Sequence[Gain], study: StudyFewShotMedical) -> str:
    """Difference to the better rule, of each method and number of shots."""
    shots = sorted(study.shots)
    rule = {each.shots: NAMES[each.rule] for each in gains}
    heads = [f"{each} shot, over {rule[each]}" for each in shots if each in rule]
    lines = [
        "Difference on the same episodes to the better of nearest centroid and linear probe:",
        *("", f"| method | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"),
    ]
    for method in [name for name in study.methods if name in {each.method for each in gains}]:
        mine = {each.shots: str(each) for each in gains if each.method == method}
        lines.append(f"| {NAMES[method]} | {' | '.join(mine.get(each, '-') for each in shots if each in rule)} |")
    return "\n".join(lines)


def _set_up(study: StudyFewShotMedical) -> str:
    meta, teacher = study.meta_learning, ""
    if set(TAUGHT) & set(study.methods):
        teacher = f"The teacher sees features of `{study.teacher_source}`, its head fitted to each support set. "
    return (
        f"{meta.ways}-way episodes within one set, {study.queries} queries a class; one meta-training for all shots, "
        f"on {meta.shots} images of each class. Frozen features of `{study.source}` at {study.image_size} px, "
        f"standardised by the images of meta-training; networks have {4 * meta.width} hidden units over them. "
        f"{teacher}Meta-validation picks the best of {meta.rounds} rounds."
    )
