from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medical_transfer.config.images import Images
from medical_transfer.data.cache import build_image_cache
from medical_transfer.data.second_site import check_comparable, empty_audit, usable_classes
from medical_transfer.data.tables import text
from medical_transfer.types import AUDIT_COLUMNS, UserError


def audit_of(labels, status="ok", reason=None, split=None) -> pd.DataFrame:
    n = len(labels)
    columns = {"label": text(labels), "reason": text([reason] * n), "split": text(split or [None] * n)}
    return pd.DataFrame({**columns, "status": status})


def test_an_absent_site_has_the_columns_and_types_of_any_audit(tmp_path):
    for label in "ab":
        (tmp_path / "images" / label).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / "images" / label / "1.png")
    some = build_image_cache(Images(kind="folder", root=tmp_path / "images", size=16), tmp_path, tmp_path / "caches")
    empty = empty_audit(Images())
    assert len(empty) == 0
    assert empty.columns.tolist() == list(AUDIT_COLUMNS)
    empty.to_parquet(tmp_path / "empty.parquet", index=False)
    assert pd.read_parquet(tmp_path / "empty.parquet").dtypes.to_dict() == some.audit.dtypes.to_dict()


def test_classes_are_counted_over_usable_images_only():
    labels, splits = ["b", "a", "b", None, "c"], [None, "test", None, None, "excluded"]
    assert usable_classes(audit_of(labels, split=splits)) == {"a": 1, "b": 2}
    assert list(usable_classes(audit_of(labels))) == ["a", "b", "c"]
    assert usable_classes(audit_of(labels, status="quarantined")) == {}


@pytest.mark.parametrize(
    "audit",
    [
        audit_of(["a", "b"]),
        audit_of(["b", "b"]),
        audit_of([None, None]),
        audit_of(["a", None]),
        audit_of(["a", "z"], split=[None, "excluded"]),
    ],
    ids=["all classes", "one of them", "no labels", "some labels", "another class, dropped"],
)
def test_what_can_stand_beside_the_first_site(audit):
    check_comparable(audit, ["a", "b"])


@pytest.mark.parametrize(
    ("audit", "words"),
    [
        (
            audit_of(["a", "y", "x"]),
            r"classes \['x', 'y'\].*has \['a', 'b'\].*target_images\.classes, e\.g\. {x: a}",
        ),
        (audit_of([]), "None of the second site's 0 files is usable .no file found"),
        (audit_of(["a"] * 3, status="quarantined", reason="empty file"), "of the second site's 3 .* .3 x empty file"),
    ],
)
def test_what_cannot_is_refused(audit, words):
    with pytest.raises(UserError, match=words):
        check_comparable(audit, {"b": 3, "a": 4})
