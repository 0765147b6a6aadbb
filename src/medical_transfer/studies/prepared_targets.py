"""The images of every target, read once and divided anew under each seed."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medical_transfer.config.study_targets import StudyTargets
from medical_transfer.data.cache import ImageCache
from medical_transfer.studies.attempt import is_end, sentence_of
from medical_transfer.studies.inner_session import Stages, run_stages
from medical_transfer.studies.place import Place
from medical_transfer.studies.targets import Target, parameters_of
from medical_transfer.studies.trials import Failure, Trial

logger = logging.getLogger(__name__)

READ = Stages(("ingestion",), ("classes", "image_cache", "audit"))
DIVIDED = Stages(("split",), ("manifest",))
SECOND = ("target_manifest", "target_image_cache")
NO_SECOND = Stages(("target_ingestion", "target_split"), SECOND)
"""Training takes the tables of a second site, which have no rows here."""
UNREAD = "not read"
"""Method of the failure of a target whose images cannot be used."""


@dataclass(frozen=True)
class Prepared:
    """A target that can be used: how it is read, its pixels, its manifest under each seed, and no second site."""

    target: Target
    cache: ImageCache
    manifests: Mapping[int, pd.DataFrame]
    second: Mapping[str, Any]


def prepare_targets(
    place: Place, targets: Sequence[Target], study: StudyTargets, seeds: Sequence[int]
) -> tuple[list[Prepared], list[Failure]]:
    """Read and divide the images of all targets; one that cannot be used is named, and the next one is read.

    Which images `max_images` takes is drawn by the first seed for all seeds, so that features are computed once.

    Raises:
        Exception: where the study was told to stop or the disk is full.
    """
    ready, failures = list[Prepared](), list[Failure]()
    for target in targets:
        try:
            ready.append(_prepare(place, target, study, seeds))
            logger.info("Study %s: the images of %s are divided", place.name, target.name)
        except Exception as error:
            if is_end(error):
                raise
            failures.append(Failure("", Trial(UNREAD, target.name, seeds[0]), math.nan, sentence_of(error)))
            logger.warning("Study %s: %s cannot be used: %s", place.name, target.name, sentence_of(error))
    return ready, failures


def _prepare(place: Place, target: Target, study: StudyTargets, seeds: Sequence[int]) -> Prepared:
    there = target.unpacked(place.session.run_root / "01_raw/shared")
    root, own = place.root / "prepared" / target.name, parameters_of(there, study)
    given = place.parameters_of(root / "images", seeds[0], own)
    handed = run_stages(place.session, READ, given, wanted=("audit", "image_cache", "classes"))
    manifests = {seed: _divide(place, place.parameters_of(root / str(seed), seed, own), handed) for seed in seeds}
    second = run_stages(place.session, NO_SECOND, given, wanted=SECOND)
    return Prepared(there, handed["image_cache"], manifests, second)


def _divide(place: Place, given: dict[str, Any], handed: Mapping[str, Any]) -> pd.DataFrame:
    manifest: pd.DataFrame = run_stages(place.session, DIVIDED, given, given=handed, wanted=("manifest",))["manifest"]
    return manifest
