"""Baselines on the cached features of a source: judged over episodes, and one of them saved as a classifier.

Features are standardised by all training images, whose labels are not looked at for that.
Shapes: N images of a split, K of a support set, D features, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from medical_transfer.config.images import Images
from medical_transfer.config.medical_few_shot import MedicalFewShot
from medical_transfer.config.model import Model
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.data.episodes import Shape, Task, TaskSet, task_set
from medical_transfer.data.readers import licence_of
from medical_transfer.evaluation.episodes import judge
from medical_transfer.evaluation.few_shot_baselines import BASELINES, LINEAR, answer
from medical_transfer.models.building import build
from medical_transfer.models.card import ModelCard, source_facts
from medical_transfer.models.checkpoint import save_checkpoint
from medical_transfer.models.classifier import Standardise
from medical_transfer.models.source import Source
from medical_transfer.pipelines.transferability.scoring import Shown, SourceFeatures, source_features
from medical_transfer.training.finish import positive_of


@dataclass(frozen=True)
class Made:
    """What the saved classifier is made from, beside the features."""

    kind: str
    classes: tuple[str, ...]
    images: Images
    own: MedicalFewShot
    split_hash: str


def judged(
    source: Source, shown: Mapping[str, Shown], classes: Sequence[str], own: MedicalFewShot, *, seed: int
) -> pd.DataFrame:
    """Accuracy of each baseline on the same episodes of each split: `split, method, episode, accuracy, seconds`.

    Raises:
        UserError: where a split has too few images of a class for an episode.
    """
    features = {split: source_features(source, each) for split, each in shown.items()}
    standardise, shape = _standardise(features["train"]), Shape(len(classes), own.shots, own.queries)
    tables = []
    for split, found in features.items():
        tasks = _tasks(standardise(_tensor(found)), shown[split].rows, classes)
        for name in BASELINES:
            result = judge(_asked(name, shape.ways), tasks, shape, episodes=own.episodes, seed=seed)
            told = {"split": split, "method": name, "episode": range(own.episodes), "accuracy": result.accuracy_E}
            tables.append(pd.DataFrame({**told, "seconds": result.seconds_per_task}))
    return pd.concat(tables, ignore_index=True)


def save_classifier(source: Source, shown: Shown, made: Made, *, folder: Path, seed: int) -> None:
    """Make the classifier from one draw of training images, each of another patient, and save it with its card.

    Its probabilities are not calibrated and its threshold is one half: so few images allow neither.

    Raises:
        UserError: where a class has too few images.
    """
    features, ways = source_features(source, shown), len(made.classes)
    standardise, shape = _standardise(features), Shape(ways, made.own.shots, 0)
    tasks = _tasks(standardise(_tensor(features)), shown.rows, made.classes)
    tasks.check(shape, "the classifier")
    episode = tasks.draw(shape, np.random.default_rng(seed))
    order = _by_class(tasks, episode.rows_M)
    known_KD = torch.from_numpy(tasks.rows.views_V[0][order])
    weights_CD, biases_C = LINEAR[made.kind](known_KD, torch.from_numpy(tasks.rows.labels_N[order]), ways=ways)
    model = Model(head="linear", freeze="all")
    network = build(
        source, model, classes=ways, seed=0, backbones=shown.backbones, packages_folder=shown.folders.packages
    )
    network.standardise.load_state_dict(standardise.state_dict())
    last = next(module for module in network.head.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        last.weight.copy_(weights_CD)
        last.bias.copy_(biases_C)
    save_checkpoint(folder, network.eval(), _card(source, shown, made, model))


def _card(source: Source, shown: Shown, made: Made, model: Model) -> ModelCard:
    positive = positive_of(made.classes, made.images.positive_class)
    return ModelCard(
        kind=f"few_shot/{made.kind}",
        **source_facts(source),
        head=model.head,
        dropout=model.dropout,
        classes=made.classes,
        positive_class=positive,
        size=made.images.size,
        fit=made.images.fit,
        threshold=None if positive is None else 0.5,
        split_hash=made.split_hash,
        data_fingerprint=shown.cache.meta["fingerprint"],
        data_licence=licence_of(made.images),
    )


def _standardise(train: SourceFeatures) -> Standardise:
    found = Standardise(*(train.widths or (train.features_ND.shape[1],)))
    found.fit(_tensor(train))
    return found


def _tensor(found: SourceFeatures) -> Tensor:
    return torch.from_numpy(np.array(found.features_ND, dtype=np.float32))


def _tasks(features_ND: Tensor, rows: LabelledRows, classes: Sequence[str]) -> TaskSet:
    labels = [classes[number] for number in rows.labels_N]
    return task_set(features_ND.numpy(), labels, [str(group) for group in rows.groups_N])


def _by_class(tasks: TaskSet, rows_K: np.ndarray) -> np.ndarray:
    """Rows of an episode in the order of the classes."""
    return np.asarray(rows_K[np.argsort(tasks.rows.labels_N[rows_K], kind="stable")])


def _asked(name: str, ways: int) -> Callable[[Task], Tensor]:
    def asked(task: Task) -> Tensor:
        return answer(name, task.support, task.labels, task.query, ways=ways)

    return asked
