from __future__ import annotations

import hashlib
import tarfile

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.config.images import Images
from medical_transfer.data.manifest import check_trainable, groups_from_names, image_ids, manifest_rows
from medical_transfer.data.tables import found_frame, text
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import FOUND_COLUMNS, UserError

SLICES = PROJECT.parent / "shared/data/covid_ct_sarscov2_224.tar"


def listed(values) -> list:
    return [None if pd.isna(value) else value for value in values]


def rows_of(labels: list[str | None], images: Images, **options) -> pd.DataFrame:
    return manifest_rows(found_frame([f"f{i}.png" for i in range(len(labels))], labels), images, **options)


def test_classes_are_renamed_or_dropped_and_the_rest_kept():
    images = Images(classes={"yes": "tumour", "no": "healthy", "other": None})
    rows = rows_of(["yes", "no", "other", "rare"], images)
    assert listed(rows["label"]) == ["tumour", "healthy", None, "rare"]
    assert listed(rows["split"]) == [None, None, "excluded", None]
    assert listed(rows["reason"]) == [None, None, "class 'other' is dropped by images.classes", None]
    assert listed(rows["status"]) == ["ok"] * 4


def test_a_class_that_was_not_found_is_refused_with_those_that_were():
    with pytest.raises(UserError, match=r"\['tumor'\].*Found classes: \['no', 'yes'\]"):
        rows_of(["yes", "no"], Images(classes={"tumor": "t"}))
    assert rows_of([None, None], Images(classes={"tumor": "t"}), need_labels=False)["status"].tolist() == ["ok"] * 2


def test_missing_labels_matter_only_where_they_are_needed():
    assert listed(rows_of(["a", None], Images())["reason"]) == [None, "no label"]
    assert listed(rows_of(["a", None], Images(), need_labels=False)["reason"]) == [None, None]


def test_the_table_s_group_and_site_win():
    found = found_frame(["person1_a.png", "person2_b.png", "x.png"])
    found["group_id"] = text(["g", None, None])
    found["site"] = text(["north", None, None])
    rows = manifest_rows(found, Images(group_pattern=r"person(\d+)", site="south"), need_labels=False)
    assert listed(rows["group_id"]) == ["g", "2", None]
    assert listed(rows["site"]) == ["north", "south", "south"]


def test_the_pattern_is_searched_in_the_file_name_only():
    images = Images(group_pattern=r"(person\d+)")
    paths = text(["person9/person1_a.png", "test/PNEUMONIA/person1_b.png", "person9/other.png"])
    assert listed(groups_from_names(paths, images)) == ["person1", "person1", None]


BLOCKS_OF_TEN = {
    # path: its block, by hand
    "c/slice (9).png": "c/slice (0-9",
    "c/slice (19).png": "c/slice (10-19",
    "c/slice (20).png": "c/slice (20-29",
    "c/slice (021).png": "c/slice (20-29",
    "d/slice (21).png": "d/slice (20-29",  # another folder
    "train/c/slice (21).png": "train/c/slice (20-29",
    "c/scan1_20.png": "c/scan1_20-29",  # two series of one folder
    "c/scan2_20.png": "c/scan2_20-29",
    "c/scan2_25b.png": "c/scan2_20-29",  # what follows the number does not matter
    "2_7.x3": "./2_0-9",  # the suffix has no number
    "c12/none.png": None,  # nor has the folder
}


def test_blocks_are_neighbouring_numbers_of_one_series():
    groups = groups_from_names(text(BLOCKS_OF_TEN), Images(group_block=10))
    assert dict(zip(BLOCKS_OF_TEN, listed(groups), strict=True)) == BLOCKS_OF_TEN


@pytest.mark.shared
def test_blocks_of_a_real_set_of_slices():
    """Numbers 1 to 1252, and 1 to 1230 with one left out: blocks 0-24 ... 1250-1274 and 0-24 ... 1225-1249."""
    if not SLICES.exists():
        pytest.skip(f"needs {SLICES.name} in ../shared/data")
    with tarfile.open(SLICES) as archive:
        paths = [name for name in archive.getnames() if name.endswith(".jpg")]
    groups = groups_from_names(text(paths), Images(group_block=25))
    sizes = groups.groupby([path.split("/")[1] for path in paths]).value_counts()
    assert sizes.groupby(level=0).size().to_dict() == {"COVID": 51, "non-COVID": 50}
    assert sorted(sizes["COVID"].tolist()) == [3, 24] + [25] * 49
    assert sorted(sizes["non-COVID"].tolist()) == [6, 24, 24] + [25] * 47


def test_where_the_pattern_fails_the_block_may_help():
    images = Images(group_pattern=r"p(\d+)_", group_block=5)
    assert listed(groups_from_names(text(["p3_12.png", "12.png"]), images)) == ["3", "./10-14"]


@pytest.mark.parametrize(
    ("names", "fields", "words"),
    [
        (["a1.png", "a2.png"], {"group_pattern": "p([0-9]+)"}, r"group_pattern='p\(.*none of 2 .* 'a1.png'"),
        (["a1.png", "a2.png"], {"group_pattern": "p([0-9]+)", "group_block": 5}, "group_pattern=.* none of 2"),
        (["a.png", "b.png"], {"group_block": 5}, "group_block=5 finds a group in none of 2 .* 'a.png'.*leave it out"),
        (["p1.png", "pb.png"], {"group_pattern": "p[a-z]([0-9]*)"}, "none of 2"),  # the group matches nothing
    ],
)
def test_a_rule_for_groups_that_finds_none_is_refused(names, fields, words):
    with pytest.raises(UserError, match=words):
        groups_from_names(text(names), Images(**fields))


@settings(max_examples=60, deadline=None)
@given(number=st.integers(0, 10**30), block=st.integers(1, 1000), other=st.integers(0, 10**30))
def test_two_slices_share_a_block_exactly_where_they_share_the_quotient(number, block, other):
    groups = groups_from_names(text([f"c/s{number}.png", f"c/s{other}.png"]), Images(group_block=block))
    assert (groups[0] == groups[1]) == (number // block == other // block)


@settings(max_examples=60, deadline=None)
@given(patient=st.from_regex(r"\A[0-9]{1,6}\Z"), rest=st.text(st.characters(exclude_characters="/\0", codec="utf-8")))
def test_the_pattern_finds_the_patient_whatever_follows(patient, rest):
    path = f"folder/patient{patient}_{rest}"
    assert groups_from_names(text([path]), Images(group_pattern=r"^patient(\d+)_")).tolist() == [patient]


@settings(max_examples=60, deadline=None)
@given(paths=st.lists(st.sampled_from("abcdef") | st.text(st.characters(codec="utf-8"), min_size=1), max_size=20))
def test_image_ids_are_unique_and_the_first_is_the_hash_of_its_path(paths):
    ids = image_ids(text(paths)).tolist()
    assert len(set(ids)) == len(paths)
    for index, (path, found) in enumerate(zip(paths, ids, strict=True)):
        if path not in paths[:index]:
            assert found == hashlib.sha256(path.encode()).hexdigest()[:16]


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 15), min_size=1, max_size=4), limit=st.integers(4, 40), seed=st.integers(0, 5))
def test_the_limit_is_even_over_classes_and_drops_no_row(sizes, limit, seed):
    labels = [str(label) for label, size in enumerate(sizes) for _ in range(size)]
    rows = rows_of(labels, Images(limit=limit), seed=seed)
    assert len(rows) == len(labels)
    used = rows[rows["split"].isna()]
    assert len(used) == min(limit, len(labels))
    counts = used["label"].value_counts()
    # water filling: a class gets less than the largest only where it has no more
    for label, size in enumerate(sizes):
        count = counts.get(str(label), 0)
        assert count >= counts.max() - 1 or count == size
    beyond = rows[rows["split"].notna()]
    assert set(beyond["reason"]) <= {"beyond images.limit"}
    assert set(beyond["split"]) <= {"excluded"}


def test_the_limit_is_drawn_by_the_seed_and_not_from_the_useless():
    labels = ["a", "b", None] * 20
    first, again, other = (rows_of(labels, Images(limit=6), seed=seed)["reason"] for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)
    assert (first == "no label").sum() == 20
    assert first.isna().sum() == 6


def test_columns_come_in_the_order_of_the_house():
    found = found_frame(["a.png"], ["x"])
    found["age"] = 3
    rows = manifest_rows(found, Images())
    assert rows.columns.tolist() == ["image_id", *FOUND_COLUMNS, "status", "reason", "age"]


def audit_of(labels, groups=None, status="ok", reason=None, split=None) -> pd.DataFrame:
    n = len(labels)
    return pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "label": text(labels),
            "group_id": text(groups or [None] * n),
            "status": status,
            "reason": text([reason] * n),
            "split": text(split or [None] * n),
        }
    )


@pytest.mark.parametrize(
    ("audit", "images", "words"),
    [
        (audit_of([]), Images(), "no file found"),
        (audit_of(["a"] * 3, status="quarantined", reason="not an image"), Images(), "3 x not an image"),
        (audit_of(["a", "b"] * 3, split=["excluded"] * 6), Images(), "None of 6 files is usable"),
        (audit_of(["a"] * 9), Images(), "of one class, 'a'"),
        (audit_of(["a"] * 9 + ["b"]), Images(), r"Class 'b' has 1 usable image\(s\) in 1 group"),
        (audit_of(["a"] * 9 + ["b"] * 5, [None] * 9 + ["p", "p", "p", "q", "q"]), Images(), r"5 .* in 2 group"),
        (audit_of(["a", "b"] * 3), Images(positive_class="c"), r"'c', but the classes are \['a', 'b'\]"),
    ],
)
def test_what_cannot_be_split_is_refused_before_training(audit, images, words):
    with pytest.raises(UserError, match=words):
        check_trainable(audit, images)


def test_contradicting_labels_of_one_path_are_named():
    rows = manifest_rows(
        found_frame(["a", "b", "a", "c", "c", "a", "d", "d"], ["y", "x", "x", "x", None, "y", "x", "x"]), Images()
    )
    several, none = "duplicate path with different labels: 'x', 'y'", "duplicate path with different labels: none, 'x'"
    assert listed(rows["reason"]) == [several, None, several, none, none, several, None, "duplicate path"]


LIMITS = {
    # groups of each class by their sizes: a limit that is too small, one that does
    "single images": ({"a": [1] * 9, "b": [1] * 9}, 4, 6),
    "three classes": ({"a": [1] * 9, "b": [1] * 9, "c": [1] * 3}, 8, 9),
    "patients of several images": ({"a": [4, 3, 2, 1], "b": [1] * 9}, 4, 16),  # a: 4 + 3 + 1 images, b: as many
    "few of a class": ({"a": [4, 3, 2, 1], "b": [1] * 3}, 4, 11),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_that_is_too_small_says_which_would_do(name):
    sizes, limit, enough = LIMITS[name]
    groups = [f"{label}{g}" for label, held in sizes.items() for g, size in enumerate(held) for _ in range(size)]
    found = found_frame([f"{i}.png" for i in range(len(groups))], [group[0] for group in groups])
    found["group_id"] = text(groups)
    refused = []
    for seed in range(20):
        images = Images(limit=limit)
        try:
            check_trainable(manifest_rows(found, images, seed=seed), images)
        except UserError as error:
            refused.append(str(error))
        images = Images(limit=enough)
        check_trainable(manifest_rows(found, images, seed=seed), images)  # whatever is drawn
    assert refused
    assert all(
        f"images.limit={limit} left" in told and f"set images.limit to {enough} or more" in told for told in refused
    )


def test_three_groups_a_class_are_enough():
    check_trainable(audit_of(["a", "b"] * 3), Images(positive_class="b"))
