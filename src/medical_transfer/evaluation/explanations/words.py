"""What the tests of maps say, in sentences; what a reader must not overlook comes first, as an alarm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medical_transfer.evaluation.explanations.randomised import LEVELS
from medical_transfer.evaluation.explanations.sanity import SAME

NAMES = {"grad_cam": "Grad-CAM", "occlusion": "Occlusion"}
RIVALS = {"random": "the same cells in random order", "other_image": "the map of another image"}
ALIKE = 0.7
"""Maps of different images that agree more than this mark a place, not an image."""

CAUTIONS = (
    "A map shows where the model's answer is sensitive, not what is there and not why. A marked tumour does not prove "
    "that the model recognises tumours, and a marked border does not prove that it fails.",
    "A map is about the class that the model decided for, right or wrong: a wrong answer has as convincing a map.",
    "Do not correct labels, choose patients or change the model by these maps: they are of test images, and a model "
    "that was changed by them needs new ones.",
    "An image with a hidden patch or with deleted pixels is like none that the model has seen, so part of each fall is "
    "surprise. That is the same for all orders that are compared.",
    "The images that are shown are the most confident ones and no fair sample; the numbers rest on images drawn by "
    "chance.",
)


def alarms(told: Mapping[str, Any]) -> list[str]:
    """Methods that fail a test, loudly."""
    return [sentence for name, facts in _working(told) for sentence in _alarms_of(NAMES[name], facts)]


def sentences(told: Mapping[str, Any]) -> list[str]:
    """What a reader should know of each method, in order."""
    said = [
        f"{NAMES[name]} is left out: {facts['reason']}." for name, facts in told["methods"].items() if facts["reason"]
    ]
    for name, facts in _working(told):
        said += [_sanity(NAMES[name], level, row) for level, row in facts["sanity"].items()]
        said += [_lead(NAMES[name], kind, facts["rivals"][kind]) for kind in facts["rivals"]]
    return said


def _working(told: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, facts) for name, facts in told["methods"].items() if facts["reason"] is None)


def _alarms_of(name: str, facts: Mapping[str, Any]) -> Iterator[str]:
    for level, row in facts["sanity"].items():
        if row["verdict"] == "stays":
            yield (
                f"Do not trust the maps of {name}: they stay the same when {LEVELS[level]} gets random weights (mean "
                f"rank correlation {_with_interval(row['mean'])}). They show the images, not what the model learned."
            )
        elif row["mean"] is not None and row["up_to_sign"] > SAME:
            yield (
                f"The maps of {name} keep their shape when {LEVELS[level]} gets random weights, and only turn their "
                f"sign (mean absolute rank correlation {row['up_to_sign']:.2f}): the shape is not what was learned."
            )
    for kind, row in facts["rivals"].items():
        if row["lead"]["random"]["high"] < 0:
            yield (
                f"By {kind}, the maps of {name} are worse than random order: what they mark matters less to the model "
                "than what they leave out."
            )
    if facts["between_images"] is not None and facts["between_images"] > ALIKE:
        yield (
            f"The maps of {name} are much the same for all images (mean rank correlation between images "
            f"{facts['between_images']:.2f}): they mark a place, not a finding."
        )


def _sanity(name: str, level: str, row: Mapping[str, Any]) -> str:
    what = LEVELS[level]
    if row["mean"] is None:
        reason = row.get("reason") or "every map says the same of all places"
        return f"{name}: not known whether its maps change when {what} gets random weights, since {reason}."
    verb = {"changes": "change", "stays": "do not change", "unclear": "may change, or not,"}[row["verdict"]]
    low, high = row["low_spread"], row["high_spread"]
    return (
        f"{name}: the maps {verb} when {what} gets random weights: mean rank correlation "
        f"{_with_interval(row['mean'])}, 80 % of all values from {low:.2f} to {high:.2f}; 1 is no change."
    )


def _lead(name: str, kind: str, facts: Mapping[str, Any]) -> str:
    compared = [_against(rival, facts["lead"][key]) for key, rival in RIVALS.items()]
    return f"{name}, {kind}: the area under the curve is {facts['areas']['map']:.3f}; {' and '.join(compared)}."


def _against(rival: str, lead: Mapping[str, Any]) -> str:
    if lead["low"] > 0:
        return f"better than {rival} by {_with_interval(lead, digits=3)}"
    if lead["high"] < 0:
        return f"worse than {rival} by {abs(lead['estimate']):.3f} ({-lead['high']:.3f} to {-lead['low']:.3f})"
    return f"not shown to differ from {rival} ({lead['estimate']:.3f}, {lead['low']:.3f} to {lead['high']:.3f})"


def _with_interval(row: Mapping[str, Any], *, digits: int = 2) -> str:
    return f"{row['estimate']:.{digits}f} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"
