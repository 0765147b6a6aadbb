"""Meta-training by the one `fit`: batches are episodes of some classes, judged on episodes of others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medical_transfer.config.few_shot import Budget, Drawn, MetaKind, MetaLearning
from medical_transfer.config.training import Training
from medical_transfer.data.episodes import EpisodeBatches, Shape, TaskSet
from medical_transfer.data.loaders import as_float
from medical_transfer.methods import META_LEARNING
from medical_transfer.methods.contract import Phase
from medical_transfer.methods.episodic import Episodic
from medical_transfer.models.episode_networks import ConvNetwork, EpisodeNetwork, FeatureNetwork
from medical_transfer.runtime.devices import device
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.training.fit import fit

HIDDEN = 4
"""Hidden units over cached features, times `width`."""
SMALLEST = 1e-6
"""A feature that varies less is divided by this."""


@dataclass(frozen=True)
class EpisodeFeed:
    """Episodes to learn from, anew in each epoch, and to be judged on, the same in each.

    `val` may be None: nothing is held back then, and episodes of `train` judge.
    """

    train: TaskSet
    val: TaskSet | None
    meta: MetaLearning
    own: Budget
    seed: int
    policy: str = "none"

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch of training: a round's share of the method's own."""
        return max(self.own.steps // self.meta.rounds, 1)

    def training(self, seed: int) -> EpisodeBatches:
        """One epoch of training."""
        drawn = self.meta.drawn_for(self.own)
        return self._batches(self.train, self.meta.shots, drawn, steps=self.steps_per_epoch, seed=seed)

    def validation(self) -> list[EpisodeBatches]:
        """Validation episodes with the most shots of meta-training."""
        steps, seed = -(-self.meta.val_episodes // self.meta.tasks), derive_seed(self.seed, "validation episodes")
        judged = self.train if self.val is None else self.val
        return [self._batches(judged, [max(self.meta.shots)], self.meta.asked, steps=steps, seed=seed)]

    @staticmethod
    def _batches(task_set: TaskSet, shots: list[int], drawn: Drawn, *, steps: int, seed: int) -> EpisodeBatches:
        return EpisodeBatches(task_set, shots=shots, steps=steps, seed=seed, **drawn._asdict())

    @staticmethod
    def as_float(inputs: Tensor) -> Tensor:
        """As for any other images and features."""
        return as_float(inputs)


def meta_train(
    kind: MetaKind, meta: MetaLearning, train: TaskSet, val: TaskSet | None, *, seed: int, folder: Path
) -> Episodic:
    """A method with the best weights that its budget led to; a killed run in `folder` is continued.

    Raises:
        UserError: where the episodes cannot be drawn, or training ends in NaN.
    """
    method, own = new_method(kind, meta, train, seed=seed), meta.budget_of(kind)
    most, drawn = max(meta.shots), meta.drawn_for(own)
    train.check(Shape(drawn.ways, most, drawn.queries), "meta-training")
    if val is not None:
        val.check(Shape(meta.ways, most, meta.queries), "meta-validation")
    feed = EpisodeFeed(train, val, meta, own, seed)

    def data_of(_phase: Phase) -> EpisodeFeed:
        return feed

    training = Training(
        epochs=meta.rounds, batch_size=max(meta.tasks, 2), patience=meta.rounds, number_format="fp32", compile="never"
    )
    fit(method, data_of, training=training, seed=derive_seed(seed, kind), folder=folder, name=kind)
    return method.to(device())


def new_method(kind: MetaKind, meta: MetaLearning, train: TaskSet, *, seed: int) -> Episodic:
    """A method with its network before meta-training; the same first weights for all methods under one seed."""
    method = META_LEARNING[kind]
    ways = meta.ways if method.has_head else None
    network = _network(meta, train, ways=ways, seed=derive_seed(seed, "init/meta"))
    return method(network, meta.budget_of(kind), ways=meta.ways, rounds=meta.rounds)


def _network(meta: MetaLearning, train: TaskSet, *, ways: int | None, seed: int) -> EpisodeNetwork:
    inputs = train.rows.views_V[0]
    if inputs.ndim > 2:
        return ConvNetwork(size=inputs.shape[1], width=meta.width, ways=ways, seed=seed)
    mean_D, std_D = feature_scale(train)
    return FeatureNetwork(mean_D=mean_D, std_D=std_D, hidden=HIDDEN * meta.width, ways=ways, seed=seed)


def feature_scale(train: TaskSet) -> tuple[Tensor, Tensor]:
    """Mean and deviation (D,) of the features of the classes that a set draws from."""
    mine_N = np.isin(train.rows.labels_N, train.classes)
    slots_M = train.rows.slots_VN[0][mine_N]
    features_MD = torch.from_numpy(np.asarray(train.rows.views_V[0][slots_M], dtype=np.float32))
    return features_MD.mean(dim=0), features_MD.std(dim=0).clamp(min=SMALLEST)
