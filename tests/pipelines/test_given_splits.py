"""Data that come with splits, and the other two ways to bring images: a table and an archive of arrays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mini_set import CLASSES, parameters, picture, run
from PIL import Image

from medical_transfer.types import UserError


def manifest(run_root: Path) -> pd.DataFrame:
    return pd.read_parquet(run_root / "03_primary/manifest.parquet")


def leakage(run_root: Path) -> dict:
    return json.loads((run_root / "03_primary/leakage.json").read_text(encoding="utf-8"))


@pytest.fixture
def divided(mini_set: Path, tmp_path: Path) -> Path:
    """Class folders below `train` and `test`; one shot of two patients stands on the other side."""
    for path in mini_set.glob("*/p?[01]*_*.png"):
        in_test = path.name[2] == "1" or path.name in ("p000_1.png", "p100_1.png")
        place = tmp_path / "images" / ("test" if in_test else "Train") / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return tmp_path / "images"


def test_given_test_images_stay_and_what_they_share_a_group_with_is_excluded(divided: Path, tmp_path: Path) -> None:
    root = run(tmp_path / "run", parameters(divided), "ingestion", "split")
    rows = manifest(root)
    in_test = rows["path"].str.startswith("test/")
    assert set(rows.loc[in_test, "split"]) == {"test"}
    shared = rows["path"].isin(["Train/across/p000_0.png", "Train/along/p100_0.png"])
    assert rows.loc[rows["split"] == "excluded", "path"].tolist() == rows.loc[shared, "path"].tolist()
    assert rows.loc[shared, "reason"].str.contains("given split train").all()
    assert set(rows.loc[~in_test & ~shared, "split"]) == {"train", "val"}
    told = leakage(root)
    assert (told["excluded"], told["passed_over"], told["given_splits"]) == (2, 0, True)
    used = rows[rows["split"] != "excluded"]
    assert used.groupby("group_id")["split"].nunique().max() == 1


def test_rows_that_a_limit_leaves_out_are_not_called_a_leak(mini_set: Path, tmp_path: Path) -> None:
    told = leakage(run(tmp_path, parameters(mini_set, images={"limit": 40}), "ingestion", "split"))
    assert (told["excluded"], told["passed_over"]) == (0, 67 - 40)


def test_a_pattern_that_knows_only_some_patients_is_told(mini_set: Path, tmp_path: Path) -> None:
    images = {"group_pattern": "p(0[0-9]+)_"}  # knows the 32 images of `across`, not the 32 of `along`
    told = leakage(run(tmp_path, parameters(mini_set, images=images), "ingestion", "split"))
    assert (told["images_with_given_group"], told["images_without_given_group"]) == (32, 32)


def test_strict_mode_stops_instead(divided: Path, tmp_path: Path) -> None:
    given = parameters(divided, split={"strict": True})
    example = r"Train/across/p000_0\.png in train and test/across/p000_1\.png in test"
    with pytest.raises(
        UserError, match=rf"2 groups stand in more than one given split.*{example}.*split\.strict=false"
    ):
        run(tmp_path / "run", given, "ingestion", "split")
    assert not (tmp_path / "run/03_primary/manifest.parquet").exists()


def test_a_class_that_a_given_split_lacks_is_known_before_training(divided: Path, tmp_path: Path) -> None:
    shutil.rmtree(divided / "test/along")
    with pytest.raises(UserError, match=r"\['along'\] have no image in split 'test' \(found {'across': [0-9]+}\)"):
        run(tmp_path / "run", parameters(divided), "ingestion", "split")


def test_a_report_on_given_groups_does_not_deny_them(divided: Path, tmp_path: Path) -> None:
    from medical_transfer.config.images import Images  # noqa: PLC0415
    from medical_transfer.pipelines.reporting.limits import limits_of  # noqa: PLC0415

    given = parameters(divided)
    known = leakage(run(tmp_path / "known", given, "ingestion", "split"))
    given["images"]["group_pattern"] = None
    unknown = leakage(run(tmp_path / "unknown", given, "ingestion", "split"))
    images = Images(kind="folder", root=divided)
    assert not any("no patient ids" in sentence for sentence in limits_of(images, known))
    assert any("no patient ids" in sentence for sentence in limits_of(images, unknown))


def test_table_keeps_its_columns_and_reports_both_kinds_of_gaps(mini_set: Path, tmp_path: Path) -> None:
    paths = sorted(path.relative_to(mini_set).as_posix() for path in mini_set.glob("*/p*.png"))
    table = pd.DataFrame({"path": [*paths[1:], "along/gone.png"], "age": range(40, 40 + len(paths))})
    table["label"] = table["path"].str.split("/").str[0]
    table["group"] = table["path"].str.extract(r"p(\d+)_")[0].fillna("gone")
    table["site"] = "Lyon"
    table.to_csv(tmp_path / "rows.csv", index=False)
    given = parameters(mini_set, images={"kind": "table", "table": str(tmp_path / "rows.csv"), "group_pattern": None})
    rows = manifest(run(tmp_path / "run", given, "ingestion", "split")).set_index("path")
    assert rows.columns[-1] == "age"
    assert rows.loc[paths[1:], "age"].tolist() == table["age"].tolist()[:-1]
    assert rows.loc["along/gone.png", ["status", "reason"]].tolist() == ["quarantined", "file not found"]
    assert rows.loc[paths[0], ["status", "reason"]].tolist() == ["quarantined", "no row in the table"]
    assert set(rows.loc[paths[1:], "site"]) == {"Lyon"}
    assert set(rows.loc[paths[1:], "split"]) == {"train", "val", "test"}


def test_npz_of_medmnist_keeps_its_splits(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    arrays = {}
    for split, count in (("train", 24), ("val", 8), ("test", 8)):
        labels = np.arange(count) % 2
        pictures = [Image.fromarray(picture(CLASSES[label], rng)).resize((28, 28)) for label in labels]
        arrays |= {f"{split}_images": np.stack([np.asarray(p) for p in pictures]), f"{split}_labels": labels[:, None]}
    np.savez(tmp_path / "mini.npz", **arrays)
    images = {"kind": "npz", "root": str(tmp_path / "mini.npz"), "group_pattern": None, "size": 32}
    rows = manifest(run(tmp_path / "run", parameters(tmp_path, images=images), "ingestion", "split"))
    assert len(rows) == 40
    assert (rows["status"] == "ok").all()
    assert rows.loc[rows["split"] == "test", "path"].str.contains("test").all()
    assert (rows["split"] == "test").sum() == 8
    assert set(rows["label"]) == {"0", "1"}
