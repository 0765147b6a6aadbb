"""Reading an evaluation: a metric row with its reason, the positive class, counts from the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medical_transfer.reporting.units import decimal_text, missing, percent_text

Row = Mapping[str, Any]
"""A metric as published: `estimate, low, high, n, groups`, and `reason` where it is undefined."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The content of `<task>_evaluation.json` (`val`, `test`, `about`), asked in the words of the report."""

    evaluation: Mapping[str, Any]

    @property
    def about(self) -> Mapping[str, Any]:
        """What the rows rest on."""
        found: Mapping[str, Any] = self.evaluation["about"]
        return found

    @property
    def classes(self) -> list[str]:
        """In the order of the confusion matrices."""
        return [str(name) for name in self.about["classes"]]

    @property
    def binary(self) -> bool:
        """Whether there is a positive class."""
        return len(self.classes) == 2

    @property
    def positive(self) -> str:
        """The class that is looked for, of two."""
        return str(self.about.get("positive") or self.classes[-1])

    @property
    def negative(self) -> str:
        """The other one."""
        return next(name for name in self.classes if name != self.positive)

    @property
    def interval(self) -> str:
        """What an interval is called: '95 % interval'."""
        return f"{percent_text(self.about['intervals']['coverage'], digits=0)} interval"

    def splits(self) -> list[str]:
        """The splits that were measured, validation first."""
        return [split for split in ("val", "test") if self.evaluation.get(split)]

    def metrics(self, split: str) -> list[str]:
        """The names of what was measured in a split."""
        return list(self.evaluation.get(split) or {})

    def row(self, split: str, metric: str) -> Row | None:
        """A metric row, with the reason where it is undefined and the evaluation knows why."""
        row = (self.evaluation.get(split) or {}).get(metric)
        reason = ((self.about.get("undefined") or {}).get(split) or {}).get(metric)
        if row is None or reason is None:
            return row
        return {**row, "reason": str(reason).removeprefix(f"{metric} is undefined: ")}

    def right_and_all(self, split: str, *, positive: bool) -> tuple[int, int] | None:
        """Rightly decided and all images of the positive (or negative) class; null where there are no two classes."""
        matrix = (self.about.get("confusion") or {}).get(split)
        if matrix is None or not self.binary:
            return None
        asked = self.classes.index(self.positive if positive else self.negative)
        return int(matrix[asked][asked]), int(sum(matrix[asked]))

    def ends(self, row: Row) -> str:
        """'95 % interval 0.990 to 0.996', or that there is none."""
        if missing(row.get("low")) or missing(row.get("high")):
            return f"{self.interval} not defined"
        return f"{self.interval} {decimal_text(row['low'])} to {decimal_text(row['high'])}"

    def percent(self, row: Row) -> str:
        """'97.1 % (95 % interval 94.0 to 99.0 %)'."""
        text = percent_text(row["estimate"])
        if missing(row["estimate"]) or missing(row.get("low")) or missing(row.get("high")):
            return text
        return f"{text} ({self.interval} {100 * row['low']:.1f} to {100 * row['high']:.1f} %)"
