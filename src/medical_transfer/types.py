"""The nouns of the house: what travels between its rooms, in one sentence each.

Tables are pandas frames with the columns named here; everything else is a small frozen value.
Shapes in names: N images, C classes, D features, B bootstrap resamples, S pixels of one side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure  # noqa: PLC0414 - exported to type checkers
else:  # a third of a second of every command; a hint must be found at run time, or Kedro checks no parameter of a node
    Figure = Any

Split = Literal["train", "val", "test", "excluded"]
Status = Literal["ok", "quarantined"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")
"""The splits that hold images; `excluded` rows stay in the manifest and are never used."""

FOUND_COLUMNS = ("path", "label", "group_id", "split", "site")
"""One row per file that a reader found; a null means that the reader cannot know. More columns are the table's own."""

AUDIT_COLUMNS = (
    "image_id",
    "path",
    "label",
    "group_id",
    "split",
    "site",
    "sha256",
    "phash",
    "width",
    "height",
    "mode",
    "status",
    "reason",
)
"""One row per file found, none dropped. In the audit `group_id` and `split` are as given (nullable);
in the manifest (the same columns) they are final."""


class MetricRow(TypedDict):
    """One metric as it is published: estimate and 95 % interval over n images in so many groups."""

    estimate: float
    low: float
    high: float
    n: int
    groups: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A point estimate with the ends of its 95 % interval; NaN where the metric is undefined."""

    estimate: float
    low: float = math.nan
    high: float = math.nan

    def row(self, n: int, groups: int) -> MetricRow:
        """Publish the interval with the numbers of images and groups that it rests on."""
        return MetricRow(estimate=self.estimate, low=self.low, high=self.high, n=n, groups=groups)


class UserError(Exception):
    """Something that the user can mend. The message says what was found, what was expected and what to do."""


class DoesNotApplyError(UserError):
    """One of several things that are compared is not possible here; the others are."""
