"""Tables of the report as frames of readable text: values are rounded, have units, and say when they are undefined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from medical_transfer.reporting.measured import Measured
from medical_transfer.reporting.style import split_name
from medical_transfer.reporting.units import (
    METRICS,
    NOT_DEFINED,
    count_text,
    decimal_text,
    interval_text,
    megabytes_text,
    metric_meaning,
    metric_name,
    missing,
    percent_text,
    score_name,
    seconds_text,
    value_text,
    writable,
)

LEAST_REUSED_S: Final = 0.05
"""What took less was as quick to compute as to find."""


def metrics_table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """Each metric as 'estimate (low-high)', validation and test side by side.

    The first row gives images and groups of each split, then the prevalence of the positive class of two; a metric
    that rests on fewer images says so in its cell.

    Args:
        evaluation: the content of `<task>_evaluation.json`.

    Returns:
        Columns `Metric`, `Validation`, `Test`, `What it says`.
    """
    measured = Measured(evaluation)
    splits, known = measured.splits(), list(METRICS)
    found = dict.fromkeys(metric for split in splits for metric in measured.metrics(split))
    metrics = sorted(found, key=lambda metric: known.index(metric) if metric in known else len(known))
    usual = {split: _usual_basis(evaluation[split]) for split in splits}
    rows = [["Images (groups)", *(_basis_text(*usual[split]) for split in splits), ""], *_prevalence(measured)]
    for metric in metrics:
        cells = [_cell(measured.row(split, metric), usual[split]) for split in splits]
        rows.append([metric_name(metric), *cells, metric_meaning(metric)])
    return texts_table(rows, ["Metric", *map(_head, splits), "What it says"])


def _prevalence(measured: Measured) -> list[list[str]]:
    shares = measured.about.get("prevalence")
    if not measured.binary or not isinstance(shares, Mapping):
        return []
    cells = [decimal_text((shares.get(split) or {}).get(measured.positive)) for split in measured.splits()]
    return [["Prevalence", *cells, f"share of images of “{measured.positive}”"]]


def _head(split: str) -> str:
    return split_name(split).capitalize()


def _usual_basis(rows: Mapping[str, Mapping[str, Any]]) -> tuple[int, int]:
    return Counter((row["n"], row["groups"]) for row in rows.values()).most_common(1)[0][0]


def _basis_text(n: int, groups: int) -> str:
    return f"{count_text(n)} ({count_text(groups)})"


def _cell(row: Mapping[str, Any] | None, usual: tuple[int, int]) -> str:
    text = interval_text(row)
    if row is None or (row["n"], row["groups"]) == usual:
        return text
    return f"{text}, on {count_text(row['n'])} images in {count_text(row['groups'])} groups"


def splits_table(leakage: Mapping[str, Any]) -> pd.DataFrame:
    """Images, groups and images of each class per split."""
    splits = leakage["splits"]
    classes = list(dict.fromkeys(name for split in splits.values() for name in split["classes"]))
    rows = [
        [_head(split), count_text(value["images"]), count_text(value["groups"])]
        + [count_text(value["classes"].get(name, 0)) for name in classes]
        for split, value in splits.items()
    ]
    return texts_table(rows, ["Split", "Images", "Groups", *classes])


def groups_table(leakage: Mapping[str, Any]) -> pd.DataFrame:
    """From files to groups, step by step; steps that the report on leakage does not have are left out."""
    groups, pairs = leakage["groups"], leakage["pairs"]
    rows = [
        ("Images found", leakage["images"]),
        ("Unreadable and quarantined", leakage["quarantined"]),
        ("Excluded, because they share a group with a given test or validation image", leakage["excluded"]),
        ("Passed over: a dropped class, or beyond images.limit", leakage.get("passed_over", 0)),
        ("Images whose patient (or block of slices) the data give", leakage.get("images_with_given_group")),
        ("Images whose patient is not known", leakage.get("images_without_given_group")),
        ("Groups as the data give them (an image without a patient is alone)", groups["given"]),
        ("Groups by perceptual hash alone", groups["perceptual_hash_only"]),
        ("Groups after the pixel check", groups["after_pixel_check"]),
        ("Groups with mirrored images joined", groups.get("with_mirrored")),
        ("Groups of several images", groups["of_several_images"]),
        ("Images in the largest group", groups["largest"]),
        ("Images with a near-duplicate", groups["images_with_a_near_duplicate"]),
        ("Pairs that look alike by their hashes", pairs["candidates"]),
        ("Pairs kept together", pairs["kept_together"]),
        ("of these mirrored", pairs.get("mirrored_kept_together")),
        ("Pairs let apart by the pixel check", pairs["let_apart"]),
        ("Pairs kept together with different labels", how_many(leakage.get("cross_label_pairs"))),
    ]
    texts = [(name, count_text(int(value))) for name, value in rows if value is not None]
    return texts_table(texts, ["What", "Number"])


def how_many(found: Any) -> int:
    """A count, given as a number, as `{"count": ...}` or as the list of what was counted."""
    if found is None:
        return 0
    if isinstance(found, Mapping):
        return int(found["count"])
    return int(found) if isinstance(found, int | float) else len(found)


def ranking_table(transferability: Mapping[str, Any]) -> pd.DataFrame:
    """One column per source, in the order of the first score, the chosen one named: its facts, then 'value (rank)'.

    Args:
        transferability: the content of `transferability.json`.
    """
    sources, ranking = transferability["sources"], transferability["ranking"]
    scores = list(dict.fromkeys(score for source in sources for score in source["scores"]))
    first = ranking.get(scores[0], []) if scores else []
    place = {name: number for number, name in enumerate(first)}
    columns: dict[str, list[str]] = {"What": [*map(score_name, scores), *_SOURCE_FACTS]}
    for source in sorted(sources, key=lambda source: place.get(source["name"], len(place))):
        chosen = " (chosen)" if source["name"] == transferability["chosen"] else ""
        values = [_score_text(source, score, ranking.get(score, [])) for score in scores]
        columns[f"{source['name']}{chosen}"] = values + _source_facts(source)
    return texts_table(list(zip(*columns.values(), strict=True)), list(columns))


def agreement_table(transferability: Mapping[str, Any]) -> pd.DataFrame:
    """One row per score or baseline, best first: tau_w with its interval and chance band, regret, data sets, seconds.

    Args:
        transferability: the content of `transferability.json`, with `agreement` and `decided_by`.
    """
    columns = ["Score", "Agreement (tau)", "Chance below", "AUROC given up", "Data sets", "Seconds"]
    rows = []
    for each in transferability["agreement"]:
        decides = " (decides)" if each["score"] == transferability.get("decided_by") else ""
        name = f"{score_name(each['score'])}{' (baseline)' if each['baseline'] else ''}{decides}"
        tau, regret = (interval_text(each[what]) for what in ("tau_w", "regret"))
        chance, seconds = value_text(each["null_band"]), value_text(each["seconds"])
        rows.append((name, tau, chance, regret, str(each["targets"]), seconds))
    return texts_table(rows, columns)


_SOURCE_FACTS = ("Pretrained on", "Can be trained further", "Features", "Licence of the weights", "Time to score")


def _source_facts(source: Mapping[str, Any]) -> list[str]:
    return [
        str(source["domain"] or "nothing"),
        "yes" if source["trainable"] else "no, frozen only",
        value_text(source["features"]),
        str(source["licence"] or "unknown"),
        seconds_text(source["seconds"]),
    ]


def _score_text(source: Mapping[str, Any], score: str, order: Sequence[str]) -> str:
    entry = source["scores"].get(score)
    if entry is None or missing(entry["value"]):
        reason = (entry or {}).get("reason") or "not measured"
        return f"{NOT_DEFINED} ({reason})"
    rank = f" ({order.index(source['name']) + 1}.)" if source["name"] in order else ""
    return f"{value_text(entry['value'])}{rank}"


def parameters_table(parameters: Any) -> pd.DataFrame:
    """Trainable and total parameters per stage of the network, and in all.

    Args:
        parameters: rows `stage, trainable, total` (a frame or a list of mappings).
    """
    frame = pd.DataFrame(parameters, columns=["stage", "trainable", "total"])
    rows = [*zip(frame["stage"].astype(str), frame["trainable"].astype(int), frame["total"].astype(int), strict=True)]
    rows.append(("Total", sum(learned for _, learned, _ in rows), sum(total for _, _, total in rows)))
    texts = [
        (stage, count_text(learned), count_text(total), percent_text(learned / total) if total else "–")
        for stage, learned, total in rows
    ]
    return texts_table(texts, ["Stage", "Learned", "Total", "Share learned"])


def timing_table(timing: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Duration and peak memory of each stage in human units, and their sum and maximum.

    Args:
        timing: stage -> `seconds`, `peak_mb` and `reused_seconds` (what it found ready had cost so many); each may be
            null or absent.
    """
    rows = {stage.replace("_", " "): value for stage, value in timing.items()}
    seconds, peaks, reused = (
        [float(row[name]) for row in rows.values() if not missing(row.get(name))]
        for name in ("seconds", "peak_mb", "reused_seconds")
    )
    rows["total"] = {
        "seconds": sum(seconds) if seconds else None,
        "peak_mb": max(peaks, default=None),
        "reused_seconds": sum(reused),
    }
    texts = [
        (stage.capitalize(), _time_text(row), _measured(megabytes_text(row.get("peak_mb"))))
        for stage, row in rows.items()
    ]
    return texts_table(texts, ["Stage", "Time", "Peak memory"])


def _time_text(row: Mapping[str, Any]) -> str:
    """'0.3 s; reused (computed earlier in 47 s)': a cache that answers at once did not cost nothing."""
    text, reused = _measured(seconds_text(row.get("seconds"))), row.get("reused_seconds")
    if reused is None or missing(reused) or reused < LEAST_REUSED_S:
        return text
    return f"{text}; reused (computed earlier in {seconds_text(reused)})"


def _measured(text: str) -> str:
    return f"{text} (not measured)" if text == NOT_DEFINED else text


def quarantine_counts(quarantine: pd.DataFrame) -> pd.DataFrame:
    """How many files were set aside for each reason, most frequent first."""
    counts = Counter(str(reason) for reason in quarantine["reason"])
    rows = [(reason, count_text(count)) for reason, count in counts.most_common()]
    return texts_table(rows, ["Reason", "Files"])


def texts_table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> pd.DataFrame:
    """A frame of texts; pandas refuses names that are no Unicode, so their undecodable signs become `?`."""
    return pd.DataFrame([[writable(cell) for cell in row] for row in rows], columns=[*map(writable, columns)])
