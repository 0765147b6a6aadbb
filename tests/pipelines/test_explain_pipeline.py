"""`kedro run --pipeline=explain`: files and page of a small model, another model, and the same results again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mini_set import marks, run
from PIL import Image

from medical_transfer.data.cache import ImageCache
from medical_transfer.evaluation.predict import predict_manifest
from medical_transfer.hooks.guards import check_explained
from medical_transfer.models.card import TrainedModel
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.stage import MARK
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import UserError
from small_model import CLASSES, save_small_model
from toy import SIZE, pixels


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run_root as the main job leaves it, with the toy network as its model."""
    root = tmp_path_factory.mktemp("explained")
    images, labels_N = pixels(48, seed=3)
    for number, (picture, label) in enumerate(zip(images, labels_N, strict=True)):
        path = root / "images" / CLASSES[label] / f"p{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    run_root = run(root / "run", asked(root), "ingestion", "split")
    manifest = pd.read_parquet(run_root / "03_primary/manifest.parquet")
    pointer = run_root / "05_model_input/image_cache.json"
    cache = ImageCache(pointer.parent / read_json(pointer)["folder"])
    folder = run_root / "06_models/finetuned/small"
    save_small_model(folder, split_hash=split_hash(manifest))
    write_json(folder / MARK, {"files": {}})
    write_json(run_root / "06_models/finetuned.json", {"folder": "finetuned/small"})
    table = predict_manifest(TrainedModel(folder), manifest, cache)
    (run_root / "07_model_output").mkdir(exist_ok=True)
    table.to_parquet(run_root / "07_model_output/finetuned_predictions.parquet", index=False)
    return root


def asked(root: Path, **explain) -> dict:
    images = {"kind": "folder", "root": str(root / "images"), "size": SIZE}
    return {"images": images, "explain": explain}


def explain(root: Path, wanted: Sequence[str] = (), **given) -> Path:
    run(root / "run", asked(root, **given), "explain", first=["explain.choose_images"], wanted=wanted)
    return root / "run/08_reporting"


def test_maps_their_tests_and_the_page_and_nothing_twice(trained: Path) -> None:
    files = explain(trained)
    told, maps = read_json(files / "explanations.json"), pd.read_parquet(files / "explanation_maps.parquet")
    rows = pd.read_parquet(files / "explained_images.parquet")
    manifest = pd.read_parquet(trained / "run/03_primary/manifest.parquet").set_index("image_id")
    assert set(manifest.loc[rows["image_id"], "split"]) == {"test"}
    assert set(maps["method"]) == {"grad_cam", "occlusion"}
    assert maps.groupby("method")["image_id"].apply(list).to_dict() == {
        name: rows["image_id"].tolist() for name in ("grad_cam", "occlusion")
    }
    assert (maps["cells"].map(len) == maps["side"] ** 2).all()
    assert np.isfinite(np.concatenate(maps["cells"].tolist())).all()
    for facts in told["methods"].values():
        assert set(facts["sanity"]) == {"head", "whole"}
        assert facts["rivals"]["deletion"]["lead"]["random"]["n"] == told["about"]["measured"] == 4
    page = (files / "explanations.html").read_text(encoding="utf-8")
    assert page.count("<figure") == told["about"]["shown"] + 2
    assert "http" not in page.split("</style>")[1]
    assert all(sentence.split(":")[0] in page for sentence in told["sentences"])
    for name in ("examples", "sanity", "curves"):
        with Image.open(files / f"explanation_{name}.png") as drawn:
            assert drawn.width > 300
    before = marks(trained / "run")
    explain(trained, wanted=["explanations"])
    assert marks(trained / "run") == before


def test_another_model_of_the_same_split_and_none_of_another(trained: Path) -> None:
    manifest = pd.read_parquet(trained / "run/03_primary/manifest.parquet")
    save_small_model(trained / "same", split_hash=split_hash(manifest), temperature=1.0)
    files = explain(trained, ["explained_images"], model=str(trained / "same"))
    rows = pd.read_parquet(files / "explained_images.parquet").set_index("image_id")
    own = pd.read_parquet(trained / "run/07_model_output/finetuned_predictions.parquet").set_index("image_id")
    log_odds_of_own, log_odds = (np.log(p / (1 - p)) for p in (own.loc[rows.index, "p_sick"], rows["confidence"]))
    sign = np.where(rows["said"] == "sick", 1, -1)
    np.testing.assert_allclose(log_odds, 2 * sign * log_odds_of_own, rtol=1e-4)  # half the temperature
    save_small_model(trained / "other", split_hash="elsewhere")
    with pytest.raises(UserError, match="trained on another split"):
        explain(trained, ["explained_images"], model=str(trained / "other"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "nowhere"}, r"explain.model is nowhere, which holds no model \(model.json is missing\)"),
        ({"occlusion": {"patch": 17}}, r"explain.occlusion.patch is 17, but images are 16 px wide"),
        ({"occlusion": {"stride": 5}}, r"explain.occlusion.stride is 5, above the patch of 3 px"),
    ],
)
def test_what_cannot_be_is_refused_at_the_door(given: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_explained({"images": {"size": 16}, "explain": given})
