"""The rows of each phase: images where the whole network learns, else activations that are computed once and cached."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch

from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.data.loaders import Rows
from medical_transfer.methods.contract import Phase
from medical_transfer.models.activation_map import worst
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.features import Views
from medical_transfer.models.recipe import Recipe
from medical_transfer.models.weights import Untrained
from medical_transfer.training.cached_views import cached_views
from medical_transfer.training.data import PhaseData
from medical_transfer.training.learning_set import LearningSet
from medical_transfer.training.lesson import Lesson

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhaseRows:
    """Training and validation rows of a recipe, at every cut where a phase of it begins.

    `views` is the number of augmented views of a training image in the cache; validation has none. `target` are the
    training and validation rows of a second site, where there is one; `lesson` is what a teacher told beforehand.
    """

    learning: LearningSet
    recipe: Recipe
    train: Views | None
    val: Views | None
    views: int
    target: tuple[Views, Views] | None = None
    lesson: Lesson | None = None

    def of(self, phase: Phase) -> PhaseData:
        """Rows for one phase."""
        source = self.learning
        if phase.cut == 0 or self.val is None:
            learn, judge = (_images(source.cache, part) for part in (source.train, source.val))
        else:
            assert self.train is not None
            learn = _activations(self.train, phase.cut, self.views, source.train)
            judge = _activations(self.val, phase.cut, 0, source.val)
        policy = self.recipe.augmentation.policy
        if self.lesson is not None:
            learn, policy = self.lesson.beside(learn, phase), "none"
        beside, judge_beside = self._of_target(phase)
        training = self.recipe.training
        return PhaseData(
            learn,
            judge,
            training.batch_size,
            policy,
            steps=training.steps_per_epoch,
            target=beside if phase.pairs else None,
            target_val=judge_beside,
            twice=phase.twice,
        )

    def _of_target(self, phase: Phase) -> tuple[Rows | None, Rows | None]:
        """Training and validation rows of the second site."""
        site = self.learning.target
        if site is None:
            return None, None
        if phase.cut == 0 or self.target is None:
            return _images(site.cache, site.train), _images(site.cache, site.val)
        train, val = self.target
        return _activations(train, phase.cut, self.views, site.train), _activations(val, phase.cut, 0, site.val)


def prepare_rows(
    phases: tuple[Phase, ...],
    classifier: Classifier,
    learning: LearningSet,
    recipe: Recipe,
    lesson: Lesson | None = None,
) -> PhaseRows:
    """Compute what is frozen in each phase, once, and fit the classifier's feature scale to the training images.

    Where all of an untrained network learns at once the scale stays as it is: what its random features measure says
    nothing about those that it will have.
    """
    if isinstance(recipe.source.weights, Untrained) and all(phase.frozen == 0 for phase in phases):
        return PhaseRows(learning, recipe, None, None, 0, lesson=lesson)
    cuts = {phase.cut for phase in phases if phase.cut > 0}
    views = recipe.augmentation.views if cuts and recipe.augmentation.policy != "none" else 0
    end = len(classifier.trunk.stage_names)
    wanted = tuple(sorted({*cuts, end}))
    identity = recipe.source.identity

    def cached(cuts: tuple[int, ...], rows: LabelledRows, cache: ImageCache, views: int) -> Views:
        return cached_views(classifier, identity, cuts, rows, cache, recipe, views)

    train = cached(wanted, learning.train, learning.cache, views)
    val, target = None, None
    if cuts:
        inner, site = tuple(sorted(cuts)), learning.target
        val = cached(inner, learning.val, learning.cache, 0)
        if site is not None:
            target = (
                cached(inner, site.train, site.cache, views),
                cached(inner, site.val, site.cache, 0),
            )
        _tell_rounding((train, val, *(target or ())), classifier.trunk.stage_names, cuts)
    mapped_ND = np.load(train.path(end, 0), mmap_mode="c")  # torch wants what it could write to
    classifier.standardise.fit(torch.from_numpy(mapped_ND))
    return PhaseRows(learning, recipe, train, val, views, target, lesson)


def _tell_rounding(stores: tuple[Views, ...], stages: tuple[str, ...], cuts: set[int]) -> None:
    """Say what the cache of each inner cut costs in precision; at the end of the trunk it costs nothing."""
    for cut in sorted(cuts - {len(stages)}):
        cost = worst([store.rounding(cut) for store in stores])
        logger.info("Activations before stage '%s' are cached %s", stages[cut], cost)


def _images(cache: ImageCache, part: LabelledRows) -> Rows:
    return Rows((cache.pixels_NSS3,), (part.slots_N,), part.labels_N)


def _activations(store: Views, cut: int, views: int, rows: LabelledRows) -> Rows:
    arrays = tuple(store.array(cut, view) for view in range(views + 1))
    return Rows(arrays, (np.arange(len(rows)),) * len(arrays), rows.labels_N)
