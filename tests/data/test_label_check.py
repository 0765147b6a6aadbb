"""Labels that are several classes, or none for certain, are refused with what is supported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medical_transfer.config.images import Images
from medical_transfer.data.manifest import manifest_rows
from medical_transfer.data.readers import open_reader
from medical_transfer.data.tables import found_frame
from medical_transfer.types import UserError


def rows(*labels: str | None, **images):
    return manifest_rows(found_frame([f"{n}.png" for n in range(len(labels))], labels), Images(kind="none", **images))


@pytest.mark.parametrize("name", ["uncertain", "Unknown", "?", "equivocal"])
def test_uncertain_is_no_class(name: str) -> None:
    with pytest.raises(UserError, match=r"^2 images are labelled .*one certain class per image.*images\.classes"):
        rows("sick", name, "well", name)
    assert rows("sick", name, "well", classes={name: None})["label"].tolist()[::2] == ["sick", "well"]
    assert rows("sick", name, "well", classes={name: "sick"})["label"].tolist() == ["sick", "sick", "well"]


def test_minus_one_beside_zero_and_one_is_uncertain() -> None:
    with pytest.raises(UserError, match=r"^1 images are labelled '-1'"):
        rows("0", "1", "-1")
    assert rows("1", "-1")["label"].tolist() == ["1", "-1"]


@pytest.mark.parametrize("both", ["mass|effusion", "effusion, mass", "effusion;mass", "effusion / mass"])
def test_several_classes_in_one_cell_are_no_class(both: str) -> None:
    with pytest.raises(UserError, match=r"names 2 classes at once; supported is one certain class per image"):
        rows("effusion", "mass", both)


def test_a_comma_in_a_name_is_no_list() -> None:
    assert rows("pneumonia, viral", "none", "a/b")["label"].tolist() == ["pneumonia, viral", "none", "a/b"]


def test_a_table_of_findings_is_told_what_to_write(tmp_path: Path) -> None:
    table = {"path": ["a.png", "b.png"], "age": [50, 61], "Edema": [1.0, np.nan], "Mass": [-1, 0], "Nodule": ["", "1"]}
    pd.DataFrame(table).to_csv(tmp_path / "findings.csv", index=False)
    reader = open_reader(Images(kind="table", table=tmp_path / "findings.csv"), tmp_path)
    with pytest.raises(UserError, match=r"no column 'label', but 3 columns of one finding each \(Edema, Mass, Nodule"):
        reader.find()


def test_one_hot_and_multi_label_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "chest.npz", images=np.zeros((3, 8, 8), np.uint8), labels=np.ones((3, 14), int))
    reader = open_reader(Images(kind="npz", root=tmp_path / "chest.npz"), tmp_path)
    with pytest.raises(UserError, match="multi-label sets are not supported"):
        reader.find()
