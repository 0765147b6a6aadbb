"""Features and scores of all sources on the training images, each computed once, and the choice that they give."""

from __future__ import annotations

import math
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
from medical_transfer.runtime.stage import content_key, once, seconds_spent
from medical_transfer.transferability.choose import Candidate, choose
from medical_transfer.transferability.evidence import Evidence
from medical_transfer.transferability.rank import SourceScores, rankings, score_source
from medical_transfer.transferability.support import Basis

CONTROL = "random"
"""The untrained network: the floor, and the reference of paired scores."""

FEATURE_MODULES = tuple(
    f"medical_transfer.models.{name}"
    for name in (
        "architectures",
        "classifier",
        "features",
        "graph_facts",
        "graph_trunk",
        "onnx_source",
        "own_head",
        "runner",
        "seen",
        "stage_plan",
        "stages",
        "state_fit",
        "trunk",
    )
)
"""What shapes features and the probabilities of a source's own head; new heads, freezing and cards do not."""


@dataclass(frozen=True)
class Scoring:
    """What all sources of one ranking share."""

    rows: LabelledRows
    cache: ImageCache
    config: Transferability
    backbones: Backbones
    folders: Folders
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


def source_features(source: Source, scoring: Scoring) -> SourceFeatures:
    """Features and own probabilities of the training images under a source, computed once.

    Several sources side by side take the features of each, and have no head of their own.
    """
    if len(source.parts) > 1:
        return _side_by_side([source_features(part, scoring) for part in source.parts])
    key = content_key(
        inputs={"cache": scoring.cache.key, "source": source.identity, "images": list(scoring.rows.image_ids)},
        parameters=[],
        modules=FEATURE_MODULES,
    )

    def compute(folder: Path) -> None:
        from medical_transfer.models.features import write_features  # noqa: PLC0415 - brings torch

        write_features(
            source,
            pixels_NSS3=scoring.cache.pixels_NSS3,
            slots_n=scoring.rows.slots_N,
            backbones=scoring.backbones,
            packages_folder=scoring.folders.packages,
            folder=folder,
        )

    folder = once(scoring.folders.features, key, compute)
    features_ND, probabilities_NK, why_none = read_seen(folder)
    return SourceFeatures(features_ND, seconds_spent(folder), probabilities_NK, why_none)


def _side_by_side(each: list[SourceFeatures]) -> SourceFeatures:
    features_ND = np.hstack([found.features_ND for found in each])
    widths = tuple(found.features_ND.shape[1] for found in each)
    seconds = sum(found.seconds for found in each)
    return SourceFeatures(features_ND, seconds, None, Fused.no_head, widths)


def compare_sources(scoring: Scoring) -> dict[str, Any]:
    """Score and rank every source: all of `transferability.json` but the choice."""
    sources = [find_source(name, scoring.backbones) for name in scoring.config.sources]
    features = {source.name: source_features(source, scoring) for source in sources}
    reference = features[CONTROL].features_ND if CONTROL in features else None
    scores = {
        source.name: score_source(_evidence(source, features[source.name], reference, scoring)) for source in sources
    }
    for source in _best_side_by_side(sources, scores, scoring):
        sources.append(source)
        features[source.name] = source_features(source, scoring)
        scores[source.name] = score_source(_evidence(source, features[source.name], reference, scoring))
    return {
        "sources": [_row(source, features[source.name], scores[source.name]) for source in sources],
        "ranking": {k: list(v) for k, v in rankings({name: s.values for name, s in scores.items()}).items()},
        "images": len(scoring.rows),
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
        labels_N=scoring.rows.labels_N,
        groups_N=scoring.rows.groups_N,
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
    return [find_source(JOIN.join(best), scoring.backbones)]


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
