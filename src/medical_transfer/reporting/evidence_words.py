"""Sentences on the evidence: whom the model serves worse, what gives the class away, how often the test was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medical_transfer.reporting.evidence_tables import COLUMN_NAMES, FAMILIES
from medical_transfer.reporting.units import decimal_text, interval_text, metric_name, missing, percent_text


def worst_group_sentences(subgroups: Mapping[str, Any]) -> list[str]:
    """The lowest subgroup of each metric and whether that is more than chance; why there is none."""
    if not subgroups["worst"]:
        return ["No worst group can be named: fewer than two subgroups of the test images could be measured."]
    return [_worst(each) for each in subgroups["worst"]]


def _worst(worst: Mapping[str, Any]) -> str:
    name = f"{metric_name(worst['metric'])} is lowest where {worst['column']} is “{worst['level']}”"
    gap = worst["gap"]
    start = f"Worst group of {worst['levels']}: {name}, {interval_text(worst['row'])}"
    if missing(gap["low"]):
        return f"{start}; how far that lies from the other images cannot be told."
    ends = f"{gap['low']:+.3f} to {gap['high']:+.3f}"
    verdict = "more than chance" if worst["shown"] else "which may be chance, as one group is always the lowest"
    return f"{start}. Against all other images that is {gap['estimate']:+.3f} ({ends}), {verdict}."


def evidence_cautions(
    evidence: Mapping[str, Any] | None, shortcuts: Mapping[str, Any] | None, reads: Mapping[str, Any] | None
) -> list[str]:
    """What a reader must be told first, the loudest before all."""
    told = shortcut_alarms(shortcuts) if shortcuts else []
    if evidence is not None:
        told += [_worst(each) for each in evidence["subgroups"]["worst"] if each["shown"]]
        told += [_bad_files(each) for each in evidence["quarantine"] if each["alarm"]]
        small = [each for each in evidence["subgroups"]["levels"] if each["reason"] and not each["metrics"]]
        if small:
            names = ", ".join(f"{each['column']}: {each['level']} ({each['n']} images)" for each in small)
            told.append(f"Too few test images to say anything of {names}.")
    if reads is not None and (reads["models"] or 0) > 1:
        told.append(
            f"These test images have judged {reads['models']} models by now: the best of several looks better than it "
            "is."
        )
    return told


def _bad_files(association: Mapping[str, Any]) -> str:
    name, p = COLUMN_NAMES.get(association["column"], association["column"]), association["p"]
    chance = "below 0.001" if p < 0.001 else f"{p:.3f}"
    return f"Bad files are not bad by chance but hang on {name} (p {chance}): the numbers leave some patients out."


def shortcut_alarms(shortcuts: Mapping[str, Any]) -> list[str]:
    """One sentence for the files, one for the table's columns, where the class can be told from them."""
    alarms = {each["family"]: each for each in shortcuts["found"] if each["alarm"]}
    of_file = {name: each for name, each in alarms.items() if name not in {"metadata", "together"}}
    told = []
    if of_file or "together" in alarms:
        best = max((of_file or alarms).values(), key=lambda each: each["auroc"]["estimate"])
        names = ", ".join(FAMILIES[name].lower() for name in of_file) or FAMILIES["together"].lower()
        told.append(
            f"SHORTCUT: the class can be told without looking at what the image shows, from: {names} (AUROC up to "
            f"{interval_text(best['auroc'])}). A network can learn this instead of the disease and fail elsewhere."
        )
    if "metadata" in alarms:
        auroc = interval_text(alarms["metadata"]["auroc"])
        told.append(
            f"The class can be told from site and columns of the table alone (AUROC {auroc}): compare within levels."
        )
    return told


def reads_sentence(reads: Mapping[str, Any] | None) -> str:
    """How often these test images have been read; says so where nobody knows."""
    if reads is None or reads["runs"] is None:
        reason = f" ({reads['reason']})" if reads else ""
        return f"How often these test images have been read before is not known{reason}."
    if reads["runs"] == 1:
        return "According to the record of runs these test images were read here for the first time."
    trials = f", {reads['trials']} of them trials of studies" if reads["trials"] else ""
    return (
        f"According to the record of runs these test images have been read by {reads['runs']} runs since "
        f"{reads['first']}, this one included{trials}; {reads['models']} different models were measured on them."
    )


def worth_sentence(curve: Mapping[str, Any] | None) -> str:
    """Over which thresholds acting on the model's word is worth more than treating all or none."""
    if curve is None:
        return "There is no decision curve: it needs test images of two classes."
    useful = curve["useful"]
    if not useful:
        return (
            "At no threshold is the model shown to be worth more than treating all or none: its interval reaches "
            "what one of these is worth everywhere."
        )
    low, high = (decimal_text(end, digits=2) for end in (useful[0], useful[-1]))
    share = percent_text(len(useful) / len(curve["thresholds"]), digits=0)
    return (
        f"Between thresholds {low} and {high} (at {share} of all) acting on the model's word is worth more than "
        "treating all or none, also at the low end of its interval."
    )
