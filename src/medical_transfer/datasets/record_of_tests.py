"""How often test images have been read, asked of the record of runs; the hook that keeps the record hands it over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

DATASET = "record_of_tests"


class Reading(TypedDict):
    """One run that measured something on a set of test images."""

    run_id: str
    model: str
    trial: bool
    started: str


@dataclass(frozen=True)
class RecordOfTests:
    """The record, as far as it can be asked.

    Attributes:
        find: identity of test images (`about.test_set` of an evaluation) -> all runs that read them, this one included,
            or null where the record does not answer; null where runs are not recorded.
    """

    find: Callable[[str], list[Reading] | None] | None = None

    def reads(self, test_set: str | None) -> dict[str, Any]:
        """Runs, models and trials that were measured on these images; null with a reason where nobody knows."""
        unknown = {"runs": None, "models": None, "trials": None, "first": None}
        if test_set is None:
            return {**unknown, "reason": "the predictions do not name their images"}
        if self.find is None:
            return {**unknown, "reason": "runs are not recorded, see tracking.yml"}
        found = self.find(test_set)
        if not found:
            return {**unknown, "reason": "the record of runs could not be asked"}
        return {
            "runs": len(found),
            "models": len({each["model"] for each in found if each["model"]}),
            "trials": sum(each["trial"] for each in found),
            "first": min(each["started"] for each in found),
            "reason": None,
        }
