"""What a run can answer of a reporting checklist, a sentence per topic; a topic that it cannot answer is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medical_transfer.reporting.content import ReportContent
from medical_transfer.reporting.evidence_words import reads_sentence, shortcut_alarms, worst_group_sentences
from medical_transfer.reporting.licences import licences_with_flags
from medical_transfer.reporting.measured import Measured
from medical_transfer.reporting.units import count_text, decimal_text, metric_name, missing, percent_text


def answers(content: ReportContent) -> dict[str, str]:
    """Topic -> answer; the topics are those that the checklists in `templates` name as `run`."""
    found = {**_of_data(content), **_of_split(content), **_of_model(content), **_of_results(content)}
    return {topic: answer for topic, answer in found.items() if answer}


def _of_data(content: ReportContent) -> dict[str, str]:
    leakage, card = content.leakage, content.model_card
    licences = "; ".join(
        f"{what}: {text}{f' ({flag})' if flag else ''}" for what, text, flag in licences_with_flags(card)
    )
    left = [("quarantined", leakage["quarantined"]), ("excluded because of a shared group", leakage["excluded"])]
    left.append(("passed over (dropped class or limit)", leakage.get("passed_over", 0)))
    parts = ", ".join(f"{count_text(count)} {why}" for why, count in left)
    return {
        "data": f"{count_text(leakage['images'])} files were found; fingerprint {card.get('data_fingerprint')}.",
        "licences": f"Licences as far as known: {licences}." if licences else "",
        "excluded": f"Of {count_text(leakage['images'])} files {parts}; reasons are listed per file.",
        "missing": f"Unreadable files are quarantined with a reason ({count_text(leakage['quarantined'])} of "
        f"{count_text(leakage['images'])}), none is imputed.",
        "preparation": "Every file was read once and audited (readable, size, mode, duplicates); the same "
        "steps for all images.",
        "outcome": f"Class as given with the images: {_classes(card)}.",
        "bad_input": "A file that cannot be read becomes a row with its reason and no prediction.",
        "sites": _sites(content.evidence),
        "characteristics": _characteristics(content.evidence),
    }


def _classes(card: Mapping[str, Any]) -> str:
    positive = card.get("positive_class")
    names = ", ".join(str(name) for name in card.get("classes", ()))
    return f"{names} (positive: {positive})" if positive else names


def _sites(evidence: Mapping[str, Any] | None) -> str:
    levels = [each for each in (evidence or {}).get("subgroups", {}).get("levels", ()) if each["column"] == "site"]
    if not levels:
        return ""
    told = ", ".join(f"{each['level']} ({count_text(each['n'])})" for each in levels)
    return f"Sites among the test images: {told}."


def _characteristics(evidence: Mapping[str, Any] | None) -> str:
    levels = (evidence or {}).get("subgroups", {}).get("levels", ())
    told = "; ".join(f"{each['column']} {each['level']}: {count_text(each['n'])}" for each in levels)
    return f"Test images by the table's columns: {told}." if told else ""


def _of_split(content: ReportContent) -> dict[str, str]:
    leakage = content.leakage
    held = {split: value for split, value in leakage["splits"].items() if value["images"]}
    sizes = ", ".join(
        f"{split} {count_text(value['images'])} images in {count_text(value['groups'])} groups"
        for split, value in held.items()
    )
    classes = "; ".join(
        f"{split}: {', '.join(f'{count_text(count)} {name}' for name, count in value['classes'].items())}"
        for split, value in held.items()
    )
    given = "as the data came" if leakage["given_splits"] else "drawn at random by the seed, stratified by class"
    level = (
        "patients where the data name them"
        if leakage.get("given_groups")
        else "images that look alike (no patient ids)"
    )
    return {
        "sizes": f"{sizes}.",
        "partition": f"Training, validation and test: {given}, whole groups only; {sizes}.",
        "disjoint": f"No group is in two parts; groups are {level}; near-duplicates, mirrored ones too, are joined.",
        "flow": f"Found {count_text(leakage['images'])}, quarantined {count_text(leakage['quarantined'])}, excluded "
        f"{count_text(leakage['excluded'])}. {classes}.",
        "same_source": "" if leakage["given_splits"] else "Development and test images come from the same set.",
        "internal": f"Internal test: {sizes}.",
    }


def _of_model(content: ReportContent) -> dict[str, str]:
    card = content.model_card
    total = sum(row["total"] for row in card.get("parameters") or [])
    learned = sum(row["trainable"] for row in card.get("parameters") or [])
    members = [member["source"] for member in card.get("members") or ()]
    versions = ", ".join(f"{name} {version}" for name, version in (card.get("versions") or {}).items())
    settings = ", ".join(f"{name}={value}" for name, value in content.provenance.settings.items())
    return {
        "kind": f"Deep learning: a pretrained network ({card.get('architecture')}), {card.get('kind')}.",
        "aims": "Development and internal evaluation of a classifier of single images.",
        "predictors": "The pixels of one image, nothing else.",
        "pixels": f"Decoded to 8-bit RGB at {card.get('size', 'the trained')} px, fit '{card.get('fit', '-')}', "
        "normalised as the source expects.",
        "training": f"{card.get('kind')} from {card.get('source')}; {count_text(len(content.history))} epochs over all "
        f"phases; settings other than the defaults: {settings or 'none'}.",
        "selection": f"The epoch was chosen by {card.get('selection', 'validation AUROC')}, not by test images.",
        "initial": f"Weights of {card.get('source')} ({card.get('source_domain', 'domain not told')}); a new head.",
        "ensembling": f"Features of {', '.join(members)} side by side, one head." if members else "One model.",
        "specification": f"{card.get('architecture')}, {count_text(total)} parameters, {count_text(learned)} of them "
        "trained; model.json and model.safetensors rebuild it.",
        "software": f"{versions}." if versions else "",
        "code": _code(content),
        "threshold": _threshold(card),
        "calibration": _calibration(card),
        "predictions": "Softmax of logits over the temperature, averaged over the image and permitted mirror images.",
    }


def _code(content: ReportContent) -> str:
    made = content.provenance
    if made.git_sha is None:
        return ""
    dirty = " with uncommitted changes" if made.git_dirty else ""
    return f"git {made.git_sha}{dirty}; seed {made.seed}; {made.command}."


def _threshold(card: Mapping[str, Any]) -> str:
    if missing(card.get("threshold")):
        return "A probability for each class; the most probable one is decided."
    positive, threshold = card.get("positive_class"), f"{card['threshold']:.4g}"
    return f"Calibrated probability of {positive}; positive from {threshold} on, set on validation."


def _calibration(card: Mapping[str, Any]) -> str:
    if missing(card.get("temperature")):
        return ""
    return f"Logits are divided by {card['temperature']:.3g}, fitted on validation; nothing else was updated."


def _of_results(content: ReportContent) -> dict[str, str]:
    measured = Measured(content.evaluation)
    names = ", ".join(metric_name(metric) for metric in measured.metrics("test"))
    auroc = measured.row("test", "auroc")
    told = f"AUROC {decimal_text(auroc['estimate'])}, {measured.ends(auroc)}" if auroc else "no AUROC"
    evidence, shortcuts = content.evidence, content.shortcuts
    alarms = shortcut_alarms(shortcuts) if shortcuts else []
    prevalence = (measured.about.get("prevalence") or {}).get("test") or {}
    shares = ", ".join(f"{name} {percent_text(share)}" for name, share in prevalence.items())
    resamples = measured.about["intervals"]["resamples"]
    return {
        "metrics": f"{names}.",
        "uncertainty": f"{measured.interval}s by bootstrap of whole groups, {resamples:g} resamples.",
        "performance": f"Test: {told}; all metrics, validation beside test, stand in the report.",
        "imbalance": f"Shares among the test images: {shares}. Probabilities are those of the training prevalence.",
        "subgroups": " ".join(worst_group_sentences(evidence["subgroups"])) if evidence else "",
        "robustness": " ".join(alarms) or ("No shortcut by file facts was shown." if shortcuts else ""),
        "failures": "The most confident wrong decisions are shown in the report.",
        "limits": " ".join(content.limits),
        "external": "No external test images were read." if not content.leakage["given_splits"] else "",
        "reads": reads_sentence(content.test_reads),
    }
