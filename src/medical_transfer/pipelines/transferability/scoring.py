"""Features and scores of all sources on the training images, each computed once, and the choice that they give."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medical_transfer.config.backbones import JOIN, Backbones
from medical_transfer.config.folders import Folders
from medical_transfer.config.transferability import Transferability
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.models.backbones import find_source
from medical_transfer.models.seen import read_seen
from medical_transfer.models.source import Fused, Source
from medical_transfer.models.weights import Untrained
from medical_transfer.pipelines.transferability.feature_modules import FEATURE_MODULES
from medical_transfer.runtime.stage import content_key, once, seconds_spent
from medical_transfer.transferability.choose import Candidate, choose
from medical_transfer.transferability.evidence import Evidence
from medical_transfer.transferability.rank import SourceScores, rankings, score_source
from medical_transfer.transferability.support import Basis

CONTROL = "random"
"""The untrained network: the floor, and the reference of paired scores."""


@dataclass(frozen=True)
class Shown:
    """Images that sources are shown, whatever their labels, and where weights and features lie."""

    rows: LabelledRows
    cache: ImageCache
    backbones: Backbones
    folders: Folders


@dataclass(frozen=True)
class Scoring:
    """What all sources of one ranking share."""

    shown: Shown
    config: Transferability
    seed: int


class SourceFeatures(NamedTuple):
    """What a source makes of the N training images, and the seconds that it cost when it was computed."""

    features_ND: NDArray[np.float32]
    seconds: float
    probabilities_NK: NDArray[np.float32] | None
    """Of the source's own K classes; None: it has no head of its own, see `why_none`."""
    why_none: str | None
    widths: tuple[int, ...] = ()
    """Of several sources side by side: D of each."""


def source_features(source: Source, shown: Shown) -> SourceFeatures:
    """Features and own probabilities of images under a source, computed once.

    Several sources side by side take the features of each, and have no head of their own.
    """
    if len(source.parts) > 1:
        return _side_by_side([source_features(part, shown) for part in source.parts])

    def write(**where: Any) -> None:
        from medical_transfer.models.features import write_features  # noqa: PLC0415 - brings torch

        write_features(source, **where)

    folder = kept_features(source, shown, write, FEATURE_MODULES)
    features_ND, probabilities_NK, why_none = read_seen(folder)
    return SourceFeatures(features_ND, seconds_spent(folder), probabilities_NK, why_none)


def kept_features(source: Source, shown: Shown, write: Callable[..., None], modules: tuple[str, ...]) -> Path:
    """The folder that `write` fills with what a source makes of images, filled once.

    Args:
        source: what sees.
        shown: what it sees.
        write: takes `pixels_NSS3, slots_n, backbones, packages_folder, folder`.
        modules: what shapes that.
    """
    key = content_key(
        inputs={"cache": shown.cache.key, "source": source.identity, "images": list(shown.rows.image_ids)},
        parameters=[],
        modules=modules,
    )

    def compute(folder: Path) -> None:
        write(
            pixels_NSS3=shown.cache.pixels_NSS3,
            slots_n=shown.rows.slots_N,
            backbones=shown.backbones,
            packages_folder=shown.folders.packages,
            folder=folder,
        )

    return once(shown.folders.features, key, compute)


def _side_by_side(each: list[SourceFeatures]) -> SourceFeatures:
    features_ND = np.hstack([found.features_ND for found in each])
    widths = tuple(found.features_ND.shape[1] for found in each)
    seconds = sum(found.seconds for found in each)
    return SourceFeatures(features_ND, seconds, None, Fused.no_head, widths)


def compare_sources(scoring: Scoring) -> dict[str, Any]:
    """Score and rank every source: all of `transferability.json` but the choice."""
    sources = [find_source(name, scoring.shown.backbones) for name in scoring.config.sources]
    features = {source.name: source_features(source, scoring.shown) for source in sources}
    reference = features[CONTROL].features_ND if CONTROL in features else None
    scores = dict[str, SourceScores]()

    def score(source: Source) -> None:
        scores[source.name] = score_source(_evidence(source, features[source.name], reference, scoring))

    for source in sources:
        score(source)
    for source in _best_side_by_side(sources, scores, scoring):
        sources.append(source)
        features[source.name] = source_features(source, scoring.shown)
        score(source)
    return {
        "sources": [_row(source, features[source.name], scores[source.name]) for source in sources],
        "ranking": {k: list(v) for k, v in rankings({name: s.values for name, s in scores.items()}).items()},
        "images": len(scoring.shown.rows),
    }


def with_choice(scored: dict[str, Any], *, all_frozen: bool, chosen: str | None, basis: Basis) -> dict[str, Any]:
    """The content of `transferability.json`: what `compare_sources` gave, the source that is built, and on what basis.

    It is cheap and depends on what of the trunk may learn, so it is no part of the scores that are kept.
    """
    candidates = [
        Candidate(
            name=source["name"],
            fold_aurocs=tuple(source["fold_aurocs"]),
            parameters=source["parameters"],
            trainable=source["trainable"],
            control=source["untrained"],
            value=_number(source["scores"].get(basis.score, {}).get("value")),
        )
        for source in scored["sources"]
    ]
    choice = choose(candidates, all_frozen=all_frozen, chosen=chosen, basis=basis)
    agreement = [asdict(each) for each in basis.evidence] or None
    return {**scored, "chosen": choice.name, "reason": choice.why, "decided_by": basis.score, "agreement": agreement}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _evidence(
    source: Source, found: SourceFeatures, reference_NE: NDArray[np.float32] | None, scoring: Scoring
) -> Evidence:
    return Evidence(
        features_ND=found.features_ND,  # type: ignore[arg-type]
        widths=found.widths,
        labels_N=scoring.shown.rows.labels_N,
        groups_N=scoring.shown.rows.groups_N,
        reference_features_NE=None if source.name == CONTROL else reference_NE,  # type: ignore[arg-type]
        source_probabilities_NK=found.probabilities_NK,  # type: ignore[arg-type]
        parameters=source.parameters,
        source_accuracy=source.source_accuracy,
        folds=scoring.config.folds,
        seed=scoring.seed,
        source=source.name,
    )


def _best_side_by_side(sources: list[Source], scores: dict[str, SourceScores], scoring: Scoring) -> list[Source]:
    """The best sources by their probe as one more (`transferability.fuse`), unless two lack or it competes already."""
    single = [source.name for source in sources if len(source.parts) == 1 and not _untrained(source)]
    ranked = rankings({name: scores[name].values for name in single}).get("linear_probe", ())
    best = ranked[: scoring.config.fuse]
    if len(best) < 2 or set(best) in [{part.name for part in source.parts} for source in sources]:
        return []
    return [find_source(JOIN.join(best), scoring.shown.backbones)]


def _untrained(source: Source) -> bool:
    return all(isinstance(part.weights, Untrained) for part in source.parts)


def _row(source: Source, found: SourceFeatures, scores: SourceScores) -> dict[str, Any]:
    probabilities_NK = found.probabilities_NK
    return {
        "name": source.name,
        "domain": source.domain,
        "licence": source.licence,
        "trainable": source.trainable,
        "untrained": _untrained(source),
        "features": found.features_ND.shape[1],
        "own_classes": None if probabilities_NK is None else probabilities_NK.shape[1],
        "no_probabilities": found.why_none,
        "parameters": source.parameters,
        "source_accuracy": source.source_accuracy,
        "seconds": round(found.seconds, 3),
        "scores": {name: asdict(value) for name, value in scores.values.items()},
        "fold_aurocs": list(scores.fold_aurocs),
    }
