"""Shortcuts that were planted are found, and where there is none no alarm is raised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.images import Images
from medical_transfer.data.file_sizes import file_bytes
from medical_transfer.evaluation.giveaways import borders, giveaways
from medical_transfer.evaluation.shortcuts import shortcuts, shortcuts_of

CONFIG = Evaluation(resamples=200)
N = 200
LABELS = np.arange(N) % 2
GROUPS = np.arange(N) // 4


def rows(rng: np.random.Generator, **columns) -> pd.DataFrame:
    known = {
        "path": [f"f{k}.png" for k in range(N)],
        "width": rng.integers(200, 300, N),
        "height": rng.integers(200, 300, N),
        "mode": "L",
        "site": None,
    }
    return pd.DataFrame(known | columns)


def pixels(rng: np.random.Generator, size: int = 32) -> np.ndarray:
    return rng.integers(0, 256, (N, size, size, 3)).astype(np.uint8)


def found(frame: pd.DataFrame, pictures: np.ndarray, bytes_N=None, labels=LABELS) -> dict[str, bool]:
    bytes_N = np.full(N, np.nan) if bytes_N is None else bytes_N
    families = giveaways(frame, bytes_N, pictures, np.arange(N), CONFIG)
    return {each["family"]: each["alarm"] for each in shortcuts(families, labels, GROUPS, CONFIG, 0)["found"]}


def test_without_a_shortcut_there_is_no_alarm() -> None:
    rng = np.random.default_rng(0)
    frame = rows(rng, mode=rng.choice(["L", "RGB"], N), age=rng.normal(50, 9, N))
    told = found(frame, pixels(rng), rng.integers(9_000, 20_000, N).astype(float))
    assert told == dict.fromkeys(["size", "format", "compression", "border", "metadata", "together"], False)


PLANTED = {
    "size": {"width": 200 + 60 * LABELS},
    "format": {"mode": np.where(np.arange(N) % 16 < 2, "RGBA", np.where(LABELS, "RGB", "L"))},
    "metadata": {"age": 40 + 15 * LABELS},
}


@pytest.mark.parametrize("family", PLANTED)
def test_a_planted_shortcut_is_named(family: str) -> None:
    rng = np.random.default_rng(1)
    told = found(rows(rng, **PLANTED[family]), pixels(rng))
    assert told[family]
    assert sum(told.values()) == 1 + told.get("together", False)


def test_compression_and_border_are_seen() -> None:
    rng = np.random.default_rng(2)
    assert found(rows(rng), pixels(rng), 10_000.0 + 900 * LABELS + rng.normal(0, 500, N))["compression"]
    framed = pixels(rng)
    framed[LABELS == 1, :2] = 0  # a black line at the top of every positive image
    assert found(rows(rng), framed)["border"]


def test_a_patient_is_never_on_both_sides_of_a_fold() -> None:
    # Each patient has a size of their own, and the class hangs on the patient alone: nothing to learn for others.
    rng = np.random.default_rng(3)
    of_patient = rng.permutation(np.arange(N // 4) % 2)
    labels, width = of_patient[GROUPS], 200 + rng.permutation(N // 4)[GROUPS]
    assert not found(rows(rng, width=width, height=200), pixels(rng), labels=labels)["size"]


def test_the_interval_is_that_of_all_families_together() -> None:
    rng = np.random.default_rng(4)
    families = giveaways(rows(rng), np.full(N, np.nan), pixels(rng), np.arange(N), CONFIG)
    told = shortcuts(families, LABELS, GROUPS, CONFIG, 0)
    assert len(told["found"]) == 3  # size, border, together
    assert told["coverage"] == pytest.approx(1 - 0.05 / 3)


def test_nothing_to_try_and_too_few_groups_are_said() -> None:
    assert shortcuts({}, LABELS, GROUPS, CONFIG, 0)["reason"] == "nothing about the files differs"
    one_group = shortcuts({"size": np.random.default_rng(0).normal(size=(N, 1))}, LABELS, LABELS, CONFIG, 0)
    assert (one_group["found"], one_group["reason"]) == ([], "a class lies in fewer than two groups")


class Cache:
    """As much of an image cache as the check looks at."""

    pixels_NSS3 = pixels(np.random.default_rng(7))

    def slots(self, image_ids: pd.Series) -> np.ndarray:
        return image_ids.to_numpy(dtype=np.int64)


def test_test_images_are_not_looked_at() -> None:
    rng = np.random.default_rng(8)
    split = np.where(np.arange(N) < 120, np.where(np.arange(N) < 80, "train", "val"), "test")
    frame = rows(
        rng, image_id=np.arange(N), group_id=GROUPS, label=np.where(LABELS, "ill", "well"), status="ok", split=split
    )
    frame.loc[split == "test", "width"] = 900 + 900 * LABELS[split == "test"]  # a shortcut, and only there
    images = Images(kind="npz", root=Path("a.npz"))
    told = shortcuts_of(frame, Cache(), images, Path(), CONFIG, 0)["found"]
    assert {each["auroc"]["n"] for each in told} == {120}
    assert not any(each["alarm"] for each in told)


def test_three_classes_have_the_mean_of_each_against_the_rest() -> None:
    rng = np.random.default_rng(5)
    labels = np.arange(N) % 3
    told = shortcuts({"size": (labels == 2)[:, None] + rng.normal(0, 0.3, (N, 1))}, labels, GROUPS, CONFIG, 0)
    (size,) = told["found"]
    assert size["alarm"]
    assert 0.7 < size["auroc"]["estimate"] < 0.95


def test_borders_by_hand() -> None:
    picture = np.full((1, 40, 40, 3), 100, dtype=np.uint8)
    picture[:, :2] = 0  # the whole ring at the top: 2 of 40 rows
    top, bottom, left, right = borders(picture, np.array([0])).reshape(4, 3)
    assert top.tolist() == [0, 0, 1]
    assert bottom.tolist() == [100, 0, 0]
    assert left.tolist() == right.tolist()
    np.testing.assert_allclose(left, [95, np.sqrt(0.05 * 0.95) * 100, 0.05])


def test_missing_facts_are_facts_too() -> None:
    rng = np.random.default_rng(6)
    frame = rows(rng, width=np.where(LABELS, np.nan, 240), height=240)
    families = giveaways(frame, np.full(N, np.nan), pixels(rng), np.arange(N), CONFIG)
    assert np.isfinite(families["size"]).all()
    assert "compression" not in families


def test_file_sizes_are_those_of_the_disk(tmp_path: Path) -> None:
    Image.new("L", (30, 20), 7).save(tmp_path / "a.png")
    images = Images(kind="folder", root=tmp_path)
    sizes = file_bytes(images, tmp_path, ["a.png", "gone.png"])
    assert sizes[0] == (tmp_path / "a.png").stat().st_size
    assert np.isnan(sizes[1])
    assert np.isnan(file_bytes(Images(kind="npz", root=tmp_path / "a.npz"), tmp_path, ["0"])).all()
