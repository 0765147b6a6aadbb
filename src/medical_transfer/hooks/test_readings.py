"""Which runs have read a set of test images: tags that say so, and the question for them. Knows no mlflow by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from medical_transfer.datasets.record_of_tests import Reading

TESTED = ("_evaluation", "comparison")
"""Ends of the names of datasets that are measured on test images."""
TEST_SET, MODEL, PARENT = "test_set", "tested_model", "mlflow.parentRunId"
AT_ONCE = 1000


def tags_of_test(dataset_name: str, data: Any) -> dict[str, str]:
    """Tags of a run that has just saved a dataset: the test images that it measured, and the model."""
    if not dataset_name.endswith(TESTED) or not isinstance(data, dict):
        return {}
    about = data.get("about", data)
    told = {TEST_SET: about.get("test_set"), MODEL: about.get("model")}
    return {name: str(value) for name, value in told.items() if value is not None}


def readings(client: Any, experiment: str, test_set: str) -> list[Reading]:
    """All runs of an experiment that read these test images, asked of an MLflow client page by page."""
    found: list[Reading] = []
    token: str | None = None
    while token != "":
        asked = f"tags.{TEST_SET} = '{test_set}'"
        page = client.search_runs([experiment], asked, max_results=AT_ONCE, page_token=token)
        found += [_reading(run) for run in page]
        token = page.token or ""
    return found


def _reading(run: Any) -> Reading:
    started = datetime.fromtimestamp(run.info.start_time / 1000, UTC).strftime("%Y-%m-%d")
    tags = run.data.tags
    return Reading(run_id=run.info.run_id, model=tags.get(MODEL, ""), trial=PARENT in tags, started=started)
