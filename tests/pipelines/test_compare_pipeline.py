"""`kedro run --pipeline=compare`: a model of the catalog beside other predictions of the same test images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mini_set import predictions, run
from sklearn.metrics import roc_auc_score

from medical_transfer.evaluation.kept import find_kept
from medical_transfer.evaluation.sides import open_side
from medical_transfer.models.card import read_card
from medical_transfer.types import UserError


def model_of(run_root: Path) -> Path:
    pointer = run_root / "06_models/finetuned.json"
    return pointer.parent / json.loads(pointer.read_text(encoding="utf-8"))["folder"]


@pytest.fixture(scope="module")
def guessed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions of the same images by chance."""
    table = predictions(finished)
    used = table["p_along"].notna()
    table.loc[used, "p_along"] = np.random.default_rng(0).uniform(size=int(used.sum()))
    table["p_across"] = 1 - table["p_along"]
    called = np.where(table["p_along"] >= 0.5, "along", "across")
    table["decision"] = pd.array(np.where(used, called, None), dtype="string")
    place = tmp_path_factory.mktemp("guessed") / "guessed.parquet"
    table.to_parquet(place, index=False)
    return place


def test_a_model_beside_a_table(finished: Path, guessed: Path, tmp_path: Path) -> None:
    given = {"compare": {"a": str(guessed), "b": str(model_of(finished))}, "evaluation": {"resamples": 200}}
    run(tmp_path, given, "compare")
    found = json.loads((tmp_path / "08_reporting/comparison.json").read_text(encoding="utf-8"))
    rows = [each[each["split"] == "test"] for each in (pd.read_parquet(guessed), predictions(finished))]
    a, b = (roc_auc_score(each["label"] == "along", each["p_along"]) for each in rows)
    assert found["metrics"]["auroc"]["difference"]["estimate"] == pytest.approx(b - a)
    assert found["delong"]["estimate"] == pytest.approx(b - a)
    assert (found["positive"], found["images"]) == ("along", len(rows[0]))
    page = (tmp_path / "08_reporting/comparison.html").read_text(encoding="utf-8")
    assert "finetune of random" in page
    assert "predictions guessed" in page
    assert f"{b:.3f} of b against {a:.3f} of a" in page
    assert str(finished) not in page


def test_a_model_is_found_by_its_folder_or_the_pointer_to_it(finished: Path, tmp_path: Path) -> None:
    by_pointer = open_side("a", finished / "06_models/finetuned.json", tmp_path)
    by_folder = open_side("a", model_of(finished), tmp_path)
    pd.testing.assert_frame_equal(by_pointer.table, by_folder.table)
    pd.testing.assert_frame_equal(by_folder.table, predictions(finished))


def test_predictions_of_another_model_are_not_taken(finished: Path, tmp_path: Path) -> None:
    card = read_card(model_of(finished))
    other = card.model_copy(update={"card_sha256": "another"})
    assert find_kept(model_of(finished), other, finished / "07_model_output") is None
    assert find_kept(tmp_path / "elsewhere", card, finished / "07_model_output") is not None


def test_another_split_is_refused(finished: Path, guessed: Path, tmp_path: Path) -> None:
    table = pd.read_parquet(guessed)
    table.loc[table["split"] == "test", "split"] = "val"
    table.to_parquet(tmp_path / "moved.parquet", index=False)
    given = {"compare": {"a": str(tmp_path / "moved.parquet"), "b": str(model_of(finished))}}
    with pytest.raises(UserError, match="different splits"):
        run(tmp_path, given, "compare")


@pytest.mark.parametrize(
    ("a", "sentence"),
    [
        (None, r"compare.a is not set: name a folder of a model"),
        ("nowhere", r"compare.a is nowhere, which does not exist"),
        ("docs", r"a folder without model.json"),
        ("README.md", r"compare.a is README.md: expected a folder"),
        ("docs/benchmarks/audit.json", r"points to no model"),
    ],
)
def test_what_is_not_there_is_said_before_the_first_node(a: str | None, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        run(tmp_path, {"compare": {"a": a, "b": "docs"}}, "compare")
    assert not (tmp_path / "08_reporting").exists()


def test_tables_that_are_none_are_refused(guessed: Path, tmp_path: Path) -> None:
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"no columns p_<class>"):
        open_side("b", tmp_path / "x.parquet", tmp_path)
    (tmp_path / "y.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        open_side("b", tmp_path / "y.parquet", tmp_path)
    renamed = pd.read_parquet(guessed).rename(columns={"p_along": "p_up"})
    renamed.to_parquet(tmp_path / "z.parquet")
    with pytest.raises(UserError, match="only models of the same classes"):
        run(tmp_path, {"compare": {"a": str(guessed), "b": str(tmp_path / "z.parquet")}}, "compare")
