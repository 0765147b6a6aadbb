"""`kedro run --pipeline=drift`: its file and its page, and the same draw again."""

from __future__ import annotations

from pathlib import Path

from mini_set import marks, run

from medical_transfer.runtime.files import read_json
from small_model import save_small_model, write_pictures


def test_a_batch_is_held_against_the_model(tmp_path: Path) -> None:
    save_small_model(tmp_path / "model")
    write_pictures(tmp_path / "new", 14)
    asked = {"images": str(tmp_path / "new"), "model": str(tmp_path / "model"), "max_images": 10}
    run(tmp_path / "run", {"drift": asked}, "drift")
    told = read_json(tmp_path / "run/08_reporting/drift.json")
    assert told["images"] == 10
    page = (tmp_path / "run/08_reporting/drift_report.html").read_text(encoding="utf-8")
    assert told["sentences"][0].split(":")[0] in page
    before = marks(tmp_path / "run")
    run(tmp_path / "run", {"drift": asked}, "drift")
    assert marks(tmp_path / "run") == before
