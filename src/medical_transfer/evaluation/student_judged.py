"""Teacher, student alone, student distilled and the graphs that are shipped, measured on the same images.

Every difference is paired: both models on the same resamples of whole groups (`compare`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.compare import compare
from medical_transfer.evaluation.evaluate import Evaluated, evaluate
from medical_transfer.evaluation.scored import positive_last
from medical_transfer.models.card import ModelCard
from medical_transfer.types import MetricRow

TEACHER, ALONE, DISTILLED, ONNX, INT8 = "teacher", "student_alone", "distilled", "onnx", "int8"
GAP_OF = ("auroc", "balanced_accuracy")


def minority_of(manifest: pd.DataFrame, classes: tuple[str, ...], positive: str | None) -> str:
    """The class with the fewest training images; of equals the positive one, else the first."""
    counts = manifest.loc[manifest["split"] == "train", "label"].value_counts()
    return min(classes, key=lambda name: (int(counts.get(name, 0)), name != positive, name))


def recall_name(minority: str, classes: tuple[str, ...], positive: str | None) -> str:
    """What the recall of a class is called among the metrics."""
    if len(classes) > 2:
        return f"recall_{minority}"
    return "sensitivity" if minority == positive_last(list(classes), positive)[-1] else "specificity"


def judge(
    tables: Mapping[str, pd.DataFrame],
    cards: Mapping[str, ModelCard],
    *,
    minority: str,
    config: Evaluation,
    seed: int,
) -> dict[str, Any]:
    """Metrics of each model, its paired differences to the teacher, and those of the distilled student to itself alone.

    Args:
        tables: predictions by name; `TEACHER`, `ALONE` and `DISTILLED` are among them.
        cards: of the same models; a graph has its student's.
        minority: the class whose recall is looked at.
        config: resamples, coverage, bins.
        seed: of the bootstrap.

    Returns:
        `models` (name -> as `evaluate`), `to_teacher` (name -> metric -> row of the difference, and `delong`),
        `to_alone` (likewise, of the distilled student), `gap_closed` (metric -> share, null where the teacher is not
        better than the student alone) and what the recall of the minority is called.
    """
    card = cards[TEACHER]
    classes, positive = list(card.classes), card.positive_class
    thresholds = {name: each.threshold for name, each in cards.items()}
    models = {name: evaluate(each, classes, positive, thresholds[name], config, seed) for name, each in tables.items()}

    def difference(first: str, second: str) -> dict[str, Any]:
        found = compare(tables[first], tables[second], classes, positive, config, seed)
        rows = {metric: pair["difference"] for metric, pair in found["metrics"].items()}
        return {"metrics": rows, **{name: found[name] for name in ("delong", "agreement")}}

    recall = recall_name(minority, card.classes, positive)
    return {
        "models": models,
        "to_teacher": {name: difference(TEACHER, name) for name in tables if name != TEACHER},
        "to_alone": difference(ALONE, DISTILLED),
        "gap_closed": {metric: _closed(models, metric) for metric in dict.fromkeys((*GAP_OF, recall))},
        "minority": {"class": minority, "recall": recall},
    }


def gap_closed(teacher: float, alone: float, distilled: float) -> float | None:
    """Share of the teacher's lead over the student alone that distillation made up; None where there is no lead."""
    lead = teacher - alone
    return (distilled - alone) / lead if lead > 0 else None


def _closed(models: Mapping[str, Evaluated], metric: str) -> float | None:
    rows: list[MetricRow] = [models[name]["test"][metric] for name in (TEACHER, ALONE, DISTILLED)]
    return gap_closed(*(row["estimate"] for row in rows))
