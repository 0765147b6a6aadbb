"""Differences of methods to the better rule on the same test episodes, read from the table of the study."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from medical_transfer.config.study_few_shot_medical import StudyFewShotMedical
from medical_transfer.studies.few_shot_medical_names import RULES, gain
from medical_transfer.studies.few_shot_names import accuracy

ABOVE, BELOW, APART = "above", "below", "not told apart"


@dataclass(frozen=True)
class Gain:
    """Accuracy of a method minus that of the better rule: means over seeds of the value and its ends.

    `verdict` is ABOVE or BELOW where the interval of every seed lies on that side of 0.
    """

    modality: str
    shots: int
    method: str
    rule: str
    value: float
    low: float
    high: float
    verdict: str

    def __str__(self) -> str:
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f}), {self.verdict}"


def of_modality(results: pd.DataFrame, modality: str) -> pd.DataFrame:
    """The rows of one fold."""
    return results[results["setting"] == modality]


def gains_of(results: pd.DataFrame, study: StudyFewShotMedical) -> list[Gain]:
    """Of each modality, number of shots and method; none where the rules were not measured."""
    found = list[Gain]()
    for modality in study.held_out:
        mine = of_modality(results, modality)
        for shots in sorted(study.shots):
            rule = _better_rule(mine, shots)
            if rule is not None:
                found += _over(mine[mine["metric"] == gain(shots, rule)], modality, shots, rule)
    return found


def _better_rule(mine: pd.DataFrame, shots: int) -> str | None:
    rules = mine[(mine["metric"] == accuracy(shots)) & mine["method"].isin(RULES)].groupby("method")["value"].mean()
    return None if rules.empty else str(rules.idxmax())


def _over(rows: pd.DataFrame, modality: str, shots: int, rule: str) -> list[Gain]:
    found = list[Gain]()
    for method, each in rows.groupby("method", sort=False):
        side = ABOVE if (each["low"] > 0).all() else BELOW if (each["high"] < 0).all() else APART
        value, low, high = each[["value", "low", "high"]].mean()
        found.append(Gain(modality, shots, str(method), rule, float(value), float(low), float(high), side))
    return found
