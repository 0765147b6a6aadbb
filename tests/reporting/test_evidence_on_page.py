"""Evidence in words and tables, on the page, in the model card and in the checklists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.evidence import weigh
from medical_transfer.reporting import checklist_answers
from medical_transfer.reporting.checklists import FOR_THE_AUTHORS, NAMES, checklists, checklists_text, items_of
from medical_transfer.reporting.decision_curve import decision_figure
from medical_transfer.reporting.evidence_tables import (
    per_class_table,
    predictive_table,
    quarantine_table,
    shortcuts_table,
    subgroups_table,
)
from medical_transfer.reporting.evidence_words import evidence_cautions, worst_group_sentences, worth_sentence
from medical_transfer.reporting.model_card import model_card_text
from medical_transfer.reporting.report import ReportContent, render_report
from medical_transfer.runtime.files import without_nan

READS = {"runs": 3, "models": 2, "trials": 0, "first": "2026-11-01", "reason": None}


def shortcut(family: str, estimate: float, *, alarm: bool) -> dict[str, Any]:
    row = {"estimate": estimate, "low": estimate - 0.04, "high": estimate + 0.04, "n": 3000, "groups": 900}
    return {"family": family, "features": 3, "auroc": row, "alarm": alarm}


SHORTCUTS = {
    "found": [
        shortcut("size", 0.9, alarm=True),
        shortcut("format", 0.52, alarm=False),
        shortcut("metadata", 0.7, alarm=True),
    ],
    "coverage": 0.98,
    "reason": None,
}


@pytest.fixture(scope="module")
def evidence() -> dict[str, Any]:
    """Of 200 test images of two sites, at one of which the model guesses; bad files are all from there."""
    rng, code = np.random.default_rng(0), np.arange(200) % 2
    skill = np.where(np.arange(200) < 100, 3.0, 0.0)
    positive = 1 / (1 + np.exp(-(skill * (code - 0.5) + rng.normal(size=200))))
    frame = pd.DataFrame({"p_no": 1 - positive, "p_yes": positive, "label": np.array(["no", "yes"])[code]}).assign(
        image_id=[f"i{k}" for k in range(200)], group_id=range(200), split="test"
    )
    site = np.where(np.arange(200) < 100, "home", np.where(np.arange(200) < 197, "<b>away</b>", "tiny"))
    known = frame[["image_id", "label"]].assign(site=site, status="ok", path="a.png", split="test")
    bad = pd.DataFrame({"image_id": [f"b{k}" for k in range(20)], "status": "quarantined", "path": "b.png"})
    manifest = pd.concat([known, bad.assign(site="<b>away</b>", label="no")], ignore_index=True)
    found = weigh(frame, manifest, ["no", "yes"], "yes", 0.5, Evaluation(resamples=300), seed=0)
    return without_nan({**found})


def test_the_worst_group_is_told_with_its_distance(evidence: dict[str, Any]) -> None:
    said = worst_group_sentences(evidence["subgroups"])
    assert said[0].startswith("Worst group of 2: AUROC is lowest where site is “<b>away</b>”, 0.")
    assert said[0].endswith("more than chance.")
    assert worst_group_sentences({"worst": []})[0].startswith("No worst group can be named")


def test_the_loudest_comes_first(evidence: dict[str, Any]) -> None:
    said = evidence_cautions(evidence, SHORTCUTS, READS)
    assert said[0].startswith("SHORTCUT: the class can be told without looking at what the image shows, from: size of")
    assert "0.900 (0.860–0.940)" in said[0]
    assert "columns of the table alone (AUROC 0.700" in said[1]
    assert any(sentence.startswith("Worst group") for sentence in said)
    assert any("hang on site (p " in sentence for sentence in said)
    assert any("site: tiny (3 images)" in sentence for sentence in said)
    assert said[-1].startswith("These test images have judged 2 models by now")
    quiet = {**SHORTCUTS, "found": [shortcut("size", 0.5, alarm=False)]}
    assert evidence_cautions(None, quiet, {**READS, "models": 1}) == []


def test_tables_hold_what_was_measured(evidence: dict[str, Any]) -> None:
    levels = subgroups_table(evidence["subgroups"]).set_index("Subgroup")
    assert levels.loc["site: tiny", "AUROC"] == "too small: 3 groups, 10 are the least"
    assert levels.loc["site: tiny", "Sensitivity"] == "–"
    assert levels.loc["site: home", "Images (groups)"] == "100 (100)"
    assert per_class_table(evidence["per_class"])["Class"].tolist() == ["no", "yes"]
    assert predictive_table(evidence["predictive_values"]).iloc[:, 0].tolist() == ["1 %", "5 %", "10 %", "30 %"]
    assert shortcuts_table(SHORTCUTS)["Verdict"].str.startswith("ALARM").tolist() == [True, False, True]
    bad = quarantine_table(evidence["quarantine"]).set_index("Column")
    assert bad.loc["site", "Verdict"] == "ALARM: not by chance"
    assert "&" not in bad.loc["site", "Bad files"]


def test_the_worth_of_decisions(evidence: dict[str, Any]) -> None:
    assert worth_sentence(evidence["decision_curve"]).startswith("Between thresholds 0.")
    assert "At no threshold" in worth_sentence({**evidence["decision_curve"], "useful": []})
    axis = decision_figure(evidence["decision_curve"]).axes[0]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), evidence["decision_curve"]["model"])
    assert decision_figure(None).axes[0].texts[0].get_text() == "A decision curve needs images of two classes"


def test_the_page_has_the_sections_and_names_stay_text(content: ReportContent, evidence: dict[str, Any]) -> None:
    page = render_report(replace(content, evidence=evidence, shortcuts=SHORTCUTS, test_reads=READS))
    for anchor in ("groups", "worth", "shortcuts", "checklists"):
        assert f'<section id="{anchor}">' in page
        assert f'href="#{anchor}"' in page
    assert "<b>away</b>" not in page
    assert "SHORTCUT" in page
    assert "have been read by 3 runs since 2026-11-01" in page
    without = render_report(content)
    assert '<section id="worth">' not in without
    assert "is not known." in without


def test_without_columns_the_page_says_what_is_not_known(content: ReportContent, evidence: dict[str, Any]) -> None:
    none = {**evidence, "subgroups": {"levels": [], "worst": [], "left_out": {"site": "not given for any image"}}}
    page = render_report(replace(content, evidence=none, shortcuts={**SHORTCUTS, "found": [], "reason": "too few"}))
    assert "nothing is known of how the model does for women and men" in page
    assert "Nothing could be tried: too few." in page


def test_the_model_card_flags_licences_and_tells_the_groups(content: ReportContent, evidence: dict[str, Any]) -> None:
    card = model_card_text(replace(content, evidence=evidence, shortcuts=SHORTCUTS, test_reads=READS))
    assert "- data: CC BY-NC 4.0 **non-commercial use only**" in card
    assert "A non-commercial licence holds for this model as a whole." in card
    assert "&lt;b>away&lt;/b>" in card
    assert card.count("*For the authors:*") == 2
    for title in ("Model", "Licences", "Intended use", "Data", "Results", "For whom it works", "Shortcuts", "Limits"):
        assert f"\n## {title}\n" in card
    assert "0.993 (0.987–0.997)" in card, "the AUROC of the evaluation"


def test_an_unusual_run_still_has_a_card_and_checklists(hostile_content: ReportContent) -> None:
    assert "<script>" not in model_card_text(hostile_content)
    assert "<script>" not in checklists_text(hostile_content)


@pytest.mark.parametrize(
    ("name", "numbers", "first", "last"), [("tripod_ai", 27, "1", "27c"), ("claim_2024", 44, "1", "44")]
)
def test_checklists_are_whole(name: str, numbers: int, first: str, last: str) -> None:
    items = [item["n"] for item in items_of(name)["items"]]
    assert len(set(items)) == len(items)
    assert (items[0], items[-1]) == (first, last)
    assert {int(each.rstrip("abcdefg")) for each in items} == set(range(1, numbers + 1))


def test_what_the_run_knows_is_answered_and_the_rest_is_for_the_authors(
    content: ReportContent, evidence: dict[str, Any]
) -> None:
    filled = {each.name: each for each in checklists(replace(content, evidence=evidence, shortcuts=SHORTCUTS))}
    tripod = filled["TRIPOD+AI"].rows.set_index("Item")
    assert tripod.loc["17", "Who"] == FOR_THE_AUTHORS
    assert "train 2,100 images in 908 groups" in tripod.loc["12a", "Answer"]
    assert "positive from 0.4217 on, set on validation" in tripod.loc["15", "Answer"]
    assert tripod.loc["18f", "Answer"].startswith("git 4f1c09e2 with uncommitted changes; seed 7")
    assert tripod.loc["10", "Who"].startswith("in part")
    claim = filled["CLAIM 2024"].rows.set_index("Item")
    assert "SHORTCUT" in claim.loc["30", "Answer"]
    assert claim.loc["44", "Who"] == FOR_THE_AUTHORS
    for each in filled.values():
        assert each.answered == (each.rows["Who"] != FOR_THE_AUTHORS).sum()
        assert each.answered > len(each.rows) / 2


def test_every_topic_of_the_items_is_one_that_a_run_may_answer(content: ReportContent) -> None:
    topics = {item["run"] for name in NAMES for item in items_of(name)["items"] if "run" in item}
    source = Path(checklist_answers.__file__).read_text(encoding="utf-8")
    assert {topic for topic in topics if f'"{topic}":' not in source} == set()
