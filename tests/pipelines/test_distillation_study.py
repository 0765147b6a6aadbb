"""The study of distillation on the small set: its table, and that a finished trial and teacher are not repeated."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from mini_set import parameters, run

STUDY = "study_distillation"
OUTPUTS = "08_reporting/studies/distillation"


@pytest.fixture(scope="module")
def whole(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a study of a teacher and three students."""
    return run(tmp_path_factory.mktemp("distillation"), parameters(mini_set), STUDY)


def table(root: Path) -> pd.DataFrame:
    return pd.read_parquet(root / OUTPUTS / "results.parquet")


def test_the_table_has_teachers_controls_and_students_on_both_splits(whole: Path) -> None:
    found = table(whole)
    assert set(zip(found["method"], found["setting"], found["seed"], strict=True)) == {
        (method, setting, seed)
        for seed in (0,)
        for method, setting in [
            ("teacher", "labels"),
            ("alone", "w=0"),
            ("distilled", "T=1, w=0.5"),
            ("distilled", "T=5, w=0.5"),
        ]
    }
    for _, trial in found.groupby("trial_id"):
        assert {"auroc", "ece", "minority_recall", "val_auroc", "trainable_parameters"} <= set(trial["metric"])
    parameters_of = found[found["metric"] == "trainable_parameters"].groupby("method")["value"].unique()
    assert (
        parameters_of["alone"].tolist() == parameters_of["distilled"].tolist() == [896 + 18496 + 4096 * 128 + 128 + 258]
    )


def test_students_differ_and_are_compared_on_the_same_images(whole: Path) -> None:
    found = table(whole)
    errors = found[(found["metric"] == "val_brier") & (found["method"] != "teacher")]["value"]
    assert len(errors) == len(set(errors)) == 3
    assert found.loc[found["metric"] == "auroc", "n"].eq(found["n"].max()).all()


def test_the_page_and_the_figure_are_there(whole: Path) -> None:
    text = (whole / OUTPUTS / "summary.md").read_text(encoding="utf-8")
    assert "| alone |" in text
    assert "`kedro run --pipeline=study_distillation`" in text
    assert (whole / OUTPUTS / "heat_maps.png").stat().st_size > 10_000


def test_a_second_run_trains_nothing(whole: Path, mini_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medical_transfer.training import produce  # noqa: PLC0415 - brings torch

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    before = table(whole)
    monkeypatch.setattr(produce, "fit", refuse)
    run(whole, parameters(mini_set), STUDY)
    pd.testing.assert_frame_equal(table(whole).drop(columns="seconds"), before.drop(columns="seconds"))
