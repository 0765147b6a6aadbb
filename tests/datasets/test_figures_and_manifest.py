from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from kedro.validation.exceptions import DataValidationError
from matplotlib.figure import Figure
from PIL import Image

from medical_transfer.datasets.figure import FigureDataset
from medical_transfer.datasets.manifest import ManifestValidator, TargetManifestValidator
from medical_transfer.types import AUDIT_COLUMNS


def manifest(splits: list[str], groups: list[str | None]) -> pd.DataFrame:
    frame = pd.DataFrame({name: ["x"] * len(splits) for name in AUDIT_COLUMNS})
    return frame.assign(split=splits, group_id=groups, status="ok", path=[f"{i}.png" for i in range(len(splits))])


def test_a_figure_is_read_as_the_picture_that_was_saved(tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1))
    figure.subplots().set_title("图 ?")  # a sign that the font lacks must not stop a run
    dataset = FigureDataset(filepath=str(tmp_path / "new/figure.png"))
    dataset.save(figure)
    picture = Image.open(BytesIO(dataset.load()))
    assert picture.format == "PNG"
    assert picture.width > picture.height
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["figure.png"]


def test_manifest_without_a_leak_passes_unchanged() -> None:
    frame = manifest(["train", "val", "test", "excluded"], ["a", "b", "c", "a"])
    pd.testing.assert_frame_equal(ManifestValidator().validate(frame.copy()), frame)


def test_manifest_with_a_group_in_two_splits_is_refused() -> None:
    with pytest.raises(DataValidationError, match=r"1 groups stand in more than one split .*0\.png.*1\.png"):
        ManifestValidator().validate(manifest(["train", "test"], ["a", "a"]))


def test_manifest_without_a_column_is_refused() -> None:
    frame = manifest(["train"], ["a"]).drop(columns=["reason", "phash"])
    with pytest.raises(DataValidationError, match="lacks the columns phash, reason"):
        ManifestValidator().validate(frame)


def test_a_manifest_without_rows_is_right_only_for_a_second_site() -> None:
    empty = manifest([], [])
    pd.testing.assert_frame_equal(TargetManifestValidator().validate(empty.copy()), empty)
    with pytest.raises(DataValidationError, match="has no rows"):
        ManifestValidator().validate(empty)


def test_a_second_site_has_its_columns_and_no_leak_either() -> None:
    with pytest.raises(DataValidationError, match="lacks the columns phash"):
        TargetManifestValidator().validate(manifest([], []).drop(columns=["phash"]))
    with pytest.raises(DataValidationError, match="1 groups stand in more than one split"):
        TargetManifestValidator().validate(manifest(["train", "test"], ["a", "a"]))
