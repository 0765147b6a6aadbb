"""Five models on the same images: their differences are paired, and a share of a lead needs a lead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.student_judged import gap_closed, judge, minority_of, recall_name
from medical_transfer.models.card import ModelCard
from medical_transfer.models.preprocessing import Preprocessing

CONFIG = Evaluation(resamples=300)
NAMES = ("teacher", "student_alone", "distilled")


def card(classes: tuple[str, ...], **changes: object) -> ModelCard:
    facts = {
        "kind": "finetune",
        "source": "x",
        "source_fingerprint": "x",
        "architecture": "x",
        "head": "linear",
        "dropout": 0.0,
        "classes": classes,
        "preprocessing": Preprocessing(),
        "size": 8,
        "fit": "squash",
        "split_hash": "s",
        "data_fingerprint": "d",
        "data_licence": "MIT",
        "weights_licence": "MIT",
    }
    return ModelCard.model_validate(facts | changes)


def table(classes: tuple[str, ...], noise: float, images: int = 120, seed: int = 0) -> pd.DataFrame:
    """Predictions that are the better the less noise is in them; images, labels and groups are always the same."""
    fixed, rng = np.random.default_rng(5), np.random.default_rng(seed)
    labels_N = fixed.integers(0, len(classes), images)
    logits_NC = 3 * np.eye(len(classes))[labels_N] + noise * rng.normal(size=(images, len(classes)))
    probabilities_NC = np.exp(logits_NC) / np.exp(logits_NC).sum(axis=1, keepdims=True)
    return pd.DataFrame(
        {
            "image_id": [f"i{number:03d}" for number in range(images)],
            "group_id": [f"g{number // 2}" for number in range(images)],
            "split": ["val" if number // 2 % 3 == 0 else "test" for number in range(images)],
            "label": [classes[code] for code in labels_N],
            "predicted": [classes[code] for code in probabilities_NC.argmax(axis=1)],
        }
        | {f"p_{name}": probabilities_NC[:, code] for code, name in enumerate(classes)}
    )


@pytest.mark.parametrize("classes", [("ill", "well"), ("a", "b", "c")])
def test_estimates_differences_and_shares_fit_together(classes: tuple[str, ...]) -> None:
    tables = {name: table(classes, noise, seed=n) for n, (name, noise) in enumerate(zip(NAMES, (2, 5, 3), strict=True))}
    tables["int8"] = tables["distilled"]
    positive = "ill" if len(classes) == 2 else None
    cards = dict.fromkeys(tables, card(classes, positive_class=positive, threshold=0.5 if positive else None))
    found = judge(tables, cards, minority=classes[0], config=CONFIG, seed=0)
    recall = found["minority"]["recall"]
    for metric in ("auroc", recall, "balanced_accuracy", "ece"):
        at = {name: found["models"][name]["test"][metric]["estimate"] for name in tables}
        for name in ("student_alone", "distilled", "int8"):
            row = found["to_teacher"][name]["metrics"][metric]
            assert row["estimate"] == pytest.approx(at[name] - at["teacher"])
            assert row["low"] <= row["estimate"] <= row["high"] or metric == "ece"
        assert found["to_alone"]["metrics"][metric]["estimate"] == pytest.approx(at["distilled"] - at["student_alone"])
    auroc = {name: found["models"][name]["test"]["auroc"]["estimate"] for name in NAMES}
    expected = (auroc["distilled"] - auroc["student_alone"]) / (auroc["teacher"] - auroc["student_alone"])
    assert found["gap_closed"]["auroc"] == pytest.approx(expected)
    assert set(found["gap_closed"]) == {"auroc", "balanced_accuracy", recall}
    assert found["to_teacher"]["int8"] == found["to_teacher"]["distilled"]


def test_pairing_makes_intervals_of_like_models_narrow() -> None:
    classes = ("ill", "well")
    tables = {"teacher": table(classes, 4), "student_alone": table(classes, 4, seed=9), "distilled": table(classes, 4)}
    tables["distilled"].loc[:2, "p_ill"] += 0.0
    cards = dict.fromkeys(tables, card(classes, positive_class="ill", threshold=0.5))
    found = judge(tables, cards, minority="ill", config=CONFIG, seed=0)
    same = found["to_teacher"]["distilled"]["metrics"]["auroc"]
    assert (same["estimate"], same["low"], same["high"]) == (0, 0, 0)
    assert found["to_teacher"]["student_alone"]["metrics"]["auroc"]["high"] > 0


def test_each_model_is_judged_at_its_own_threshold() -> None:
    classes = ("ill", "well")
    tables = {name: table(classes, 4) for name in NAMES}
    thresholds = dict(zip(NAMES, (0.2, 0.5, 0.8), strict=True))
    cards = {name: card(classes, positive_class="ill", threshold=each) for name, each in thresholds.items()}
    models = judge(tables, cards, minority="ill", config=CONFIG, seed=0)["models"]
    assert {name: models[name]["about"]["threshold"] for name in NAMES} == thresholds
    assert len({models[name]["test"]["sensitivity"]["estimate"] for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize(
    ("teacher", "alone", "distilled", "share"),
    [(0.9, 0.8, 0.85, 0.5), (0.9, 0.8, 0.95, 1.5), (0.9, 0.8, 0.7, -1.0), (0.8, 0.8, 0.9, None), (0.7, 0.8, 0.9, None)],
)
def test_the_share_of_a_lead(teacher: float, alone: float, distilled: float, share: float | None) -> None:
    found = gap_closed(teacher, alone, distilled)
    assert found == (None if share is None else pytest.approx(share))
    assert gap_closed(float("nan"), alone, distilled) is None


def test_the_minority_is_the_rarest_class_of_training() -> None:
    rows = pd.DataFrame({"split": ["train"] * 5 + ["test"] * 3, "label": list("aabbb") + list("bbb")})
    assert minority_of(rows, ("a", "b"), "b") == "a"
    assert minority_of(rows, ("a", "b", "c"), None) == "c"  # without an image at all
    level = rows[rows.index > 0]
    assert minority_of(level[level.index < 4], ("a", "b"), "b") == "a"
    even = pd.DataFrame({"split": "train", "label": list("ab")})
    assert [minority_of(even, ("a", "b"), each) for each in ("a", "b", None)] == ["a", "b", "a"]


def test_what_its_recall_is_called() -> None:
    assert recall_name("ill", ("ill", "well"), "ill") == "sensitivity"
    assert recall_name("well", ("ill", "well"), "ill") == "specificity"
    assert recall_name("well", ("ill", "well"), None) == "sensitivity"  # the last is positive
    assert recall_name("b", ("a", "b", "c"), None) == "recall_b"
