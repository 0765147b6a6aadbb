"""Two sites under one backbone: told apart where they differ; labels and test images have no part in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mini_set import marks, parameters, picture, run
from PIL import Image

from medical_transfer.config.base import Run
from medical_transfer.config.domain_distance import DomainDistance
from medical_transfer.pipelines.domain_distance.nodes import draw_rows
from medical_transfer.transferability.distances import DISTANCES
from medical_transfer.types import UserError

NAME = "domain_distance"


def write_site(root: Path, *, dark: bool) -> Path:
    """Twelve patients of each class with one film; underexposed where `dark`."""
    rng = np.random.default_rng(5)
    for label, word in (("across", "lying"), ("along", "standing")):
        (root / word).mkdir(parents=True)
        for patient in range(12):
            film = picture(label, rng)
            Image.fromarray(film // 3 if dark else film).save(root / word / f"{word}{patient}.png")
    return root


def two_sites(mini_set: Path, second: Path, **target: object) -> dict[str, Any]:
    block = {"kind": "folder", "root": str(second), "classes": {"lying": "across", "standing": "along"}}
    return parameters(mini_set, target_images=block | {"site": "clinic"} | target, domain_distance={"permutations": 99})


def facts(run_root: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((run_root / "08_reporting/domain_distance.json").read_text(encoding="utf-8"))
    return told


@pytest.fixture(scope="module")
def darker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(tmp_path_factory.mktemp("darker") / "films", dark=True)


@pytest.fixture(scope="module")
def compared(mini_set: Path, darker: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compared")
    given = two_sites(mini_set, darker)
    run(root, given, "ingestion", "split", "transferability")
    return run(root, given, NAME)


def test_two_sites_that_differ_are_told_apart_overall_and_within_classes(compared: Path) -> None:
    told = facts(compared)
    assert told["backbone"] == "random"  # the first of transferability.sources
    assert told["splits"] == {"source": ["train"], "target": ["train"]}
    assert set(told["overall"]["distances"]) == set(DISTANCES)
    assert "The two sites are told apart under random: " in told["conclusion"]
    assert set(told["per_class"]) == {"across", "along"}
    for block in (told["overall"], *told["per_class"].values()):
        images = block["source"]["images"] + block["target"]["images"]
        for each in block["distances"].values():
            assert set(each) >= {"value", "p_value", "seconds", "n", "permutations", "reason"}
            assert (each["n"], each["permutations"]) == (images, 99)
        assert block["distances"]["mmd"]["p_value"] == 0.01
        assert block["distances"]["a_distance"]["value"] > 1
    for domain in ("source", "target"):
        assert sum(block[domain]["images"] for block in told["per_class"].values()) == told["overall"][domain]["images"]


def test_the_images_compared_are_the_training_images_and_lie_on_a_plane(compared: Path) -> None:
    places = pd.read_parquet(compared / "08_reporting/domain_map.parquet")
    rows = pd.read_parquet(compared / "05_model_input/domain_rows.parquet")
    pd.testing.assert_frame_equal(places[list(rows.columns)], rows)
    for domain, name in (("source", "manifest"), ("target", "target_manifest")):
        manifest = pd.read_parquet(compared / f"03_primary/{name}.parquet")
        train = manifest.loc[manifest["split"] == "train", "image_id"]
        assert rows.loc[rows["domain"] == domain, "image_id"].tolist() == train.tolist()
    assert abs(places["first"] @ places["second"]) < 1e-3 * places["first"].std() * places["second"].std() * len(places)
    assert places["first"].std() > places["second"].std()
    assert (compared / "08_reporting/domain_distance.png").read_bytes().startswith(b"\x89PNG")


def test_features_of_the_first_site_are_those_that_were_scored(compared: Path) -> None:
    """All training images are compared and all were scored: one set of features for both, and one of the new site."""
    assert len(list((compared / "04_feature").glob("*/features.npy"))) == 2


def test_a_second_time_nothing_is_computed(compared: Path, mini_set: Path, darker: Path) -> None:
    before, told = marks(compared), facts(compared)
    run(compared, two_sites(mini_set, darker), NAME)
    assert (marks(compared), facts(compared)) == (before, told)


def test_labels_of_the_second_site_move_no_number(compared: Path, mini_set: Path, darker: Path, tmp_path: Path) -> None:
    paths = sorted(path.relative_to(darker).as_posix() for path in darker.glob("*/*.png"))
    pd.DataFrame({"path": paths}).to_csv(tmp_path / "films.csv", index=False)
    table = {"kind": "table", "table": str(tmp_path / "films.csv"), "classes": {}}
    told, known = facts(run(tmp_path / "run", two_sites(mini_set, darker, **table), NAME)), facts(compared)
    for name, each in told["overall"]["distances"].items():
        for field in ("value", "p_value", "null_mean"):
            assert each[field] == pytest.approx(known["overall"]["distances"][name][field], rel=1e-6)
    assert told["per_class"] == {}
    assert "it stays open whether only the shares of classes differ" in told["conclusion"]


def test_a_test_set_of_the_same_kind_of_films_is_not_told_apart(mini_set: Path, tmp_path: Path) -> None:
    same = write_site(tmp_path / "films", dark=False)
    paths = [path.relative_to(same).as_posix() for path in same.glob("*/*.png")]
    pd.DataFrame({"path": paths, "split": "test"}).to_csv(tmp_path / "films.csv", index=False)
    given = two_sites(mini_set, same, kind="table", table=str(tmp_path / "films.csv"), classes={})
    told = facts(run(tmp_path / "run", given, NAME))
    assert told["splits"]["target"] == ["test"]
    assert told["overall"]["target"]["images"] == 24
    assert "are not shown to differ" in told["conclusion"]


def test_without_a_second_site_it_says_what_to_set_and_does_nothing(mini_set: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^target_images\.kind is none.* set target_images\.kind and target_images\.root"
    ):
        run(tmp_path / "run", parameters(mini_set), NAME)
    assert not list(tmp_path.rglob("*.parquet"))


# --- which images -----------------------------------------------------------------------------------------------------


def rows_of(split: str, count: int, *, label: str | None = None) -> pd.DataFrame:
    ids = [f"{split}{number}" for number in range(count)]
    columns = {"image_id": ids, "path": ids, "site": None, "split": split, "group_id": ids, "label": label}
    return pd.DataFrame(columns | {"status": "ok"})


def drawn(manifest: pd.DataFrame, target: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    return draw_rows(manifest, target, DomainDistance(max_images=20), Run(seed=seed))


def test_so_many_training_images_are_drawn_by_the_seed_whatever_their_labels() -> None:
    manifest = pd.concat([rows_of("train", 50), rows_of("test", 30), rows_of("excluded", 9)])
    rows, again = drawn(manifest, manifest), drawn(manifest.assign(label="sick"), manifest)
    assert rows.groupby("domain").size().to_dict() == {"source": 20, "target": 20}
    assert set(rows["split"]) == {"train"}
    assert rows["image_id"].tolist() == again["image_id"].tolist()
    assert rows["image_id"].tolist() != drawn(manifest, manifest, seed=1)["image_id"].tolist()


@pytest.mark.parametrize(
    ("first", "second", "block"), [("train", "excluded", "target_images"), ("test", "train", "images")]
)
def test_a_manifest_without_images_to_compare_is_named(first: str, second: str, block: str) -> None:
    with pytest.raises(UserError, match=rf"^The manifest of {block} has no image to compare: .* set {block}\.kind and"):
        drawn(rows_of(first, 30), rows_of(second, 30))
