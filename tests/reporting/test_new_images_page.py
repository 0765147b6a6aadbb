"""The page of a prediction: what was decided, what was not, and an alarm where too much is new."""

from __future__ import annotations

import pandas as pd
import pytest

from medical_transfer.reporting.new_images_page import (
    NewImagesFacts,
    bands_table,
    decisions_table,
    reasons_table,
    render_new_images,
    rows_table,
    sentences,
)

CARD = {"classes": ["no", "yes"], "positive_class": "yes", "threshold": 0.4, "source": "toy", "kind": "finetune"}


def facts(rows: list[tuple], card: dict = CARD, patients: pd.DataFrame | None = None, **more) -> NewImagesFacts:
    columns = ["path", "predicted", "p_no", "p_yes", "decision", "status", "reason", "novelty", "abstained"]
    words = dict.fromkeys(["predicted", "decision", "reason"], "string")
    table = pd.DataFrame(rows, columns=columns).astype({**words, "abstained": "boolean"})
    nobody = pd.DataFrame() if patients is None else patients
    return NewImagesFacts(table, nobody, "new", "key", card, **{"novelty": "mahalanobis", "false_abstain": 0.05} | more)


@pytest.fixture
def rows() -> list[tuple]:
    return [
        ("a", "no", 0.95, 0.05, "no", "ok", None, 1.0, False),
        ("b", "yes", 0.0, 1.0, "yes", "ok", None, 1.0, False),
        ("c", "no", 0.5, 0.5, None, "ok", "unlike the training images", 9.0, True),
        ("<d>", None, None, None, None, "quarantined", "not an image", None, None),
        ("e", None, None, None, None, "quarantined", "not an image", None, None),
        ("f", None, None, None, None, "quarantined", "zero bytes", None, None),
    ]


def test_every_file_is_counted_once(rows: list[tuple]) -> None:
    counts = decisions_table(facts(rows)).set_index("Outcome")["Images"]
    assert counts.to_dict() == {"called no": "1", "called yes": "1", "abstained": "1", "not read": "3"}
    bands = bands_table(facts(rows))
    assert bands["Images"].tolist() == ["1", "0", "0", "0", "0", "0", "0", "0", "0", "1"]  # "c" was left undecided
    assert reasons_table(facts(rows).predictions).values.tolist() == [
        ["not an image", "2", "<d>"],
        ["zero bytes", "1", "f"],
    ]
    assert rows_table(facts(rows))["Image"].tolist()[:3] == ["b", "c", "a"]


def test_many_novel_images_are_an_alarm(rows: list[tuple]) -> None:
    assert "Alarm: that is far more than expected" in " ".join(sentences(facts(rows)))
    assert "Alarm" not in " ".join(sentences(facts(rows, false_abstain=0.2)))
    assert "6 files were found; 3 were read and 3 were not." in sentences(facts(rows))
    assert "was not asked" in " ".join(sentences(facts(rows, novelty="none")))


def test_more_classes_have_no_bands_and_text_is_escaped(rows: list[tuple]) -> None:
    three = {**CARD, "positive_class": None, "threshold": None}
    page = render_new_images(facts(rows, three))
    assert "&lt;d&gt;" in page
    assert "<d>" not in page
    assert "Probability of" not in page
    assert decisions_table(facts(rows, three))["Images"].tolist() == ["1", "1", "1", "3"]


def test_patients_stand_on_the_page_where_they_are_known(rows: list[tuple]) -> None:
    patients = pd.DataFrame({"group_id": ["Ann"], "images": [2], "used": [1], "p_no": [0.25], "p_yes": [0.75]})
    page = render_new_images(facts(rows, patients=patients.assign(predicted="yes", decision="yes")))
    assert "Ann" in page
    assert "0.750" in page
    assert "<h2>Patients</h2>" not in render_new_images(facts(rows))
