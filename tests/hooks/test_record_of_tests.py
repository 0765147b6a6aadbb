"""How often test images were read: tags of runs, the question for them, and the answer in words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from medical_transfer.datasets.record_of_tests import Reading, RecordOfTests
from medical_transfer.hooks.test_readings import readings, tags_of_test
from medical_transfer.hooks.tracking import Tracking
from medical_transfer.reporting.evidence_words import reads_sentence


def run_of(number: int, model: str, **more: str) -> SimpleNamespace:
    tags = {"test_set": "abc", "tested_model": model, **more}
    start = 1_700_000_000_000 + number * 86_400_000
    return SimpleNamespace(info=SimpleNamespace(run_id=f"r{number}", start_time=start), data=SimpleNamespace(tags=tags))


class Client:
    """Answers a search in pages of two, and remembers what it was told."""

    def __init__(self, runs: list[Any]) -> None:
        self.runs, self.asked, self.tags = runs, [], []

    def search_runs(self, experiments, filter_string, *, max_results, page_token):
        self.asked.append((experiments, filter_string))
        start = int(page_token or 0)
        page = self.runs[start : start + 2]
        token = str(start + 2) if start + 2 < len(self.runs) else None
        return type("Page", (list,), {"token": token})(page)

    def set_tag(self, run_id, name, value):
        self.tags.append((run_id, name, value))


RUNS = [run_of(3, "m2"), run_of(2, "m1"), run_of(1, "m1", **{"mlflow.parentRunId": "r0"}), run_of(0, "m1")]


def test_all_pages_are_asked() -> None:
    client = Client(RUNS)
    found = readings(client, "7", "abc")
    assert [each["run_id"] for each in found] == ["r3", "r2", "r1", "r0"]
    assert client.asked == [(["7"], "tags.test_set = 'abc'")] * 2
    assert found[2] == Reading(run_id="r1", model="m1", trial=True, started="2023-11-15")


def test_runs_models_and_trials_are_counted() -> None:
    told = RecordOfTests(lambda name: readings(Client(RUNS), "7", name)).reads("abc")
    assert told == {"runs": 4, "models": 2, "trials": 1, "first": "2023-11-14", "reason": None}
    assert reads_sentence(told) == (
        "According to the record of runs these test images have been read by 4 runs since 2023-11-14, this one "
        "included, 1 of them trials of studies; 2 different models were measured on them."
    )


@pytest.mark.parametrize(
    ("record", "test_set", "reason"),
    [
        (RecordOfTests(), "abc", "runs are not recorded, see tracking.yml"),
        (RecordOfTests(lambda _: None), "abc", "the record of runs could not be asked"),
        (RecordOfTests(), None, "the predictions do not name their images"),
    ],
)
def test_where_nobody_knows_the_reason_is_told(record: RecordOfTests, test_set: str | None, reason: str) -> None:
    told = record.reads(test_set)
    assert (told["runs"], told["reason"]) == (None, reason)
    assert reads_sentence(told) == f"How often these test images have been read before is not known ({reason})."


def test_the_first_reading_is_said() -> None:
    told = RecordOfTests(lambda _: [Reading(run_id="r", model="m", trial=False, started="2026-01-01")]).reads("abc")
    assert "read here for the first time" in reads_sentence(told)
    assert "is not known." in reads_sentence(None)


def test_what_is_measured_on_test_images_tags_its_run_at_once() -> None:
    about = {"about": {"test_set": "abc", "model": "m1"}}
    hook, client = Tracking(), Client([])
    hook.after_dataset_saved("finetuned_evaluation", about)
    hook.client, hook.run_id = client, "r1"
    hook.after_dataset_saved("finetuned_evaluation", about)
    hook.after_dataset_saved("comparison", {"test_set": "abc"})
    hook.after_dataset_saved("leakage", about)
    hook.after_dataset_saved("finetuned_evaluation", {"about": {"test_set": None}})
    assert client.tags == [("r1", "test_set", "abc"), ("r1", "tested_model", "m1"), ("r1", "test_set", "abc")]
    assert tags_of_test("val_table", about) == {}


def test_a_record_that_does_not_answer_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    hook = Tracking()
    hook.client = SimpleNamespace(search_runs=lambda *_, **__: (_ for _ in ()).throw(OSError("gone")))
    assert hook._readings("abc") is None
    assert "how often the test images were read" in caplog.text
