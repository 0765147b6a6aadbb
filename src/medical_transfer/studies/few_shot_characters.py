"""The drawings of the study of few-shot learning: decoded once, and divided into disjoint classes.

Quarter turns are classes of their own (Santoro et al. 2016) and stay with their character's part.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from medical_transfer.config.images import Images
from medical_transfer.config.study_few_shot import StudyFewShot
from medical_transfer.data.episodes import TaskSet, divide_classes, task_set
from medical_transfer.data.omniglot import OmniglotReader
from medical_transfer.runtime.files import sha256_of
from medical_transfer.runtime.provenance import SETS_BESIDE
from medical_transfer.runtime.seeds import generator
from medical_transfer.types import UserError

BESIDE = SETS_BESIDE / "omniglot_background.npz"
"""Where Omniglot is looked for where nothing else is said."""

Parts = tuple[TaskSet, TaskSet, TaskSet]
"""Meta-training, meta-validation, meta-test."""


def held_file(study: StudyFewShot) -> Path:
    """Omniglot's file.

    Raises:
        UserError: there is none.
    """
    held = study.characters or BESIDE
    if not held.is_file():
        raise UserError(
            f"Omniglot is looked for in {held}, which is no file: put omniglot_background.npz there, or name your file "
            "in study_few_shot.characters."
        )
    return held


def facts_of(study: StudyFewShot) -> dict[str, object]:
    """What the drawings are, for keys of trials."""
    return {"file": sha256_of(held_file(study)), "classes": list(study.classes), "size": study.size}


def divided(study: StudyFewShot) -> Parts:
    """The three sets of classes, under the same division for all methods and seeds.

    Raises:
        UserError: the file is missing or unlike Omniglot, or has too few characters.
    """
    reader = OmniglotReader(Images(kind="omniglot", root=held_file(study)), Path())
    found = reader.find()
    pictures = [reader.read(path) for path in found["path"]]
    side = (study.size, study.size)
    small = np.stack([np.asarray(Image.fromarray(each).resize(side, Image.Resampling.BOX)) for each in pictures])
    inputs_NSS3 = np.repeat(small[..., None], 3, axis=3)
    whole = task_set(inputs_NSS3, list(found["label"]), list(found["group_id"])).turned()
    train, val, test = divide_classes(whole.names_C, study.classes, generator(0, "study/characters"))
    return whole.only(train), whole.only(val), whole.only(test)
