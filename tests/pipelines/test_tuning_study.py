"""A search on the small set: it sees no test image, goes on after a kill, and says how to take what it chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from mini_set import parameters, predictions, run

from medical_transfer.runtime.files import read_json
from medical_transfer.studies import tuning

pytest.importorskip("optuna", reason="needs the extra `distributed`")

STUDY = "study_tuning"
OUTPUTS = "08_reporting/studies/tuning"
RATE = "training.finetune.head_learning_rate"
SPACE = {RATE: {"low": 1e-3, "high": 3e-2, "log": True}, "training.finetune.learning_rate": None, "model.freeze": None}


def given(mini_set: Path) -> dict[str, Any]:
    """A head that hardly learns, as the setting that a search should better; two more settings, one seed."""
    training = {"finetune": {"head_learning_rate": 1e-7, "head_epochs": 1}}
    study = {"space": SPACE, "trials": 3, "seeds": [1], "metric": "auroc"}
    return parameters(mini_set, training=training, model={"freeze": "all"}, study_tuning=study)


def table(root: Path) -> pd.DataFrame:
    return pd.read_parquet(root / OUTPUTS / "results.parquet")


def judged(root: Path) -> pd.DataFrame:
    found = table(root)
    return found[found["metric"].str.startswith("val_")].drop(columns=["trial_id", "seconds"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def whole(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("tuning"), given(mini_set), STUDY)


def test_settings_are_judged_on_validation_and_two_of_them_on_test(whole: Path) -> None:
    found = table(whole)
    aurocs = found[found["metric"].isin(["val_auroc", "auroc"])]
    assert aurocs[["method", "metric"]].to_numpy().tolist() == [
        ["default", "val_auroc"],
        ["tried", "val_auroc"],
        ["tried", "val_auroc"],
        ["default", "auroc"],
        ["chosen", "auroc"],
    ]
    validated = aurocs[aurocs["metric"] == "val_auroc"].set_index("setting")["value"]
    assert aurocs["setting"].iloc[-1] == validated.idxmax()
    own = validated.index[0]
    assert own == f"{RATE}=1.0e-07"
    assert validated[own] < validated.max()
    for root in (whole / "studies/tuning" / key for key in aurocs.loc[aurocs["metric"] == "val_auroc", "trial_id"]):
        told = read_json(root / "08_reporting/finetuned_evaluation.json")
        assert {row["n"] for row in told["test"].values()} == {0}
        assert set(predictions(root)["split"]) == {"train", "val", "excluded"}


def test_the_summary_says_what_to_write_down(whole: Path) -> None:
    text = (whole / OUTPUTS / "summary.md").read_text(encoding="utf-8")
    block = text.partition("```yaml\n")[2].partition("```")[0]
    chosen = table(whole).loc[lambda each: each["method"] == "chosen", "setting"].iloc[0]
    rate = yaml.safe_load(block)["training"]["finetune"]["head_learning_rate"]
    assert f"{RATE}={rate}" == chosen
    assert "with too few seeds (1) to say more" in text
    assert (whole / OUTPUTS / "search.png").stat().st_size > 10_000


class Killed(BaseException):
    """Nothing handles it."""


def test_wrong_test_labels_and_a_kill_change_no_choice(
    whole: Path, mini_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medical_transfer.training import produce  # noqa: PLC0415 - brings torch

    inner_images, inner_fit = tuning.images_of, produce.fit
    folders: list[Path] = []

    def poisoned(*arguments: Any) -> dict[int, dict[str, Any]]:
        handed = inner_images(*arguments)
        for each in handed.values():
            manifest = each["manifest"]
            tests = manifest["split"] == "test"
            manifest.loc[tests, "label"] = manifest.loc[tests, "label"].map({"across": "along", "along": "across"})
        return handed

    def counted(*arguments: Any, **options: Any) -> pd.DataFrame:
        folders.append(options["folder"])
        if len(folders) == 3:
            raise Killed
        return inner_fit(*arguments, **options)

    monkeypatch.setattr(tuning, "images_of", poisoned)
    monkeypatch.setattr(produce, "fit", counted)
    with pytest.raises(Killed):
        run(tmp_path, given(mini_set), STUDY)
    run(tmp_path, given(mini_set), STUDY)
    assert len(folders) == 3 + 3, "the one that was cut off, and the two that are tested"
    pd.testing.assert_frame_equal(judged(tmp_path), judged(whole), check_exact=True)
    tested, truly = (each[each["metric"] == "auroc"] for each in (table(tmp_path), table(whole)))
    assert tested["setting"].tolist() == truly["setting"].tolist()
    swapped = (1 - truly["value"]).tolist()
    assert tested["value"].tolist() == pytest.approx(swapped), "labels were poisoned indeed"
