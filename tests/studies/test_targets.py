"""Which targets a study has, and with which parameters each is read."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.targets import parameters_of, targets_of
from medical_transfer.types import UserError

CHEST = """
images: {kind: folder, root: "${project:data/01_raw/shared/chest}", classes: {A: a, B: b}, group_pattern: "p([0-9]+)"}
augmentation: {policy: gentle}
split: {mirrored_copies: false}
"""
DIGITS = 'images: {kind: npz, root: "${project:data/01_raw/shared/digits.npz}"}\n'
PAIR = 'images: {kind: folder, root: "${project:chest}"}\ntarget_images: {kind: folder, root: here}\n'


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SessionFacts]:
    """A session in a project of its own; sessions of later tests register the true resolver again."""
    OmegaConf.register_new_resolver("project", lambda path: f"/project/{path}", replace=True)
    for name, text in (("chest_224", CHEST), ("digits", DIGITS), ("chest_to_other", PAIR)):
        (tmp_path / "conf/shared" / name).mkdir(parents=True)
        (tmp_path / "conf/shared" / name / "parameters.yml").write_text(text, encoding="utf-8")
    yield SessionFacts(None, str(tmp_path / "conf"), {}, {"images": {"classes": {}}}, tmp_path / "run", "")
    OmegaConf.clear_resolver("project")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "chest/A").mkdir(parents=True)
    (folder / "chest/A/p1_1.png").write_bytes(b"1")
    with tarfile.open(folder / "chest_224.tar", "w") as tar:
        tar.add(folder / "chest", "chest")
    (folder / "digits.npz").write_bytes(b"npz")
    return folder


def study(**fields: Any) -> StudyTransferability:
    return StudyTransferability(**fields)


def names(given: StudyTransferability, session: SessionFacts) -> list[str]:
    return [target.name for target in targets_of(given, session)]


def test_those_of_the_block_and_those_of_the_folder(session: SessionFacts, root: Path) -> None:
    assert names(study(), session) == ["brain_mri"]
    assert names(study(targets_root=root), session) == ["brain_mri", "chest_224", "digits"]
    assert names(study(targets_root=root, targets={"digits": None}), session) == ["chest_224"]
    only = study(targets_root=root, only=["digits", "brain_mri"])
    assert names(only, session) == ["brain_mri", "digits"]


def test_an_archive_is_unpacked_below_the_run(session: SessionFacts, root: Path) -> None:
    _, chest, digits = targets_of(study(targets_root=root), session)
    there = chest.unpacked(session.run_root / "01_raw/shared")
    place = Path(there.images["root"])
    assert place.is_relative_to(session.run_root)
    assert (place / "A/p1_1.png").read_bytes() == b"1"
    assert there.unpacked(session.run_root) is there
    assert digits.unpacked(session.run_root).images["root"] == str(root / "digits.npz")
    (root / "chest_224.tar").unlink()
    _, unpacked, _ = targets_of(study(targets_root=root), session)
    assert unpacked.images["root"] == str(root / "chest")


def test_parameters_of_a_target(session: SessionFacts, root: Path) -> None:
    _, chest, _ = targets_of(study(targets_root=root), session)
    given = parameters_of(chest, study(image_size=80, max_images=100))
    assert given["augmentation"] == {"policy": "gentle"}
    assert given["split"] == {"mirrored_copies": False}
    images = given["images"]
    assert (images["size"], images["limit"], images["classes"]) == (80, 100, {"A": "a", "B": "b"})
    assert (images["kind"], images["positive_class"], images["table"]) == ("folder", None, None)
    assert "fit" not in images, "how pixels are read is the run's affair"
    brain = parameters_of(targets_of(study(), session)[0], study(max_images=None))["images"]
    assert (brain["kind"], brain["root"], "limit" in brain) == ("packaged", None, False)


def test_what_is_refused(session: SessionFacts, root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"only names digit, but the targets are brain_mri, chest_224, digits"):
        targets_of(study(targets_root=root, only=["digit"]), session)
    with pytest.raises(UserError, match=r"targets_root is .*nowhere, which is no folder"):
        targets_of(study(targets_root=tmp_path / "nowhere"), session)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds none of the sets .* expected one of chest_224\.tar, digits\.tar"):
        targets_of(study(targets_root=tmp_path / "empty"), session)
    with pytest.raises(UserError, match="has no target"):
        targets_of(study(targets={"brain_mri": None}), session)
    own = {"images": {"classes": {"A": "a"}}}
    with pytest.raises(UserError, match=r"images\.classes of this run would be mixed"):
        targets_of(study(), SessionFacts(None, session.conf_source, {}, own, session.run_root, ""))
