"""Models by simple means: images, augmentation, batch norm or frozen features made fit for the second site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from medical_transfer.config.medical_adaptation import MedicalAdaptation, SimpleMean
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import without_labels
from medical_transfer.data.histogram_matching import match_cache
from medical_transfer.data.manifest import readable, usable_rows
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.recipe import Recipe
from medical_transfer.pipelines.training.nodes import MODULES, train_once
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import DoesNotApplyError

Site = tuple[pd.DataFrame, ImageCache]


@dataclass(frozen=True)
class Asked:
    """What a simple mean is made from: both sites, what shapes models, where they go, and the one without it."""

    recipe: Recipe
    here: Site
    there: Site
    config: MedicalAdaptation
    root: Path
    source_only: TrainedModel


@dataclass(frozen=True)
class Made:
    """A model for the second site; `home` and `cache` are how the first site is seen where that differs."""

    model: TrainedModel
    home: TrainedModel | None = None
    cache: ImageCache | None = None


def histogram_matching(asked: Asked) -> Made:
    """Trained on images of the first site with the second one's grey levels; it takes the second's as they are."""
    (manifest, cache), (target_manifest, target_cache), recipe = asked.here, asked.there, asked.recipe
    looked_at = without_labels(readable(target_manifest, "train"), target_cache)
    matched = match_cache(
        cache,
        target_cache,
        used_n=without_labels(manifest[usable_rows(manifest)], cache).slots_N,
        train_n=without_labels(readable(manifest, "train"), cache).slots_N,
        target_train_m=looked_at.slots_N,
        rule=asked.config.histogram,
        seed=derive_seed(recipe.seed, "histogram_matching"),
        root=recipe.folders.images,
    )
    return Made(train_once(recipe, (manifest, matched), asked.there, asked.root), cache=matched)


def stronger_augmentation(asked: Asked) -> Made:
    """Trained under another policy.

    Raises:
        DoesNotApplyError: where that is the policy that all are trained under.
    """
    policy, augmentation = asked.config.stronger_policy, asked.recipe.augmentation
    if policy == augmentation.policy:
        raise DoesNotApplyError(
            f"medical_adaptation.stronger_policy is augmentation.policy, {policy}: set it to another one"
        )
    stronger = replace(asked.recipe, augmentation=augmentation.model_copy(update={"policy": policy}))
    return Made(train_once(stronger, asked.here, asked.there, asked.root))


def batch_norm(asked: Asked) -> Made:
    """The model that was trained at home, with batch norm statistics of the second site.

    Raises:
        DoesNotApplyError: where it has no batch norm.
    """
    target_manifest, target_cache = asked.there
    facts = {"model": asked.source_only.card.sha256, "cache": target_cache.key, "split": split_hash(target_manifest)}
    key = content_key(inputs={"batch_norm": facts}, parameters=[], modules=MODULES)

    def compute(folder: Path) -> None:
        from medical_transfer.training.batch_norm_reestimation import reestimate_batch_norm  # noqa: PLC0415 - torch
        from medical_transfer.training.learning_set import unlabelled_set  # noqa: PLC0415

        reestimate_batch_norm(asked.source_only, unlabelled_set(*asked.there, batch_size=2), folder)

    return Made(TrainedModel(once(asked.root, key, compute)), home=asked.source_only)


def feature_alignment(asked: Asked) -> Made:
    """A linear head on frozen features of the first site that are aligned to the second's."""
    (manifest, cache), (target_manifest, target_cache), recipe = asked.here, asked.there, asked.recipe
    ridge = asked.config.alignment_ridge
    key = content_key(
        inputs={
            "feature_alignment": ridge,
            "caches": [cache.key, target_cache.key],
            "splits": [split_hash(manifest), split_hash(target_manifest)],
            "source": recipe.source.identity,
            "threshold": [recipe.evaluation.threshold, recipe.evaluation.target],
            "positive": recipe.images.positive_class,
            "licence": recipe.images.licence,
            "seed": recipe.seed,
        },
        parameters=[recipe.model, recipe.training.as_read(), recipe.augmentation],
        modules=MODULES,
    )

    def compute(folder: Path) -> None:
        from medical_transfer.training.feature_alignment import align_features  # noqa: PLC0415 - brings torch
        from medical_transfer.training.learning_set import learning_set, unlabelled_set  # noqa: PLC0415

        learning = learning_set(manifest, cache, per_class=recipe.training.per_class, seed=recipe.seed)
        both = replace(learning, target=unlabelled_set(*asked.there, batch_size=2))
        align_features(recipe, both, ridge=ridge, split_hash=split_hash(manifest), folder=folder)

    return Made(TrainedModel(once(asked.root, key, compute)))


SIMPLE_MEANS: Mapping[SimpleMean, Callable[[Asked], Made]] = MappingProxyType(
    {
        "histogram_matching": histogram_matching,
        "stronger_augmentation": stronger_augmentation,
        "batch_norm": batch_norm,
        "feature_alignment": feature_alignment,
    }
)
"""Value of `medical_adaptation.simple_means` -> what makes its model."""


def make_all(asked: Asked) -> tuple[dict[str, Made], dict[str, str]]:
    """The models that can be made, and why the others cannot."""
    made: dict[str, Made] = {}
    left_out: dict[str, str] = {}
    for name in asked.config.simple_means:
        try:
            made[name] = SIMPLE_MEANS[name](asked)
        except DoesNotApplyError as error:
            left_out[name] = str(error)
    return made, left_out
