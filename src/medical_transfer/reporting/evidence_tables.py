"""Tables of the evidence beyond the metrics, as frames of readable text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from medical_transfer.reporting.tables import texts_table
from medical_transfer.reporting.units import count_text, interval_text, metric_name, percent_text

FAMILIES: Final = {
    "size": "Size of the picture (width, height)",
    "format": "File format and colour mode",
    "compression": "Bytes of the file",
    "border": "Outermost 5 % of the picture",
    "metadata": "Site and columns of the table",
    "together": "Everything about the file together",
}
COLUMN_NAMES: Final = {"label": "class", "ending": "file ending"}


def per_class_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Each class against the rest: images, recall, precision, AUROC, AUPRC beside its prevalence."""
    cells = [
        [
            each["name"],
            f"{count_text(each['n'])} ({count_text(each['groups'])})",
            percent_text(each["prevalence"]),
            *(interval_text(each["metrics"][metric]) for metric in ("recall", "precision", "auroc", "auprc")),
        ]
        for each in rows
    ]
    return texts_table(cells, ["Class", "Images (groups)", "Share", "Recall", "Precision", "AUROC", "AUPRC"])


def subgroups_table(subgroups: Mapping[str, Any]) -> pd.DataFrame:
    """One row per level; what was not measured says why."""
    levels = subgroups["levels"]
    metrics = list(dict.fromkeys(metric for level in levels for metric in level["metrics"])) or ["auroc"]
    cells = [
        [
            f"{level['column']}: {level['level']}",
            f"{count_text(level['n'])} ({count_text(level['groups'])})",
            ", ".join(f"{count_text(count)} {name}" for name, count in level["classes"].items()),
            *_measured(level, metrics),
        ]
        for level in levels
    ]
    return texts_table(cells, ["Subgroup", "Images (groups)", "Of these", *map(metric_name, metrics)])


def _measured(level: Mapping[str, Any], metrics: Sequence[str]) -> list[str]:
    """One cell per metric; of a level that was not measured the first says why."""
    if not level["metrics"]:
        return [str(level["reason"]), *["–"] * (len(metrics) - 1)]
    return [interval_text({**level["metrics"][metric], "reason": level["reason"]}) for metric in metrics]


def predictive_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """PPV and NPV at each prevalence."""
    cells = [
        [percent_text(each["prevalence"], digits=0), interval_text(each["ppv"]), interval_text(each["npv"])]
        for each in rows
    ]
    return texts_table(
        cells, ["If so many are positive", "A positive decision is right", "A negative decision is right"]
    )


def shortcuts_table(shortcuts: Mapping[str, Any]) -> pd.DataFrame:
    """What was tried, how well it tells the classes apart, and whether that is an alarm."""
    cells = [
        [
            FAMILIES.get(each["family"], each["family"]),
            interval_text(each["auroc"]),
            "ALARM: better than chance" if each["alarm"] else "not shown to be better than chance",
        ]
        for each in shortcuts["found"]
    ]
    return texts_table(cells, ["Looking only at", "AUROC (widened interval)", "Verdict"])


def quarantine_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Share of bad files per level of each column, with the adjusted p-value."""
    cells = [
        [
            COLUMN_NAMES.get(each["column"], each["column"]),
            "; ".join(
                f"{level}: {count_text(each['quarantined'][level])} of {count_text(files)}"
                for level, files in each["files"].items()
            ),
            f"{each['p']:.3f}" if each["p"] >= 0.001 else "below 0.001",
            "ALARM: not by chance" if each["alarm"] else "may be chance",
        ]
        for each in rows
    ]
    return texts_table(cells, ["Column", "Bad files", "p (adjusted)", "Verdict"])
