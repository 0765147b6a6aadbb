"""What a teacher tells of the training images, computed before the first step: once for each cached view.

The teacher is frozen, so that what it makes of a view never changes. Where the student learns from images, it learns
from the very views that the teacher saw, rounded to 8 bits; where from activations, they are of the same views.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medical_transfer.data.loaders import Rows
from medical_transfer.methods.contract import Phase
from medical_transfer.models.features import Views
from medical_transfer.models.recipe import Recipe
from medical_transfer.models.teacher import Teacher
from medical_transfer.training.cached_views import cached_pictures, cached_views, views_of
from medical_transfer.training.learning_set import LearningSet


@dataclass(frozen=True)
class Lesson:
    """Of each view the teacher's answers (`told_V[name][v]`, a row per training image), and where needed its pictures.

    Pictures have slots of their own: view 0 lies in the image cache.
    """

    told_V: Mapping[str, tuple[NDArray[Any], ...]]
    pictures_V: tuple[NDArray[np.uint8], ...] = ()

    def beside(self, rows: Rows, phase: Phase) -> Rows:
        """The training rows of a phase with what is told of them; images under all views that were seen."""
        if phase.cut > 0:
            return replace(rows, told_V=self.told_V)
        more = (np.arange(len(rows)),) * len(self.pictures_V)
        views_V, slots_VN = (*rows.views_V, *self.pictures_V), (*rows.slots_VN, *more)
        return replace(rows, views_V=views_V, slots_VN=slots_VN, told_V=self.told_V)


def learn_lesson(
    teacher: Teacher, learning: LearningSet, recipe: Recipe, *, map_cut: int | None, pictures: bool
) -> Lesson:
    """Let a teacher look at the training images once, as they are and under each view.

    Args:
        teacher: who tells.
        learning: its training rows are looked at.
        recipe: the views, and where they are kept.
        map_cut: the stage of the teacher before which its map is told too; None: no map is.
        pictures: whether a phase learns from images.
    """
    views = views_of(recipe)
    stores = []
    for number, member in enumerate(teacher.members):
        end = len(member.trunk.stage_names)
        cuts = (end,) if map_cut is None else (map_cut, end)
        identity = [teacher.identity, number]
        store = cached_views(member, identity, cuts, learning.train, learning.cache, recipe, views)
        stores.append((store, end))
    told = [_told(teacher, stores, view) for view in range(views + 1)]
    told_V: dict[str, tuple[NDArray[Any], ...]] = {name: tuple(each[name] for each in told) for name in told[0]}
    if map_cut is not None:
        told_V["map"] = tuple(stores[0][0].array(map_cut, view) for view in range(views + 1))
    shown = cached_pictures(learning.train, learning.cache, recipe) if pictures else ()
    return Lesson(told_V, shown)


def _told(teacher: Teacher, stores: list[tuple[Views, int]], view: int) -> dict[str, NDArray[Any]]:
    """Logits and features of all training images under one view."""
    features = [torch.from_numpy(np.array(store.array(end, view))) for store, end in stores]
    return {name: told.numpy() for name, told in teacher.judge(features).items()}
