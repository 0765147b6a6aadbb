"""The sets of ../shared/data as conf/shared describes them: every file a row, patients whole, classes as promised."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from mini_set import run
from safetensors.torch import save_file

from medical_transfer.config.images import Images, TargetImages
from medical_transfer.models.architectures import build_architecture
from medical_transfer.runtime.provenance import PROJECT

CONF = PROJECT / "conf/shared"
PAIRS = {
    "cxr_kermany_to_other": ("cxr_kermany_224", "cxr_other_224"),
    "cxr_other_to_kermany": ("cxr_other_224", "cxr_kermany_224"),
    "covid_ct_sarscov2_to_ucsd": ("covid_ct_sarscov2_224", "covid_ct_ucsd_224"),
    "covid_ct_ucsd_to_sarscov2": ("covid_ct_ucsd_224", "covid_ct_sarscov2_224"),
}
"""Environments of two sites, and the environments of each."""
TRIED = {
    "cxr_kermany_to_other": ("dann", "histogram_matching"),
    "cxr_other_to_kermany": ("mmd", "batch_norm"),
    "covid_ct_sarscov2_to_ucsd": ("self_training", "feature_alignment"),
    "covid_ct_ucsd_to_sarscov2": ("coral", "stronger_augmentation"),
}
"""What is tried on which pair."""
PAIR = "cxr_kermany_to_other"
SMALL = {"limit": 60, "size": 48, "workers": 1}
FILMS, CT = {"normal", "pneumonia"}, {"covid", "no_covid"}

SETS: dict[str, tuple[int, set[str], str | None]] = {
    "cxr_kermany_224": (5840, FILMS, r"(person\d+)_(?:bacteria|virus)_.*|((?:NORMAL2-)?IM-\d{4})-\d{4}.*"),
    "cxr_other_224": (1125, FILMS, r"(\d{8})_\d{3}\.jpg"),
    "covid_ct_sarscov2_224": (2482, CT, None),
    "covid_ct_ucsd_224": (753, CT, None),
    "busi_256": (781, {"benign", "malignant", "normal"}, None),
    "mednist_6x1000_64": (6000, {"AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"}, None),
    "mnist_m_train15k": (15000, set("0123456789"), None),
}
"""Rows (files, lists among them), classes, and a full match of the names that tell the patient."""

EPISODES = {"omniglot_background"}
"""Environments of sets that episodes are drawn from: their classes are too many, and too small, to be told apart."""

pytestmark = pytest.mark.shared
Shared = Callable[[str], Path]


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's configuration, without a record of runs."""
    copy = tmp_path_factory.mktemp("conf") / "conf"
    shutil.copytree(PROJECT / "conf", copy, ignore=shutil.ignore_patterns("local"))
    off = {"enabled": False, "uri": "sqlite:///none.db", "artifacts": "none", "experiment": "test"}
    (copy / "base/tracking.yml").write_text(json.dumps(off), encoding="utf-8")
    return copy


def blocks(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONF / name / "parameters.yml").read_text(encoding="utf-8"))
    return found


def manifest(run_root: Path, name: str = "manifest") -> pd.DataFrame:
    return pd.read_parquet(run_root / f"03_primary/{name}.parquet")


def drawn(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that `images.limit` drew and that could be read."""
    return rows[(rows["status"] == "ok") & rows["phash"].notna() & rows["label"].notna()]


def test_every_set_has_its_file_and_no_file_is_of_a_set_that_is_not_known() -> None:
    assert {folder.name for folder in CONF.iterdir()} == {*SETS, *PAIRS, *EPISODES}


@pytest.mark.parametrize("name", [*SETS, *PAIRS, *EPISODES])
def test_files_are_valid_parameters_of_an_environment(name: str) -> None:
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env=f"shared/{name}") as session:
        given = session.load_context().config_loader["parameters"]  # the guards look at it too
    images = Images.model_validate(given["images"])
    assert images.root is not None
    assert images.root.is_relative_to(PROJECT / "data/01_raw/shared")
    assert images.licence == blocks(name)["images"]["licence"]
    assert TargetImages.model_validate(given["target_images"]).kind == ("folder" if name in PAIRS else "none")
    assert given["training"]["epochs"] == 6  # of conf/base


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_says_of_each_site_what_its_own_file_says(name: str) -> None:
    """But for the blocks that stand for patients, which are wider in a pair."""
    pair, first, second = (blocks(each) for each in (name, *PAIRS[name]))
    wider = {"group_block": 25}
    own = [each["images"] | (wider if "group_block" in each["images"] else {}) for each in (first, second)]
    assert pair["images"] == own[0]
    assert pair["target_images"] == {field: value for field, value in own[1].items() if field != "positive_class"}
    assert set(pair["target_images"]["classes"].values()) - {None} <= set(pair["images"]["classes"].values())


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_read_and_divided(name: str, shared_set: Shared, conf: Path, tmp_path: Path) -> None:
    count, classes, pattern = SETS[name]
    root = shared_set(name)
    env = f"shared/{name}"
    rows = manifest(run(tmp_path, {"images": {"root": str(root), **SMALL}}, "ingestion", "split", conf=conf, env=env))
    assert len(rows) == count
    used = drawn(rows)
    lists = rows[(rows["status"] == "quarantined") & rows["label"].notna()]  # text files in a folder beside the classes
    assert len(used) + len(lists) == SMALL["limit"]
    assert len(lists) == (6 if name == "covid_ct_ucsd_224" else 0)
    assert set(used["label"]) == classes
    kept = used[used["split"] != "excluded"]
    assert set(zip(kept["split"], kept["label"], strict=True)) == {
        (split, label) for split in ("train", "val", "test") for label in classes
    }
    assert kept.groupby("group_id")["split"].nunique().max() == 1
    if pattern:
        patients_are_whole(tmp_path, pattern)


def patients_are_whole(run_root: Path, pattern: str) -> None:
    """Given groups are those that another expression finds in the names, and none is divided."""
    audit = pd.read_parquet(run_root / "02_intermediate/audit.parquet")
    matches = [re.fullmatch(pattern, path.rsplit("/", 1)[-1]) for path in audit["path"]]
    patients = [next(filter(None, match.groups())) if match else None for match in matches]
    assert [None if pd.isna(group) else group for group in audit["group_id"]] == patients
    rows = manifest(run_root).assign(patient=patients)
    groups = drawn(rows).groupby("patient")["group_id"].nunique()
    assert len(groups) > 20
    assert groups.max() == 1


def test_numbered_slices_are_grouped_by_blocks_of_ten(shared_set: Shared, conf: Path, tmp_path: Path) -> None:
    given = {"images": {"root": str(shared_set("covid_ct_sarscov2_224")), **SMALL}}
    run(tmp_path, given, "ingestion", conf=conf, env="shared/covid_ct_sarscov2_224")
    audit = pd.read_parquet(tmp_path / "02_intermediate/audit.parquet")
    slices = audit[audit["path"].str.endswith(").jpg")]
    places = {(path.split("/")[0], int(path.split("(")[1].split(")")[0]) // 10) for path in slices["path"]}
    assert len(slices) == 1252 + 1229
    assert slices["group_id"].nunique() == len(places)
    assert slices.groupby("group_id")["path"].size().max() == 10


def test_given_splits_of_the_chest_films_stay(shared_set: Shared, conf: Path, tmp_path: Path) -> None:
    given = {"images": {"root": str(shared_set("cxr_kermany_224")), **SMALL}}
    run(tmp_path, given, "ingestion", conf=conf, env="shared/cxr_kermany_224")
    audit = pd.read_parquet(tmp_path / "02_intermediate/audit.parquet")
    assert audit.groupby([audit["path"].str.split("/").str[0], "label"]).size().to_dict() == {
        ("train", "normal"): 1341,
        ("train", "pneumonia"): 3875,
        ("test", "normal"): 234,
        ("test", "pneumonia"): 390,
    }
    persons = audit[audit["group_id"].str.startswith("person")].groupby("group_id")["path"]
    both = persons.agg(lambda paths: paths.str.split("/").str[0].nunique()) == 2
    assert both.sum() == 170  # as the description of the set says


def test_published_splits_of_the_ct_figures_by_the_lines_of_the_page(
    shared_set: Shared, conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "data/01_raw/shared/covid_ct_ucsd"
    shutil.copytree(shared_set("covid_ct_ucsd_224"), place)
    page = (PROJECT / "docs/data.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, "docs/data.md", "exec"), {})
    images = {"kind": "table", "root": str(place), "table": str(place / "splits.csv"), "size": 48, "workers": 1}
    run(tmp_path / "run", {"images": images}, "ingestion", conf=conf, env="shared/covid_ct_ucsd_224")
    audit = pd.read_parquet(tmp_path / "run/02_intermediate/audit.parquet")
    assert audit[audit["split"].notna()].groupby(["label", "split"]).size().to_dict() == {
        ("covid", "train"): 191,
        ("covid", "val"): 60,
        ("covid", "test"): 98,
        ("no_covid", "train"): 234,
        ("no_covid", "val"): 58,
        ("no_covid", "test"): 105,
    }


def test_two_sites_give_both_manifests(shared_set: Shared, conf: Path, tmp_path: Path) -> None:
    given = {
        "images": {"root": str(shared_set("cxr_kermany_224")), **SMALL},
        "target_images": {"root": str(shared_set("cxr_other_224")), "limit": 40},
    }
    stages = ("ingestion", "split", "target_ingestion", "target_split")
    run(tmp_path, given, *stages, conf=conf, env=f"shared/{PAIR}")
    source, target = manifest(tmp_path), manifest(tmp_path, "target_manifest")
    assert (len(source), len(target)) == (5840, 1125)
    assert (set(drawn(source)["label"]), set(drawn(target)["label"])) == (FILMS, FILMS)
    assert len(drawn(target)) == 40 - 1  # a list without a label counts as an image until it is read
    assert target.loc[target["status"] == "quarantined", "path"].tolist() == ["index.csv"]
    assert set(drawn(target)["split"]) == {"train", "val", "test"}
    assert (set(source["site"]), set(target["site"])) == ({"guangzhou"}, {"nih"})
    patients_of_target = drawn(target).assign(patient=drawn(target)["path"].str.extract(r"/(\d{8})_")[0])
    assert patients_of_target.groupby("patient")["split"].nunique().max() == 1
    across = json.loads((tmp_path / "03_primary/across_sites.json").read_text(encoding="utf-8"))
    assert across["searched"] is True


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_is_adapted_from_end_to_end(name: str, shared_set: Shared, conf: Path, tmp_path: Path) -> None:
    """Small: some dozens of images of each site, a small untrained network. The numbers mean nothing."""
    network, (method, mean) = tmp_path / "tiny.safetensors", TRIED[name]
    save_file(build_architecture("house/resnet20_cifar", classes=3, seed=1).state_dict(), network)
    own = {"path": str(network), "architecture": "house/resnet20_cifar", "classes": 3}
    here, there = (str(shared_set(each)) for each in PAIRS[name])
    given = {
        "images": {"root": here, **SMALL, "size": 64, "limit": 80},
        "target_images": {"root": there, "limit": 60},
        "transferability": {"sources": ["tiny"], "folds": 2},
        "backbones": {"own": {"tiny": own}},
        "augmentation": {"views": 1},
        "training": {"epochs": 1, "batch_size": 8, "steps_per_epoch": 2, "number_format": "fp32"}
        | {"finetune": {"head_epochs": 2}},
        "evaluation": {"resamples": 200},
        "medical_adaptation": {"methods": [method], "simple_means": [mean]},
    }
    run(tmp_path, given, "medical_adaptation", conf=conf, env=f"shared/{name}")
    told = json.loads((tmp_path / "08_reporting/adapted_evaluation.json").read_text(encoding="utf-8"))
    assert set(told["methods"]) == {"source_only", method, mean, "target_oracle"}
    for found in told["methods"].values():
        assert 0 <= found["test"]["auroc"]["estimate"] <= 1
    choice = json.loads((tmp_path / "08_reporting/adaptation_choice.json").read_text(encoding="utf-8"))
    assert choice["chosen"] in set(told["methods"]) - {"target_oracle"}
    assert (tmp_path / "08_reporting/adapted_report.html").stat().st_size > 10_000


def test_a_tar_is_unpacked_once(shared_set: Shared) -> None:
    first = shared_set("busi_256")
    assert shared_set("busi_256") == first
    assert [place.name for place in first.parent.iterdir()] == ["busi"]
