"""Both sites under one backbone: their features, the distances between them, overall and within classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.domain_distance import DomainDistance
from medical_transfer.config.folders import Folders
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import without_labels
from medical_transfer.models.source import Source
from medical_transfer.pipelines.transferability.scoring import Shown, source_features
from medical_transfer.transferability.distances import TwoDomains
from medical_transfer.transferability.distances.conclusion import conclude
from medical_transfer.transferability.distances.measured import DistanceValue, measure_all
from medical_transfer.transferability.distances.two_domains import FEWEST_GROUPS

DOMAINS = ("source", "target")


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how: `rows` as the node `draw_rows` gives them, one cache for each domain."""

    rows: pd.DataFrame
    caches: Mapping[str, ImageCache]
    source: Source
    config: DomainDistance
    backbones: Backbones
    folders: Folders
    seed: int


@dataclass(frozen=True, eq=False)
class Side:
    """Images of one domain: features (N, D), patients, and classes (null where unknown)."""

    features_ND: np.ndarray
    groups_N: np.ndarray
    labels_N: np.ndarray
    seconds: float = 0.0

    def of_class(self, label: str) -> Side:
        """Those of one class."""
        mine_N = self.labels_N == label
        return Side(self.features_ND[mine_N], self.groups_N[mine_N], self.labels_N[mine_N])

    @property
    def facts(self) -> dict[str, int]:
        """How many there are."""
        return {"images": len(self.groups_N), "groups": len(np.unique(self.groups_N))}


def compare(comparison: Comparison) -> tuple[dict[str, Any], pd.DataFrame]:
    """The content of `domain_distance.json`, and the rows with their places on a plane."""
    sides = tuple(_side(comparison, domain) for domain in DOMAINS)
    overall = _distances(sides, comparison)
    labels = sorted(set.intersection(*({*side.labels_N} - {None} for side in sides)))
    within = {label: tuple(side.of_class(label) for side in sides) for label in labels}
    enough = {label: pair for label, pair in within.items() if min(s.facts["groups"] for s in pair) >= FEWEST_GROUPS}
    per_class = {label: _distances(pair, comparison) for label, pair in enough.items()}
    told = {
        "conclusion": conclude(overall, per_class, comparison.source.name),
        "backbone": comparison.source.name,
        "splits": {domain: sorted(_of(comparison.rows, domain)["split"].unique()) for domain in DOMAINS},
        "feature_seconds": {domain: round(side.seconds, 3) for domain, side in zip(DOMAINS, sides, strict=True)},
        "overall": _told(sides, overall),
        "per_class": {label: _told(pair, per_class.get(label)) for label, pair in within.items()},
    }
    return told, _plane(comparison, sides)


def _of(rows: pd.DataFrame, domain: str) -> pd.DataFrame:
    return rows[rows["domain"] == domain]


def _side(comparison: Comparison, domain: str) -> Side:
    rows, cache = _of(comparison.rows, domain), comparison.caches[domain]
    labels_N = rows["label"].astype(object).where(rows["label"].notna(), None).to_numpy(dtype=object)
    unlabelled = without_labels(rows, cache)
    found = source_features(comparison.source, Shown(unlabelled, cache, comparison.backbones, comparison.folders))
    return Side(np.asarray(found.features_ND), unlabelled.groups_N, labels_N, found.seconds)


def _distances(sides: tuple[Side, ...], comparison: Comparison) -> dict[str, DistanceValue]:
    source, target = sides
    domains = TwoDomains(
        source_ND=source.features_ND,
        target_MD=target.features_ND,
        source_groups_N=source.groups_N,
        target_groups_M=target.groups_N,
        seed=comparison.seed,
    )
    config = comparison.config
    return measure_all(domains, permutations=config.permutations, frechet_permutations=config.frechet_permutations)


def _told(sides: tuple[Side, ...], distances: Mapping[str, DistanceValue] | None) -> dict[str, Any]:
    counts = {domain: side.facts for domain, side in zip(DOMAINS, sides, strict=True)}
    if distances is None:
        reason = f"fewer than {FEWEST_GROUPS} independent groups in one of the sites"
        return {**counts, "distances": {}, "reason": reason}
    return {**counts, "distances": {name: asdict(value) for name, value in distances.items()}, "reason": None}


def _plane(comparison: Comparison, sides: tuple[Side, ...]) -> pd.DataFrame:
    """The rows with `first` and `second`, their two leading principal components over both domains together."""
    pooled_PD = np.concatenate([side.features_ND for side in sides]).astype(np.float64)
    components = PCA(n_components=min(2, pooled_PD.shape[1]), svd_solver="full").fit_transform(pooled_PD)
    second_P = components[:, 1] if components.shape[1] > 1 else np.zeros(len(pooled_PD))
    return comparison.rows.assign(first=components[:, 0], second=second_P)
