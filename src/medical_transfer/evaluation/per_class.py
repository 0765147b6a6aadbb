"""Each class by itself: a mean over classes hides the one that is never found.

Shapes: N images, C classes.
"""

from __future__ import annotations

from functools import partial
from typing import TypedDict

import numpy as np

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.scored import Scored
from medical_transfer.metrics.classification import class_auprc, class_auroc, class_precision, class_recall, one_hot
from medical_transfer.metrics.intervals import Statistic, bootstrap_counts, intervals, strata
from medical_transfer.runtime.seeds import generator
from medical_transfer.types import MetricRow


class OfClass(TypedDict):
    """One class against the rest: its images and groups, and metrics over all images."""

    name: str
    n: int
    groups: int
    prevalence: float
    metrics: dict[str, MetricRow]


def per_class(scored: Scored, config: Evaluation, seed: int) -> list[OfClass]:
    """Recall, precision, AUROC and AUPRC of each class; a class without an image has NaN. Nothing without images."""
    if not scored.labels_N.size:
        return []
    decided_NC = one_hot(scored.decided_N, len(scored.classes))
    asked: dict[str, Statistic] = {}
    for code, name in enumerate(scored.classes):
        of_class = {"recall": class_recall, "precision": class_precision}
        ranked = {"auroc": class_auroc, "auprc": class_auprc}
        asked |= {
            f"{metric}/{name}": partial(f, scored.labels_N, decided_NC, of=code) for metric, f in of_class.items()
        }
        asked |= {
            f"{metric}/{name}": partial(f, scored.labels_N, scored.probabilities_NC, of=code)
            for metric, f in ranked.items()
        }
    rng = generator(seed, f"bootstrap/per_class/{scored.split}")
    chunks = bootstrap_counts(scored.groups_N, strata(scored.labels_N, scored.groups_N), config.resamples, rng)
    found = intervals(asked, chunks, config.coverage)
    images, groups = scored.labels_N.size, np.unique(scored.groups_N).size
    rows = {name: each.row(int(images), int(groups)) for name, each in found.items()}
    return [_of_class(scored, code, rows) for code in range(len(scored.classes))]


def _of_class(scored: Scored, code: int, rows: dict[str, MetricRow]) -> OfClass:
    mine_N, name = scored.labels_N == code, scored.classes[code]
    return OfClass(
        name=name,
        n=int(mine_N.sum()),
        groups=int(np.unique(scored.groups_N[mine_N]).size),
        prevalence=float(mine_N.mean()),
        metrics={metric: rows[f"{metric}/{name}"] for metric in ("recall", "precision", "auroc", "auprc")},
    )
