"""Validation images of both sites under each model: features that are kept, and what is made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medical_transfer.config.folders import Folders
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import LabelledRows, labelled_rows, without_labels
from medical_transfer.data.manifest import readable
from medical_transfer.models.card import TrainedModel
from medical_transfer.pipelines.adaptation.candidates import TASK
from medical_transfer.pipelines.adaptation.simple_means import Made
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.seeds import generator
from medical_transfer.runtime.stage import content_key, once

FOLDER = "both_sites"
MODULES = [
    f"medical_transfer.{name}"
    for name in ("models", "evaluation.both_sites", "evaluation.embedded", "methods.adaptation", "metrics")
]


@dataclass(frozen=True)
class Sites:
    """Manifest and pixels of each site, and where results are kept."""

    here: tuple[pd.DataFrame, ImageCache]
    there: tuple[pd.DataFrame, ImageCache]
    folders: Folders


def at_home(made: Made) -> dict[str, str | None]:
    """How the first site is seen, as keys: by another model, or in another cache."""
    return {
        "model": made.home.folder.name if made.home else None,
        "cache": made.cache.folder.name if made.cache else None,
    }


def draw_validation(sites: Sites, at_most: int, seed: int) -> tuple[LabelledRows, LabelledRows]:
    """Validation images of the first site with their labels, and of the second without."""
    (manifest, cache), (target_manifest, target_cache) = sites.here, sites.there
    here, val = labelled_rows(manifest, cache, "val"), readable(target_manifest, "val")
    places = [generator(seed, f"invariance/{name}") for name in ("source", "target")]
    mine, theirs = (
        np.sort(rng.permutation(count)[:at_most]) for rng, count in zip(places, (len(here), len(val)), strict=True)
    )
    return here.take(mine), without_labels(val.iloc[theirs], target_cache)


def embed(name: str, candidates: Mapping[str, Any], sites: Sites, drawn: tuple[LabelledRows, LabelledRows]) -> str:
    """Key of the features of both sites under one model, made once."""
    root, homes = sites.folders.models / TASK, candidates["at_home"].get(name, {})
    model = TrainedModel(root / candidates["keys"][name])
    home = TrainedModel(root / homes["model"]) if homes.get("model") else model
    cache = ImageCache(sites.folders.images / homes["cache"]) if homes.get("cache") else sites.here[1]
    facts = {
        "models": [home.card.sha256, model.card.sha256],
        "temperature": home.card.temperature,
        "caches": [cache.key, sites.there[1].key],
        "images": [[list(rows.image_ids), rows.groups_N.tolist(), rows.labels_N.tolist()] for rows in drawn],
    }
    key = content_key(inputs=facts, parameters=[], modules=MODULES)

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.both_sites import Shown, write_both_sites  # noqa: PLC0415 - brings torch

        write_both_sites(Shown(home, cache, drawn[0]), Shown(model, sites.there[1], drawn[1]), folder)

    return once(sites.folders.predictions / FOLDER, key, compute).name


def source_scores_of(folders: Folders, key: str) -> dict[str, float]:
    """Scores that rest on the source's labels, NaN where there is no value."""
    found = read_json(folders.predictions / FOLDER / key / "judged.json")
    return {name: float("nan") if value is None else float(value) for name, value in found.items()}


def distance(folders: Folders, key: str, seed: int) -> float:
    """Proxy A-distance of the sites by these features."""
    made = content_key(inputs={"features": key, "seed": seed}, parameters=[], modules=["medical_transfer.metrics"])

    def compute(folder: Path) -> None:
        from medical_transfer.metrics.invariance import proxy_a_distance  # noqa: PLC0415

        found = features_of(folders, key)
        apart = proxy_a_distance(
            found["source"],
            found["target"],
            generator(seed, "invariance"),
            source_groups_N=found["source_groups"],
            target_groups_M=found["target_groups"],
        )
        write_json(folder / "invariance.json", apart)

    return float(read_json(once(folders.predictions / "invariance", made, compute) / "invariance.json"))


def plane(folders: Folders, key: str) -> pd.DataFrame:
    """The images of both sites (`domain`) at their two leading principal components (`first`, `second`)."""
    from sklearn.decomposition import PCA  # noqa: PLC0415 - seconds that only this node should pay

    found = features_of(folders, key)
    pooled_PH = np.concatenate([found["source"], found["target"]])
    fitted = PCA(n_components=min(2, *pooled_PH.shape), svd_solver="full").fit(pooled_PH)
    places = fitted.transform(pooled_PH)
    second_P = places[:, 1] if places.shape[1] > 1 else np.zeros(len(places))
    domain = np.repeat(["source", "target"], [len(found["source"]), len(found["target"])])
    return pd.DataFrame({"domain": domain, "first": places[:, 0], "second": second_P})


def features_of(folders: Folders, key: str) -> dict[str, np.ndarray]:
    """Features and groups of both sites."""
    with np.load(folders.predictions / FOLDER / key / "features.npz", allow_pickle=False) as saved:
        return {name: saved[name].astype(np.int64 if name.endswith("groups") else np.float64) for name in saved.files}
