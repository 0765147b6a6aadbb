"""Which sets of images a study of several sets reads, and with which parameters each of them is read.

A target is named in the study's block, or it is a set that `conf/shared` describes and `targets_root` holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from medical_transfer.config.images import Images
from medical_transfer.config.study_targets import StudyTarget, StudyTargets
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.runtime.nearest import did_you_mean
from medical_transfer.runtime.unpacking import unpacked
from medical_transfer.types import UserError

OF_A_SET = ("kind", "root", "table", "classes", "positive_class", "group_pattern", "group_block", "site", "licence")
"""Fields of `images` that belong to one set of images; the others say how any pixels are read."""


@dataclass(frozen=True)
class Target:
    """A set of images.

    Attributes:
        name: what it is called in the table.
        blocks: parameters over those of the run.
        archive: the tar that holds its images, until they are unpacked.
        member: path of its images in the archive.
    """

    name: str
    blocks: dict[str, dict[str, Any]]
    archive: Path | None = None
    member: str = ""

    @property
    def images(self) -> dict[str, Any]:
        """The block `images`."""
        return self.blocks["images"]

    def unpacked(self, root: Path) -> Target:
        """The same with its images below `root`, where an archive holds them.

        Raises:
            UserError: the archive cannot be unpacked.
        """
        if self.archive is None:
            return self
        place = unpacked(self.archive, root) / self.member
        return replace(self, blocks={**self.blocks, "images": {**self.images, "root": str(place)}}, archive=None)


def targets_of(study: StudyTargets, session: SessionFacts) -> list[Target]:
    """All targets of a study in their order: those of its block, then those of `targets_root`.

    Raises:
        UserError: there is none, `only` names one that there is not, `targets_root` holds no set that is known, or the
            run's own `images.classes` would be mixed with theirs.
    """
    if session.parameters["images"].get("classes"):
        raise UserError(
            "images.classes of this run would be mixed with the classes of every target: take it out, and name your "
            f"images as a target: {study.block}.targets.<name>.images."
        )
    named = {name: _own(name, target) for name, target in study.targets.items() if target is not None}
    found = {each.name: each for each in _held(study, session)} if study.targets_root else {}
    everything = named | {name: each for name, each in found.items() if name not in study.targets}
    unknown = [name for name in study.only or () if name not in everything]
    if unknown:
        hint = did_you_mean(unknown[0], everything)
        raise UserError(
            f"{study.block}.only names {', '.join(unknown)}, but the targets are "
            f"{', '.join(everything)}.{hint} Further ones: {study.block}.targets and targets_root."
        )
    kept = [each for name, each in everything.items() if study.only is None or name in study.only]
    if not kept:
        raise UserError(f"{study.block} has no target: name one in {study.block}.targets.")
    return kept


def parameters_of(target: Target, study: StudyTargets) -> dict[str, Any]:
    """Runtime parameters under which the images of a target are read and divided."""
    read = {"size": study.image_size}
    if study.max_images is not None:
        read["limit"] = study.max_images
    mine = {**Images().model_dump(mode="json", include=set(OF_A_SET)), **read, **target.images}
    own = {name: block for name, block in target.blocks.items() if name != "images"}
    return {**own, "images": {**mine, "size": study.image_size}}


def _own(name: str, target: StudyTarget) -> Target:
    return Target(name, {"images": target.images, "split": target.split, "augmentation": target.augmentation})


def _held(study: StudyTargets, session: SessionFacts) -> list[Target]:
    """The sets of `conf/shared` that `targets_root` holds."""
    root = study.targets_root or Path()
    known = dict(_described(Path(session.conf_source) / "shared"))
    if not root.is_dir():
        raise UserError(
            f"{study.block}.targets_root is {root}, which is no folder: name the one with the sets that "
            "conf/shared describes, or set it to null to study the named targets alone."
        )
    held = [each for name, blocks in known.items() if (each := _place(name, blocks, root)) is not None]
    if not held:
        raise UserError(
            f"{study.block}.targets_root, {root}, holds none of the sets that conf/shared describes: expected "
            f"one of {', '.join(f'{name}.tar' for name in known)}, or what they hold, unpacked."
        )
    return held


def _described(shared: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and parameters of every set of `conf/shared` that is one site."""
    for path in sorted(shared.glob("*/parameters.yml")):
        blocks: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
        if isinstance(blocks, Mapping) and "images" in blocks and "target_images" not in blocks:
            yield path.parent.name, dict(blocks)


def _place(name: str, blocks: dict[str, Any], root: Path) -> Target | None:
    member = Path(blocks["images"]["root"]).name
    archive = root / f"{name}.tar"
    if archive.is_file():
        return Target(name, blocks, archive, member)
    if (root / member).exists():
        return Target(name, {**blocks, "images": {**blocks["images"], "root": str(root / member)}})
    return None
