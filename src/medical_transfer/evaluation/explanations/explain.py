"""From a finished model and chosen test images to maps, and to what the tests of these maps say.

Every finished part lies in the result's folder, so a run that was stopped goes on after the last one.
Shapes: N images, maps (N, g, g).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from medical_transfer.config.explain import Explain
from medical_transfer.data.cache import ImageCache
from medical_transfer.evaluation.explanations.grad_cam import Opened, grad_cam
from medical_transfer.evaluation.explanations.map_table import map_table, maps_of
from medical_transfer.evaluation.explanations.occlusion import occlusion
from medical_transfer.evaluation.explanations.randomised import LEVELS, check_level, randomised
from medical_transfer.evaluation.explanations.rivals import compared, curves_of
from medical_transfer.evaluation.explanations.sanity import between_images, correlations, judged
from medical_transfer.evaluation.explanations.score import LogOdds, log_odds
from medical_transfer.evaluation.explanations.words import CAUTIONS, alarms, sentences
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.runner import as_images, fast_runner
from medical_transfer.runtime.devices import device
from medical_transfer.runtime.files import atomic_path, read_json, write_json
from medical_transfer.runtime.progress import progress
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.types import DoesNotApplyError

MAPS_FILE, TOLD_FILE = "maps.parquet", "explanations.json"
Maps = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What is explained, and how.

    Attributes:
        model: the finished model.
        rows: from `medical_transfer.evaluation.explanations.chosen.choose`.
        cache: holds the pixels of these rows.
        asked: the block `explain`.
        resamples: behind each interval.
        coverage: of the intervals.
        seed: root of all that is random here.
    """

    model: TrainedModel
    rows: pd.DataFrame
    cache: ImageCache
    asked: Explain
    resamples: int
    coverage: float
    seed: int

    @cached_property
    def classifier(self) -> Classifier:
        """The trained network, where it computes fastest."""
        return load_checkpoint(self.model.folder)[0].to(device())

    @cached_property
    def run(self) -> Callable[[Tensor], Tensor]:
        """Logits (N, C) of the trained network."""
        return fast(self.classifier, self.size)

    @property
    def size(self) -> int:
        """S."""
        return int(self.cache.meta["size"])

    def images(self, rows: pd.DataFrame) -> Tensor:
        """(n, 3, S, S) in [0, 1]."""
        return as_images(self.cache.pixels_NSS3[self.cache.slots(rows["image_id"])])

    def measured(self, count: int | None = None) -> pd.DataFrame:
        """Rows on which maps are tested; the first so many of them."""
        return self.rows[self.rows["measured"]].head(count if count is not None else len(self.rows))

    @property
    def interval(self) -> dict[str, Any]:
        """Settings of all intervals."""
        return {
            "resamples": self.resamples,
            "coverage": self.coverage,
            "seed": derive_seed(self.seed, "explain/bootstrap"),
        }


def explain_into(folder: Path, task: Task) -> None:
    """Write `maps.parquet` and `explanations.json`; parts that are there already are not made again."""
    reasons = not_applying(task)
    table = _table_once(folder / MAPS_FILE, partial(_all_maps, task, reasons))
    told: dict[str, Any] = {"methods": {name: _facts(name, table, reasons) for name in task.asked.methods}}
    for name in task.asked.methods:
        if name not in reasons:
            maps_Ngg = maps_of(table, name, task.measured()["image_id"])
            for part, make in (("sanity", sanity_of), ("rivals", rivals_of)):
                told["methods"][name][part] = _once(folder / f"{part}_{name}.json", partial(make, task, name, maps_Ngg))
            told["methods"][name]["between_images"] = between_images(maps_Ngg)
    told["about"] = {
        "shown": int(task.rows["shown"].sum()),
        "measured": len(task.measured()),
        "sanity_images": len(task.measured(task.asked.sanity_images)),
        "patch": task.asked.occlusion.sides(task.size)[0],
        "size": task.size,
        "classes": list(task.model.card.classes),
    }
    said = {"alarms": alarms(told), "sentences": sentences(told), "cautions": list(CAUTIONS)}
    write_json(folder / TOLD_FILE, {**told, **said})


def not_applying(task: Task) -> dict[str, str]:
    """Why a method is impossible for this model."""
    if "grad_cam" in task.asked.methods:
        try:
            Opened(task.classifier, task.size)
        except DoesNotApplyError as error:
            return {"grad_cam": str(error)}
    return {}


def sanity_of(task: Task, method: str, maps_Ngg: Maps) -> dict[str, Any]:
    """Each level of random weights -> how far a method's maps stay the same, or the reason why it is not known."""
    rows = task.measured(task.asked.sanity_images)
    trained_Ngg, groups_N = maps_Ngg[: len(rows)], _codes(rows)
    images, told = task.images(rows).to(device()), {}
    for level in LEVELS:
        try:
            check_level(task.classifier, level)
        except DoesNotApplyError as error:
            told[level] = {"mean": None, "reason": str(error), "verdict": "unclear"}
            continue
        seeds = [derive_seed(task.seed, f"explain/{level}/{number}") for number in range(task.asked.repeats)]
        random_RNgg = np.stack(
            [
                mapped(task, method, randomised(task.classifier, level, images, seed), rows)
                for seed in progress(seeds, f"Random weights of {LEVELS[level]}", unit="network")
            ]
        )
        told[level] = judged(correlations(trained_Ngg, random_RNgg), groups_N, **task.interval)
    return told


def rivals_of(task: Task, method: str, maps_Ngg: Maps) -> dict[str, Any]:
    """Deletion and insertion by a method's maps, and by rival orders."""
    rows, temperature = task.measured(), task.model.card.temperature

    def probability(target: int, images: Tensor) -> Tensor:
        return (task.run(images).double() / temperature).softmax(dim=1)[:, target]

    curves = curves_of(
        probability,
        task.images(rows),
        rows["said_number"].to_numpy(),
        maps_Ngg,
        steps=task.asked.steps,
        random_orders=task.asked.random_orders,
        rng=np.random.default_rng(derive_seed(task.seed, f"explain/orders/{method}")),
    )
    return compared(curves, _codes(rows), **task.interval)


def mapped(task: Task, method: str, classifier: Classifier | None, rows: pd.DataFrame) -> Maps:
    """Maps (N, g, g) of some rows, by the trained network or by another one."""
    images, targets_N = task.images(rows), torch.tensor(rows["said_number"].tolist())
    if method == "grad_cam":
        opened, where = Opened(classifier or task.classifier, task.size), device()
        return grad_cam(LogOdds(opened), opened.map, images.to(where), targets_N.to(where))
    patch, stride = task.asked.occlusion.sides(task.size)
    run = task.run if classifier is None else fast(classifier, task.size)
    return occlusion(lambda hidden: log_odds(run(hidden)), images, targets_N, patch=patch, stride=stride)


def fast(classifier: Classifier, size: int) -> Callable[[Tensor], Tensor]:
    """Logits (N, C) of images, by the fastest way on this machine."""
    network = fast_runner(classifier, outputs=("logits",), size=size)
    return lambda images: torch.from_numpy(network(images)[0])


def _all_maps(task: Task, reasons: dict[str, str]) -> pd.DataFrame:
    methods = [name for name in task.asked.methods if name not in reasons]
    return map_table({name: mapped(task, name, None, task.rows) for name in methods}, task.rows["image_id"])


def _facts(name: str, table: pd.DataFrame, reasons: dict[str, str]) -> dict[str, Any]:
    if name in reasons:
        return {"reason": reasons[name]}
    return {"reason": None, "cells": int(table.loc[table["method"] == name, "side"].iloc[0])}


def _codes(rows: pd.DataFrame) -> NDArray[np.int64]:
    return pd.factorize(rows["group_id"])[0].astype(np.int64)


def _table_once(path: Path, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    if not path.is_file():
        with atomic_path(path) as temporary:
            make().to_parquet(temporary, index=False)
    return pd.read_parquet(path)


def _once(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if not path.is_file():
        write_json(path, make())
    content: dict[str, Any] = read_json(path)
    return content
