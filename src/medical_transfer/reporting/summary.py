"""The plain-language summary: every sentence is made from the numbers of the run, by rules that stand here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from medical_transfer.reporting.measured import Measured, Row
from medical_transfer.reporting.tables import how_many
from medical_transfer.reporting.units import (
    count_text,
    decimal_text,
    interval_text,
    metric_name,
    missing,
    percent_text,
)

WELL_CALIBRATED: Final = 0.05
ROUGHLY_CALIBRATED: Final = 0.10
FEW_GROUPS: Final = 30
WIDE_INTERVAL: Final = 0.10
MANY_QUARANTINED: Final = 0.05


@dataclass(frozen=True, slots=True)
class Card:
    """One headline number: what it is, its value, and the interval behind it."""

    label: str
    value: str
    detail: str


def headline_cards(measured: Measured) -> list[Card]:
    """Test results at the head of the page, each with its interval."""
    wanted = ("sensitivity", "specificity") if measured.binary else ("balanced_accuracy", "accuracy")
    rows = [(metric, measured.row("test", metric)) for metric in ("auroc", *wanted, "ece")]
    return [
        Card(metric_name(metric), decimal_text(row["estimate"]), _detail(measured, row)) for metric, row in rows if row
    ]


def _detail(measured: Measured, row: Row) -> str:
    return interval_text(row) if missing(row["estimate"]) else measured.ends(row)


def summary_sentences(
    *,
    measured: Measured,
    leakage: Mapping[str, Any],
    transferability: Mapping[str, Any] | None,
    card: Mapping[str, Any],
) -> list[str]:
    """What was trained, on how much, how well it does on the test images, and whether to believe its probabilities."""
    told = [
        _what(measured, transferability, card),
        _data(leakage),
        _discrimination(measured),
        _operating_point(measured, card) if measured.binary else _share_right(measured),
        _calibration(measured, card),
    ]
    return [sentence for sentence in told if sentence]


def _what(measured: Measured, transferability: Mapping[str, Any] | None, card: Mapping[str, Any]) -> str:
    source = str(card.get("source") or "")
    facts = _facts_of(source, transferability)
    members = [member["source"] for member in card.get("members") or ()]
    start = f"The pretrained network {source}" if source else "A network"
    if members:
        start = f"The pretrained networks {_listed(members)} side by side"
    if facts.get("untrained"):
        start = "An untrained network"
    elif facts.get("domain"):
        start += f", which had learned from {facts['domain']},"
    if measured.binary:
        task = f"to tell “{measured.positive}” (positive) from “{measured.negative}” (negative)"
    else:
        task = f"to tell apart {len(measured.classes)} classes: {_listed([f'“{name}”' for name in measured.classes])}"
    if _only_the_head_learned(card):
        start += f" {'were kept as they are' if members else 'was kept as it is'}: only a new last part"
    return f"{start} was trained on these images {task}."


def _only_the_head_learned(card: Mapping[str, Any]) -> bool:
    stages = [row for row in card.get("parameters") or [] if row["stage"] != "head"]
    return bool(stages) and not any(row["trainable"] for row in stages)


def _facts_of(source: str, transferability: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What the comparison of sources knows of one of them; nothing where it was not compared."""
    sources: Sequence[Mapping[str, Any]] = (transferability or {}).get("sources", [])
    return next((facts for facts in sources if facts["name"] == source), {})


def _data(leakage: Mapping[str, Any]) -> str:
    parts = []
    for split, purpose in (("train", "to learn from"), ("val", "to choose settings"), ("test", "for the final test")):
        if split in leakage["splits"]:
            held = leakage["splits"][split]
            parts.append(f"{count_text(held['images'])} images in {count_text(held['groups'])} groups {purpose}")
    return (
        f"It used {_listed(parts)}. A group holds the images of one patient where the data say so, "
        "and images that look nearly alike; no group is in two of these parts."
    )


def _discrimination(measured: Measured) -> str:
    row = measured.row("test", "auroc")
    if row is None:
        return ""
    if missing(row["estimate"]):
        return f"On the test images AUROC is {interval_text(row)}."
    text = f"On the test images AUROC is {decimal_text(row['estimate'])}, {measured.ends(row)}."
    if not measured.binary:
        return f"{text} It is the mean over classes, each asked for against all others; 0.5 is a coin, 1 is perfect."
    draws = f"the positive one scores higher in {_chances(row['estimate'])} of 100 draws"
    return f"{text} Of a positive and a negative image drawn at random, {draws}."


def _chances(auroc: float) -> str:
    """'about 97', and never 'about 100' where it is less."""
    return "more than 99" if 0.99 < auroc < 1 else f"about {round(100 * auroc)}"


def _share_right(measured: Measured) -> str:
    row = measured.row("test", "balanced_accuracy")
    if row is None or missing(row["estimate"]):
        return ""
    return f"It decides {measured.percent(row)} of the test images rightly, averaged over classes."


def _operating_point(measured: Measured, card: Mapping[str, Any]) -> str:
    threshold = card.get("threshold", measured.about.get("threshold"))
    where = "Deciding for the more probable class,"
    if not missing(threshold):
        where = f"At the threshold {decimal_text(threshold)}, fixed on the validation images,"
    return f"{where} it finds {_rate(measured, 'sensitivity')} and clears {_rate(measured, 'specificity')}."


def _rate(measured: Measured, metric: str) -> str:
    """'97.1 % (95 % interval ...) of the positive test images (sensitivity; 218 of 224)'."""
    name = "positive" if metric == "sensitivity" else "negative"
    found, row = measured.right_and_all("test", positive=metric == "sensitivity"), measured.row("test", metric)
    if row is None or missing(row["estimate"]):
        return f"an unknown share of the {name} test images ({metric}: {interval_text(row)})"
    counts = f"; {count_text(found[0])} of {count_text(found[1])}" if found else ""
    return f"{measured.percent(row)} of the {name} test images ({metric}{counts})"


def _calibration(measured: Measured, card: Mapping[str, Any]) -> str:
    row = measured.row("test", "ece")
    if row is None or missing(row["estimate"]):
        return "Whether its probabilities can be taken at their word was not measured."
    verdict = "cannot be taken at their word"
    if row["estimate"] <= ROUGHLY_CALIBRATED:
        verdict = "are roughly right"
    if row["estimate"] <= WELL_CALIBRATED:
        verdict = "can be taken nearly at their word"
    temperature = card.get("temperature")
    scaled = "" if missing(temperature) else f" (after division by temperature {temperature:.3g})"
    error = f"expected calibration error {decimal_text(row['estimate'])}, {measured.ends(row)}"
    points = f"they are off by {100 * row['estimate']:.1f} percentage points on average ({error})"
    return f"Its probabilities{scaled} {verdict} on data like these: {points}."


def cautions(*, measured: Measured, leakage: Mapping[str, Any], transferability: Mapping[str, Any] | None) -> list[str]:
    """What to be careful about in this run: its own warnings, then what the numbers themselves give away."""
    found = [str(warning) for warning in measured.about.get("warnings") or []] + _about_the_data(leakage)
    row = measured.row("test", "auroc")
    if (
        row
        and not missing(row.get("low"))
        and not missing(row.get("high"))
        and row["high"] - row["low"] > WIDE_INTERVAL
    ):
        found.append(f"The interval of AUROC is wide ({interval_text(row)}): a larger test set is needed to say more.")
    if transferability and _facts_of(transferability["chosen"], transferability).get("untrained"):
        found.append("The network started untrained: nothing was transferred.")
    return found


def _about_the_data(leakage: Mapping[str, Any]) -> list[str]:
    found = []
    test = leakage["splits"].get("test")
    if test and test["groups"] < FEW_GROUPS:
        found.append(f"The test rests on only {test['groups']} independent groups; its intervals say little.")
    if crossed := how_many(leakage.get("cross_label_pairs")):
        found.append(f"{count_text(crossed)} pairs of nearly equal images carry different labels: check those labels.")
    known, unknown = leakage.get("images_with_given_group", 0), leakage.get("images_without_given_group", 0)
    if known and unknown:
        found.append(
            f"The patient (or block of slices) is known of {count_text(known)} images, not of {count_text(unknown)}: "
            "each of these counts as a patient of its own unless it looks like another. Check images.group_pattern, or "
            "the column group of the table."
        )
    if leakage["images"] and leakage["quarantined"] > MANY_QUARANTINED * leakage["images"]:
        share = percent_text(leakage["quarantined"] / leakage["images"])
        found.append(f"{share} of the files could not be used: ask whether they come from one site or one device.")
    if leakage["excluded"]:
        excluded = count_text(leakage["excluded"])
        found.append(f"{excluded} images were excluded because a given test or validation image is in their group.")
    return found


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
