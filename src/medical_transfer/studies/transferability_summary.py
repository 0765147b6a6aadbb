"""The words of the study of scores, computed from its table and its agreement."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.config.transferability import ALWAYS
from medical_transfer.studies import transferability_findings as findings
from medical_transfer.studies.time_left import in_words
from medical_transfer.studies.transferability_findings import interval_text
from medical_transfer.studies.transferability_names import (
    BASELINES,
    LP_FT,
    NAME,
    OUTCOME_NAMES,
    PROBE,
    STATIC,
    order_of,
    scores_in,
)
from medical_transfer.studies.transferability_tables import main_outcome
from medical_transfer.studies.words import command, failed
from medical_transfer.transferability.agreement import LEAST_SOURCES, null_band
from medical_transfer.transferability.agreement_file import (
    LEAST_TARGETS,
    OutcomeAgreement,
    ScoreAgreement,
    from_json,
)

LIMITS = f"""\
- Targets are few, and some resemble one another (two sets of chest films, two of CT). An interval that draws targets is
  too narrow rather than too wide with fewer than about ten of them.
- An outcome is measured on a few hundred test images at most, so near the top of a target the true order of sources is
  not known: every score, also a perfect one, has a tau_w below 1 and a regret above 0. Compare scores with one another.
- Images are small and fine-tuning is short, the same for every source; no source was tuned by itself. Larger images or
  longer training may order sources otherwise.
- Scores and outcomes of a seed share nothing but the split; the seeds of a target share its images.
- `{STATIC}` knows the outcomes of the other targets, which a user with a first data set does not.
- The sources are those at hand: mostly small networks, several of them from ImageNet and one family.
- `spearman_mmd` and `rdm_spearman_mmd` compare a source with the untrained network on the target's images: no images
  of the source domains are at hand, so the distance between domains that the exercise means is not among the scores."""


def summary(
    results: pd.DataFrame,
    failures: Sequence[Mapping[str, Any]],
    agreement: Mapping[str, Any],
    study: StudyTransferability,
    parameters: Mapping[str, Any],
) -> str:
    """The page in Markdown."""
    facts, outcomes = agreement["sources"], from_json(agreement["outcomes"])
    measured = [name for name in (LP_FT, PROBE) if name in outcomes]
    parts = ["# What scores of sources are worth", conclusion(results, outcomes, facts)]
    for name in measured:
        parts += [f"## Scores against {OUTCOME_NAMES[name]}", agreement_table(outcomes[name])]
    for name in measured:
        parts += [f"## Test AUROC of {OUTCOME_NAMES[name]}", findings.reached(results, name, facts)]
    parts += [
        *("## Source domains", findings.by_domain(results, facts), mmd_words(outcomes)),
        *("## ImageNet against COCO, everything else equal", findings.pair(results)),
        *("## When does a second source pay?", findings.second_source(results)),
        *("## What it costs", findings.costs(results, scores_in(results))),
        *without_value(agreement),
        *("## Set-up", _set_up(results, study, facts), command(NAME, parameters)),
        *failed(failures),
        *("## What this cannot say", LIMITS),
    ]
    return "\n\n".join(parts) + "\n"


def conclusion(
    results: pd.DataFrame, outcomes: Mapping[str, OutcomeAgreement], facts: Mapping[str, Mapping[str, Any]]
) -> str:
    """One paragraph: what scores are shown to do, what the default costs, which source is best."""
    best = [findings.best_source(results, name, facts) for name in (PROBE, LP_FT)]
    told = [sentence for sentence in best if sentence]
    if not outcomes:
        return " ".join([*told, "No outcome was measured, so nothing is said of scores."])
    found = main_outcome(outcomes)
    return " ".join([_judgement(found), _against_the_default(found), *told])


def agreement_table(found: OutcomeAgreement) -> str:
    """A row per score and baseline, best first."""
    rows = sorted(found.scores, key=lambda each: (math.isnan(each.tau_w.estimate), -each.tau_w.estimate))
    alone = null_band(len(found.sources))
    lines = [
        "tau_w: weighted Kendall tau of sources, mean over targets (95 % interval over targets); chance: 95 % of "
        f"|tau_w| of a random order lie below it (of one target alone with {len(found.sources)} sources: {alone:.2f}); "
        "regret: AUROC given up by taking the source with the highest score. *Italic*: dumb baselines.",
        "",
        "| score | tau_w | chance | Pearson | regret | sources | targets | seconds | verdict |",
        "|---" * 9 + "|",
    ]
    for each in rows:
        name = f"*{each.score}*" if each.baseline else each.score
        numbers = [interval_text(each.tau_w, 2), f"{each.null_band:.2f}" if each.targets else "-"]
        numbers += [interval_text(each.pearson, 2), interval_text(each.regret, 4)]
        count = "-" if math.isnan(each.sources) else f"{each.sources:.0f}"
        cells = [name, *numbers, count, str(each.targets), f"{each.seconds:.2g}", verdict(each)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict(each: ScoreAgreement) -> str:
    """What may be said of a score."""
    if each.reason:
        return each.reason
    if each.targets < LEAST_TARGETS:
        return "too few targets"
    chance = "above chance" if each.above_chance else "not above chance"
    if each.baseline:
        return chance
    return f"{chance}; {'above every baseline' if each.above_baselines else 'not shown above the baselines'}"


def mmd_words(outcomes: Mapping[str, OutcomeAgreement]) -> str:
    """The score with an MMD term against performance, in a sentence; the figure shows the points."""
    if PROBE not in outcomes:
        return "The MMD score was not compared: no probe was measured."
    told = {each.score: each for each in outcomes[PROBE].scores}
    parts = []
    for name, meaning in (("spearman_mmd", "the chapter's formula"), ("rdm_spearman_mmd", "the sound form")):
        if name in told:
            each = told[name]
            parts.append(f"{meaning} (`{name}`) has tau_w {interval_text(each.tau_w, 2)}: {verdict(each)}")
    return f"MMD score against the linear probe (`mmd_and_performance.png`): {'; '.join(parts)}."


def without_value(agreement: Mapping[str, Any]) -> list[str]:
    """The section on scores and sources that have no value; nothing where all have."""
    graphs = [name for name, fact in agreement["sources"].items() if not fact["trainable"]]
    lines = [f"- fine-tuning: {', '.join(graphs)} exist only as graphs, which cannot learn."] if graphs else []
    for score, reasons in agreement["undefined"].items():
        by_reason: dict[str, list[str]] = {}
        for source, reason in reasons.items():
            by_reason.setdefault(_in_general(reason, source), []).append(source)
        lines += [f"- {score}: {reason} ({', '.join(names)})" for reason, names in by_reason.items()]
    return ["## Without a value", "\n".join(lines)] if lines else []


def _in_general(reason: str, source: str) -> str:
    """A reason without the source's name and shapes, so that sources with the same one stand together."""
    return reason.replace(source, "the source").split("; found", maxsplit=1)[0]


def _judgement(found: OutcomeAgreement) -> str:
    scores = [each for each in found.scores if not each.baseline and not each.reason]
    outcome = OUTCOME_NAMES[found.outcome]
    place = f"{len(found.targets)} targets and {len(found.sources)} sources"
    if len(found.targets) < LEAST_TARGETS:
        return (
            f"With {place} nothing is claimed of scores (at least {LEAST_TARGETS} targets are needed); what follows is "
            "a description."
        )
    if not scores:
        return f"No score was judged: fewer than {LEAST_SOURCES} sources have a score and {outcome}."
    shown = [each for each in scores if each.above_chance]
    better = [each.score for each in shown if each.above_baselines]
    if not shown:
        return f"Over {place}, no score orders the sources of a target by {outcome} better than chance."
    names = ", ".join(f"{each.score} ({each.tau_w.estimate:.2f}, chance {each.null_band:.2f})" for each in shown)
    beats = f"Shown to be better than every dumb baseline: {', '.join(better)}." if better else NONE_BETTER
    return f"Over {place}, these scores order sources by {outcome} better than chance (tau_w): {names}. {beats}"


NONE_BETTER = "None is shown to be better than the dumb baselines (" + ", ".join(BASELINES) + ")."


def _against_the_default(found: OutcomeAgreement) -> str:
    """Regret of always taking the default against that of the score with the least."""
    told = {each.score: each for each in found.scores}
    default, name = told[ALWAYS], found.sources[0]
    rivals = [each for each in found.scores if not each.baseline and not math.isnan(each.regret.estimate)]
    if math.isnan(default.regret.estimate) or not rivals:
        return ""
    best = min(rivals, key=lambda each: each.regret.estimate)
    winners = [each.score for each in rivals if each.targets >= LEAST_TARGETS and each.saved[ALWAYS].low > 0]
    told_of_them = f"Shown to give up less: {', '.join(winners)}." if winners else "No score beats the default here."
    if len(found.targets) < LEAST_TARGETS:
        told_of_them = ""
    return (
        f"Always taking {name} gives up {interval_text(default.regret, 4)} AUROC against the best source of a target; "
        f"the score with the least regret, {best.score}, gives up {interval_text(best.regret, 4)}. {told_of_them}"
    ).rstrip()


def _set_up(results: pd.DataFrame, study: StudyTransferability, facts: Mapping[str, Any]) -> str:
    mine = results[results["method"].isin(list(facts))]
    tested = mine.loc[mine["metric"] == PROBE, "n"]
    across = f"{tested.min()} to {tested.max()}" if len(tested) else "no"
    trials = int(mine.loc[mine["metric"] == LP_FT, "value"].notna().sum())
    spent = float(mine.loc[mine["metric"].isin([LP_FT, "features"]), "seconds"].sum())
    return (
        f"Targets: {', '.join(order_of(mine, 'setting'))}; sources: {', '.join(facts)}; seeds {study.seeds}. Images at "
        f"{study.image_size} px, at most {study.max_images or 'all'} of a target and {study.score_images} training "
        f"images for scores; {across} test images. The probe learns from all training images. {trials} times "
        f"fine-tuned: the head for {study.head_rounds} rounds on frozen features, then everything at one rate for "
        f"{study.rounds} rounds of {study.steps // study.rounds} steps of {study.batch_size} images, single precision. "
        f"Features and fine-tuning took {in_words(spent)}."
    )
