"""`medical_distillation` on a mini set: a student in every form, measured side by side, and files that work alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from mini_set import marks, parameters, predictions, run
from sklearn.metrics import roc_auc_score

from medical_transfer.types import UserError

TASK = "medical_distillation"
MODELS = ["teacher", "student_alone", "distilled", "onnx", "int8"]


def facts(root: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"{name}.json").read_text(encoding="utf-8"))
    return found


def table(root: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(root / f"07_model_output/{name}_predictions.parquet")


@pytest.fixture(scope="module")
def given(mini_set: Path) -> dict[str, Any]:
    return parameters(mini_set, augmentation={"policy": "chapter"})


@pytest.fixture(scope="module")
def distilled(given: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("distilled"), given, TASK)


def test_both_students_and_the_teacher_are_what_the_page_says(distilled: Path) -> None:
    teacher = facts(distilled, "06_models/finetuned")["folder"]
    student, alone = (facts(distilled, f"06_models/{name}")["folder"] for name in ("distilled", "student_alone"))
    cards = {name: facts(distilled, f"06_models/{name}/model") for name in (teacher, student, alone)}
    assert [cards[each]["kind"] for each in (teacher, student, alone)] == ["finetune", "distill", "finetune"]
    assert Path(student).parent == Path(alone).parent == Path("distilled")
    assert cards[student]["architecture"] == cards[alone]["architecture"] == "first2/timm/tf_efficientnet_lite0"
    assert len({card["split_hash"] for card in cards.values()}) == 1
    assert cards[student]["sha256"] != cards[alone]["sha256"]


def test_one_table_holds_all_five_with_intervals(distilled: Path) -> None:
    told = facts(distilled, "08_reporting/distilled_evaluation")
    assert set(told["models"]) == set(MODELS)
    by_graph = table(distilled, "exported")
    tables = {"teacher": predictions(distilled), "student_alone": table(distilled, "student_alone")}
    tables["distilled"] = table(distilled, "distilled")
    tables |= {engine: by_graph[by_graph["engine"] == engine] for engine in ("onnx", "int8")}
    for name, rows in tables.items():
        test = rows[(rows["split"] == "test") & rows["p_along"].notna()]
        found = told["models"][name]["test"]
        assert found["auroc"]["estimate"] == pytest.approx(roc_auc_score(test["label"] == "along", test["p_along"]))
        assert found["auroc"]["n"] == len(test)
        for metric in ("auroc", "sensitivity", "specificity", "balanced_accuracy", "ece"):
            assert found[metric]["low"] <= found[metric]["estimate"] <= found[metric]["high"]
    assert told["test"] == told["models"]["distilled"]["test"]


def test_differences_are_paired_and_add_up(distilled: Path) -> None:
    told = facts(distilled, "08_reporting/distilled_evaluation")
    at = {name: told["models"][name]["test"]["auroc"]["estimate"] for name in MODELS}
    for name, found in told["to_teacher"].items():
        assert found["metrics"]["auroc"]["estimate"] == pytest.approx(at[name] - at["teacher"])
        assert found["delong"]["estimate"] == pytest.approx(at[name] - at["teacher"])
    assert told["to_alone"]["metrics"]["auroc"]["estimate"] == pytest.approx(at["distilled"] - at["student_alone"])
    lead = at["teacher"] - at["student_alone"]
    expected = pytest.approx((at["distilled"] - at["student_alone"]) / lead) if lead > 0 else None
    assert told["gap_closed"]["auroc"] == expected
    assert told["minority"]["recall"] in {"sensitivity", "specificity"}


def test_the_graph_agrees_with_torch_and_says_by_how_much(distilled: Path) -> None:
    export = facts(distilled, "08_reporting/distilled_evaluation")["export"]
    assert export["torch_and_onnx"]["largest"] < 1e-4
    assert export["torch_and_onnx"]["disagreement"] == 0
    by_torch, by_graph = table(distilled, "distilled"), table(distilled, "exported")
    by_graph = by_graph[(by_graph["engine"] == "onnx") & by_graph["p_along"].notna()]
    by_torch = by_torch.set_index("image_id").loc[by_graph["image_id"]]
    assert set(by_graph["split"]) == {"val", "test"}
    np.testing.assert_allclose(by_graph["p_along"], by_torch["p_along"], atol=1e-4)
    assert (by_graph["decision"].to_numpy() == by_torch["decision"].to_numpy()).all()


def test_the_files_can_be_used_alone(distilled: Path) -> None:
    folder = distilled / "06_models" / facts(distilled, "06_models/exported")["folder"]
    card = facts(distilled, f"06_models/{facts(distilled, '06_models/distilled')['folder']}/model")
    sizes = {}
    for name, precision in (("model", "float32"), ("model_int8", "int8")):
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"))
        texts = session.get_modelmeta().custom_metadata_map
        told = {key: json.loads(texts[key]) for key in ("precision", "classes", "threshold")}
        assert told["precision"] == precision
        assert (told["classes"], told["threshold"]) == (card["classes"], card["threshold"])
        (found,) = session.run(None, {"pixels": np.zeros((3, 64, 64, 3), np.uint8)})
        assert found.shape == (3, 2)
        sizes[precision] = (folder / f"{name}.onnx").stat().st_size
    costs = facts(distilled, "08_reporting/distilled_costs")["models"]
    assert (costs["onnx"]["bytes"], costs["int8"]["bytes"]) == (sizes["float32"], sizes["int8"])


def test_costs_are_those_of_the_networks(distilled: Path) -> None:
    costs = facts(distilled, "08_reporting/distilled_costs")["models"]
    assert set(costs) == {"teacher", "distilled", "onnx", "int8"}
    assert costs["teacher"]["parameters"] > 8 * costs["distilled"]["parameters"]
    assert costs["teacher"]["macs"] > costs["distilled"]["macs"] > 0
    assert costs["onnx"]["parameters"] == costs["distilled"]["parameters"]
    assert costs["teacher"]["views"] == 2  # the image and its mirror image
    for cost in costs.values():
        assert [row["batch"] for row in cost["latency"]] == [1, 32]
        for row in cost["latency"]:
            assert 0 < row["low_s"] <= row["median_s"] <= row["high_s"]
            assert row["images_per_s"] == pytest.approx(row["batch"] / row["median_s"])


def test_the_page_and_the_figure_are_there(distilled: Path) -> None:
    page = (distilled / "08_reporting/distilled_report.html").read_text(encoding="utf-8")
    for words in ("times fewer", "validation images", "sha256", "Share of the teacher", "distilled, int8"):
        assert words in page, words
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert (distilled / "08_reporting/distilled_students.png").stat().st_size > 1000


def test_a_second_run_computes_nothing_again_and_a_tampered_graph_is_refused(
    distilled: Path, given: dict[str, Any]
) -> None:
    before = marks(distilled / "06_models")
    folder = distilled / "06_models" / facts(distilled, "06_models/exported")["folder"]
    kept = (folder / "model.onnx").read_bytes()
    changed = bytearray(kept)
    changed[len(changed) // 2] ^= 1
    (folder / "model.onnx").write_bytes(changed)
    try:
        with pytest.raises(UserError, match=r"model\.onnx is missing or was changed since it was exported"):
            run(distilled, given, TASK)
    finally:
        (folder / "model.onnx").write_bytes(kept)
    assert marks(distilled / "06_models") == before


def test_a_tampered_teacher_does_not_teach(distilled: Path, given: dict[str, Any]) -> None:
    weights = distilled / "06_models" / facts(distilled, "06_models/finetuned")["folder"] / "model.safetensors"
    kept = weights.read_bytes()
    changed = bytearray(kept)
    changed[-1] ^= 1
    weights.write_bytes(changed)
    try:
        with pytest.raises(UserError, match=r"model\.safetensors has another sha256 than model\.json says"):
            run(distilled, given, TASK)
    finally:
        weights.write_bytes(kept)


def test_an_unknown_student_is_refused_before_any_work(mini_set: Path, tmp_path: Path) -> None:
    wrong = parameters(mini_set, medical_distillation={"student": "first2/efficientnet_lite9"})
    with pytest.raises(UserError, match="Unknown source 'efficientnet_lite9'"):
        run(tmp_path / "run", wrong, TASK)
    graph = {"own": {"mine": {"path": "x.onnx", "architecture": "onnx"}}}
    wrong = parameters(mini_set, medical_distillation={"student": "mine"}, backbones=graph)
    with pytest.raises(UserError, match=r"student is 'mine', which exists only as a graph"):
        run(tmp_path / "run", wrong, TASK)
    assert not list((tmp_path / "run").rglob("*.parquet"))
