"""The main job on a small set: every promised file is there and holds what DESIGN promises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mini_set import BAD_FILES, CLASSES, parameters, predictions, run
from safetensors.numpy import load_file
from sklearn.metrics import roc_auc_score

from medical_transfer.types import AUDIT_COLUMNS

FIGURES = [
    "augmentation_sheet",
    "confusion_matrices",
    "near_duplicate_pairs",
    "precision_recall_curve",
    "reliability_diagram",
    "roc_curve",
    "source_ranking",
    "split_counts",
    "training_curves",
    "worst_errors",
]
METRICS = {"auroc", "auprc", "accuracy", "balanced_accuracy", "mcc", "brier", "ece"}


def read(run_root: Path, name: str) -> dict:
    return json.loads((run_root / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def audit(finished: Path) -> pd.DataFrame:
    return pd.read_parquet(finished / "02_intermediate/audit.parquet")


@pytest.fixture(scope="module")
def manifest(finished: Path) -> pd.DataFrame:
    return pd.read_parquet(finished / "03_primary/manifest.parquet")


@pytest.fixture(scope="module")
def model(finished: Path) -> Path:
    pointer = finished / "06_models/finetuned.json"
    return pointer.parent / json.loads(pointer.read_text(encoding="utf-8"))["folder"]


def test_every_file_found_is_a_row_of_audit_and_manifest(
    audit: pd.DataFrame, manifest: pd.DataFrame, mini_set: Path
) -> None:
    files = sorted(path.relative_to(mini_set).as_posix() for path in mini_set.rglob("*") if path.is_file())
    assert sorted(audit["path"]) == files
    assert manifest["image_id"].tolist() == audit["image_id"].tolist()
    assert tuple(audit.columns) == tuple(manifest.columns) == AUDIT_COLUMNS


def test_bad_files_keep_their_reason_and_are_in_no_split(manifest: pd.DataFrame) -> None:
    bad = manifest[manifest["status"] == "quarantined"]
    assert sorted(Path(path).name for path in bad["path"]) == sorted(BAD_FILES)
    assert bad["reason"].str.len().gt(0).all()
    assert set(bad["split"]) == {"excluded"}


def test_no_group_stands_in_two_splits_and_each_class_in_all(manifest: pd.DataFrame) -> None:
    used = manifest[manifest["split"] != "excluded"]
    assert len(used) == len(manifest) - len(BAD_FILES)
    assert used.groupby("group_id")["split"].nunique().max() == 1
    assert set(zip(used["split"], used["label"], strict=True)) == {
        (split, label) for split in ("train", "val", "test") for label in CLASSES
    }


@pytest.mark.parametrize("label", CLASSES)
def test_shots_of_a_patient_and_their_copies_are_one_group(manifest: pd.DataFrame, label: str) -> None:
    number = CLASSES.index(label)
    groups = manifest.set_index(manifest["path"].str.extract(r"p(\d+)_")[0])["group_id"]
    copied, another = (set(groups[names]) for names in ([f"{number}00", f"{number}90", f"{number}91"], [f"{number}07"]))
    assert len(groups[f"{number}07"]) == 2
    assert (len(copied), len(another), len(copied | another)) == (1, 1, 2)


def test_leakage_report_counts_the_mirrored_copies(finished: Path, manifest: pd.DataFrame) -> None:
    leakage = read(finished, "03_primary/leakage.json")
    assert leakage["images"] == len(manifest)
    assert leakage["quarantined"] == len(BAD_FILES)
    assert leakage["pairs"]["mirrored_kept_together"] >= 2
    assert sum(split["images"] for split in leakage["splits"].values()) == len(manifest) - len(BAD_FILES)


def test_model_folder_holds_tensors_and_a_complete_card(model: Path, finished: Path) -> None:
    card = json.loads((model / "model.json").read_text(encoding="utf-8"))
    assert card["kind"] == "finetune"
    assert card["classes"] == sorted(CLASSES)
    assert card["positive_class"] == "along"
    assert 0 <= card["threshold"] <= 1
    assert card["temperature"] > 0
    assert card["split_hash"] == read(finished, "03_primary/leakage.json")["split_hash"]
    for promised in (
        "architecture",
        "preprocessing",
        "data_fingerprint",
        "data_licence",
        "weights_licence",
        "versions",
    ):
        assert card[promised]
    assert all(np.isfinite(tensor).all() for tensor in load_file(model / "model.safetensors").values())
    assert model.parent == finished / "06_models/finetuned"


def test_nothing_of_the_training_is_left_beside_the_model(model: Path) -> None:
    assert {path.name for path in model.iterdir()} == {
        "complete.json",
        "history.json",
        "model.json",
        "model.safetensors",
        "reference.safetensors",
    }


def test_predictions_are_probabilities_and_decisions_of_all_used_rows(
    finished: Path, manifest: pd.DataFrame, model: Path
) -> None:
    table, card = predictions(finished), json.loads((model / "model.json").read_text(encoding="utf-8"))
    assert table.columns.tolist() == [
        "image_id",
        "path",
        "group_id",
        "site",
        "split",
        "label",
        "predicted",
        *(f"p_{name}" for name in CLASSES),
        "decision",
    ]
    assert table["image_id"].tolist() == manifest["image_id"].tolist()
    used = (manifest["split"] != "excluded").to_numpy()
    probabilities_NC = table.loc[used, ["p_across", "p_along"]].to_numpy()
    np.testing.assert_allclose(probabilities_NC.sum(axis=1), 1, atol=1e-9)
    decided = np.where(probabilities_NC[:, 1] >= card["threshold"], "along", "across")
    assert table.loc[used, "decision"].tolist() == decided.tolist()
    assert table.loc[~used, ["predicted", "p_across", "p_along", "decision"]].isna().all(axis=None)


def test_evaluation_has_each_metric_with_its_interval(finished: Path) -> None:
    evaluation, table = read(finished, "08_reporting/finetuned_evaluation.json"), predictions(finished)
    for split in ("val", "test"):
        rows = table[table["split"] == split]
        assert set(evaluation[split]) >= METRICS
        for row in evaluation[split].values():
            assert set(row) == {"estimate", "low", "high", "n", "groups"}
        auroc = evaluation[split]["auroc"]
        assert auroc["estimate"] == pytest.approx(roc_auc_score(rows["label"] == "along", rows["p_along"]))
        assert auroc["n"] == len(rows)
        assert auroc["groups"] == rows["group_id"].nunique()


def test_transferability_has_value_seconds_and_rank_of_each_source(finished: Path) -> None:
    scored = read(finished, "08_reporting/transferability.json")
    assert [source["name"] for source in scored["sources"]] == ["random"]
    for score in scored["sources"][0]["scores"].values():
        assert set(score) == {"value", "seconds", "reason"}
        assert (score["value"] is None) == (score["reason"] is not None)
    assert scored["ranking"]["linear_probe"] == ["random"]
    assert scored["chosen"] == "random"
    assert scored["images"] == int((predictions(finished)["split"] == "train").sum())


def test_history_has_the_epochs_of_both_phases(finished: Path) -> None:
    history = pd.read_parquet(finished / "08_reporting/finetuned_history.parquet")
    assert history["phase"].value_counts().to_dict() == {"head": 2, "trunk": 1}
    assert np.isfinite(history[["train_loss", "val_loss", "lr"]]).all(axis=None)


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_are_pictures(finished: Path, figure: str) -> None:
    assert (finished / f"08_reporting/{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_report_is_one_file_that_needs_nothing_else(finished: Path) -> None:
    page = (finished / "08_reporting/report.html").read_text(encoding="utf-8")
    outside = [link for link in re.findall(r'(?:src|href)="([^"]*)"', page) if not link.startswith(("data:", "#"))]
    assert outside == []
    assert not re.search(r"<script[^>]*src|@import|url\((?!['\"]?data:)", page)
    assert page.count("data:image/png;base64,") == len(FIGURES)
    assert "Not a medical device" in page


def test_report_names_what_was_quarantined(finished: Path) -> None:
    page = (finished / "08_reporting/report.html").read_text(encoding="utf-8")
    assert all(name in page for name in BAD_FILES)


def test_without_a_second_site_its_tables_have_columns_and_no_rows(finished: Path, manifest: pd.DataFrame) -> None:
    target = pd.read_parquet(finished / "03_primary/target_manifest.parquet")
    assert len(target) == 0
    assert target.dtypes.to_dict() == manifest.dtypes.to_dict()
    assert pd.read_parquet(finished / "02_intermediate/target_audit.parquet").columns.tolist() == list(AUDIT_COLUMNS)
    assert read(finished, "05_model_input/target_image_cache.json") == {"folder": None}
    assert read(finished, "03_primary/target_leakage.json")["images"] == 0
    assert read(finished, "03_primary/across_sites.json")["searched"] is False


def test_timing_has_every_stage(finished: Path) -> None:
    timing = read(finished, "08_reporting/timing.json")
    assert set(timing) == {
        "ingestion",
        "split",
        "augmentation",
        "transferability",
        "model_building",
        "training",
        "evaluation",
        "evidence",
        "reporting",
    }
    assert all(row["seconds"] >= 0 < row["peak_mb"] for row in timing.values())


def test_an_untrained_network_that_nobody_asked_for_is_a_warning(
    mini_set: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path, parameters(mini_set), "ingestion", "split", "transferability")
    assert "An untrained network is built, so nothing is transferred" in caplog.text
