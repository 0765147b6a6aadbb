"""A second site beside the first: read, divided and compared; and what is refused leaves its audit behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mini_set import BAD_FILES, parameters, picture, python, run
from PIL import Image

from medical_transfer.types import AUDIT_COLUMNS, UserError

STAGES = ("ingestion", "split", "target_ingestion", "target_split")

LOADED = """
import json, sys
sys.path[:0] = ["tests", "tests/pipelines"]
from pathlib import Path
from mini_set import run
run(Path(sys.argv[1]), json.loads(sys.argv[2]), *sys.argv[3:])
print(json.dumps(sorted(sys.modules)))
"""


def table(run_root: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(run_root / f"{name}.parquet")


def facts(run_root: Path, name: str) -> dict:
    return json.loads((run_root / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def clinic(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another site: its own words for the classes, two copies of images of the first (one mirrored), a letter."""
    root, rng = tmp_path_factory.mktemp("clinic") / "films", np.random.default_rng(11)
    for label, word in (("across", "lying"), ("along", "standing")):
        (root / word).mkdir(parents=True)
        for patient in range(8):
            Image.fromarray(picture(label, rng)).save(root / word / f"c{patient}_0.png")
    shutil.copy(mini_set / "across/p005_1.png", root / "lying/c90_0.png")
    mirrored = np.asarray(Image.open(mini_set / "along/p106_0.png"))[:, ::-1]
    Image.fromarray(mirrored).save(root / "standing/c91_0.png")
    (root / "standing/letter.png").write_bytes(b"Dear colleague,\n")
    return root


def both(mini_set: Path, clinic: Path, **target: object) -> dict:
    block = {"kind": "folder", "root": str(clinic), "classes": {"lying": "across", "standing": "along"}}
    return parameters(mini_set, target_images=block | target)


@pytest.fixture(scope="module")
def two_sites(mini_set: Path, clinic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = both(mini_set, clinic, group_pattern="^(c[0-9]+)_", site="clinic")
    return run(tmp_path_factory.mktemp("two"), given, *STAGES)


def test_every_file_of_the_second_site_is_a_row_under_the_names_of_the_first(two_sites: Path, clinic: Path) -> None:
    rows = table(two_sites, "03_primary/target_manifest")
    assert sorted(rows["path"]) == sorted(f"{path.parent.name}/{path.name}" for path in clinic.glob("*/*"))
    assert tuple(rows.columns) == AUDIT_COLUMNS
    assert rows["image_id"].tolist() == table(two_sites, "02_intermediate/target_audit")["image_id"].tolist()
    assert table(two_sites, "02_intermediate/target_quarantine")["path"].tolist() == ["standing/letter.png"]
    used = rows[rows["split"] != "excluded"]
    assert set(used["split"]) == {"train", "val", "test"}
    assert used.groupby("group_id")["split"].nunique().max() == 1
    assert set(rows["site"]) == {"clinic"}
    assert facts(two_sites, "02_intermediate/target_classes") == {"across": 9, "along": 9}
    assert facts(two_sites, "03_primary/target_leakage")["quarantined"] == 1


def test_labels_of_the_second_site_have_no_part_in_its_split(
    two_sites: Path, mini_set: Path, clinic: Path, tmp_path: Path
) -> None:
    swapped = {"lying": "along", "standing": "across"}
    poisoned = run(
        tmp_path, both(mini_set, clinic, group_pattern="^(c[0-9]+)_", site="clinic", classes=swapped), *STAGES
    )
    columns = ["path", "split", "group_id"]
    one, other = (table(root, "03_primary/target_manifest") for root in (two_sites, poisoned))
    pd.testing.assert_frame_equal(one[columns], other[columns])
    assert (one["label"].dropna() != other["label"].dropna()).all()


def test_a_second_site_may_be_a_test_set_only(mini_set: Path, clinic: Path, tmp_path: Path) -> None:
    paths = [str(path.relative_to(clinic)) for path in clinic.glob("*/c*.png")]
    pd.DataFrame({"path": paths, "label": "across", "split": "test"}).to_csv(tmp_path / "films.csv", index=False)
    block = {"kind": "table", "root": str(clinic), "table": str(tmp_path / "films.csv")}
    rows = table(
        run(tmp_path / "run", parameters(mini_set, target_images=block), *STAGES), "03_primary/target_manifest"
    )
    assert set(rows.loc[rows["status"] == "ok", "split"]) == {"test"}


def test_the_first_site_is_as_it_would_be_alone(two_sites: Path, finished: Path) -> None:
    pd.testing.assert_frame_equal(*(table(root, "03_primary/manifest") for root in (two_sites, finished)))
    assert facts(two_sites, "05_model_input/image_cache") == facts(finished, "05_model_input/image_cache")


def test_each_site_has_its_cache_at_the_size_of_the_first(two_sites: Path) -> None:
    folders = [
        two_sites / "05_model_input" / facts(two_sites, f"05_model_input/{name}")["folder"]
        for name in ("image_cache", "target_image_cache")
    ]
    assert folders[0] != folders[1]
    assert [facts(folder, "meta")["size"] for folder in folders] == [64, 64]


def test_copies_across_sites_are_counted(two_sites: Path) -> None:
    told = facts(two_sites, "03_primary/across_sites")
    assert told["searched"] is True
    assert sorted(told["examples"]) == [
        ["across/p005_1.png", "lying/c90_0.png"],
        ["along/p106_0.png", "standing/c91_0.png"],
    ]
    assert (told["pairs"], told["source_images"], told["target_images"], told["target_groups"]) == (2, 2, 2, 2)
    assert sum(count for row in told["splits"].values() for count in row.values()) == 2


def test_labels_of_a_second_site_may_be_missing(mini_set: Path, clinic: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in clinic.glob("*/c*.png"):
        shutil.copy(path, plain / f"{path.parent.name}_{path.name}")
    root = run(tmp_path / "folder", both(mini_set, plain, classes={}), *STAGES)
    listed = pd.DataFrame({"path": sorted(path.name for path in plain.iterdir()), "age": 50})
    listed.to_csv(tmp_path / "listed.csv", index=False)
    given = both(mini_set, plain, kind="table", table=str(tmp_path / "listed.csv"), classes={})
    for place in (root, run(tmp_path / "table", given, *STAGES)):
        rows = table(place, "03_primary/target_manifest")
        assert len(rows) == 18
        assert rows["label"].isna().all()
        assert (rows["status"] == "ok").all()
        assert set(rows["split"]) == {"train", "val", "test"}
        assert facts(place, "02_intermediate/target_classes") == {}
    assert rows["age"].tolist() == [50] * 18


REFUSED = {
    "a class that the first site lacks": (
        {"classes": {"lying": "across"}},
        r"has the classes \['standing'\], which the first does not; it has \['across', 'along'\]: map each by "
        r"target_images\.classes.* 19 files were found, 1 of them quarantined: see .*/02_intermediate/target_audit",
    ),
    "a name that was not found": ({"classes": {"prone": "across"}}, r"^target_images\.classes names \['prone'\]"),
    "no such folder": ({"root": "nowhere"}, r"^target_images\.root is .*nowhere, which does not exist"),
    "a pattern that finds none": ({"group_pattern": "patient([0-9]+)"}, r"^target_images\.group_pattern='patient"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_second_site_is_refused_by_its_own_name(case: str, mini_set: Path, clinic: Path, tmp_path: Path) -> None:
    changed, sentence = REFUSED[case]
    with pytest.raises(UserError, match=sentence):
        run(tmp_path, both(mini_set, clinic, **changed), *STAGES)
    assert not (tmp_path / "03_primary/target_manifest.parquet").exists()


def test_a_second_site_without_usable_images_is_refused(mini_set: Path, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films/letter.png").write_bytes(b"Dear colleague,\n")
    with pytest.raises(UserError, match=r"None of the second site's 1 files is usable .*target_audit\.parquet"):
        run(tmp_path / "run", both(mini_set, tmp_path / "films", classes={}), *STAGES)
    assert len(table(tmp_path / "run", "02_intermediate/target_quarantine")) == 1


def test_results_inside_the_second_site_are_refused(mini_set: Path, clinic: Path) -> None:
    with pytest.raises(UserError, match=r"inside target_images\.root"):
        run(clinic / "run", both(mini_set, clinic), *STAGES)
    shutil.rmtree(clinic / "run")


def test_a_first_site_that_cannot_be_trained_on_leaves_its_audit_and_nothing_after_it(
    mini_set: Path, clinic: Path, tmp_path: Path
) -> None:
    given = both(mini_set, clinic)
    given["images"]["classes"] = {"across": None}
    with pytest.raises(UserError) as caught:
        run(tmp_path, given)
    sentence = str(caught.value)
    assert "All 32 usable images are of one class, 'along'" in sentence
    assert sentence.endswith(
        f"67 files were found, 3 of them quarantined: see {tmp_path}/02_intermediate/audit.parquet"
    )
    audit, quarantine = (table(tmp_path, f"02_intermediate/{name}") for name in ("audit", "quarantine"))
    assert len(audit) == 67
    assert sorted(Path(path).name for path in quarantine["path"]) == sorted(BAD_FILES)
    later = {path.name for folder in ("03_primary", "04_feature", "06_models") for path in tmp_path.glob(f"{folder}/*")}
    assert later == set()
    assert not (tmp_path / "02_intermediate/target_audit.parquet").exists()


def test_without_a_second_site_its_stages_load_no_torch_and_build_no_cache(mini_set: Path, tmp_path: Path) -> None:
    done = python("-c", LOADED, str(tmp_path), json.dumps(parameters(mini_set)), *STAGES)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "medical_transfer.pipelines.split.nodes" in loaded
    assert loaded & {"torch", "lightning", "timm", "mlflow"} == set()
    assert len(list((tmp_path / "05_model_input/images").glob("*/complete.json"))) == 1
