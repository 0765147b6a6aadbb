"""Two models on the same images: differences against their parts, DeLong, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.compare import compare
from medical_transfer.evaluation.evaluate import evaluate
from medical_transfer.metrics.delong import paired_difference
from medical_transfer.types import UserError

CONFIG = Evaluation(resamples=300)
TWO = ["no", "yes"]


def table(classes=TWO, *, skill: float = 1.5, images: int = 120, seed: int = 0) -> pd.DataFrame:
    """Predictions in groups of two; what makes an image hard is shared by all models."""
    shared, own = np.random.default_rng(0), np.random.default_rng([1, seed])
    code = np.repeat(np.arange(images // 2) % len(classes), 2)
    hard = shared.normal(size=(images, len(classes)))
    logits = hard + 0.3 * own.normal(size=hard.shape) + skill * np.eye(len(classes))[code]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frame = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes])
    return frame.assign(
        label=np.array(classes)[code],
        group_id=[f"g{k // 2}" for k in range(images)],
        image_id=[f"i{k:04d}" for k in range(images)],
        split=np.where(np.arange(images) < images // 4, "val", "test"),
    )


def test_a_difference_is_second_minus_first_and_both_are_what_evaluate_says() -> None:
    first, second = table(skill=0.5), table(skill=1.5, seed=1)
    found = compare(first, second, TWO, "yes", CONFIG, seed=3)
    alone = [evaluate(each, TWO, "yes", None, CONFIG, seed=3)["test"] for each in (first, second)]
    assert found["metrics"].keys() == alone[0].keys()
    for name, pair in found["metrics"].items():
        for place, rows in zip(("first", "second"), alone, strict=True):
            assert pair[place]["estimate"] == pytest.approx(rows[name]["estimate"])
            assert (pair[place]["low"], pair[place]["high"]) == pytest.approx((rows[name]["low"], rows[name]["high"]))
        expected = pair["second"]["estimate"] - pair["first"]["estimate"]
        assert pair["difference"]["estimate"] == pytest.approx(expected)
    auroc = found["metrics"]["auroc"]["difference"]
    rows = [each[each.split == "test"] for each in (first, second)]
    by_hand = [roc_auc_score(each.label == "yes", each.p_yes) for each in rows]
    assert auroc["estimate"] == pytest.approx(by_hand[1] - by_hand[0])
    assert 0 < auroc["low"] < auroc["estimate"] < auroc["high"]
    assert (found["images"], found["groups"], found["positive"]) == (90, 45, "yes")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_makes_an_image_hard_falls_out_of_the_difference() -> None:
    first, second = table(skill=0.8), table(skill=0.9, seed=1)
    found = compare(first, second, TWO, "yes", CONFIG, seed=0)["metrics"]["auroc"]
    widths = {place: row["high"] - row["low"] for place, row in found.items()}
    assert widths["difference"] < 0.6 * min(widths["first"], widths["second"])


def test_delong_is_of_groups_and_agrees_with_the_resamples() -> None:
    first, second = table(skill=0.5, images=400), table(skill=0.8, images=400, seed=1)
    found = compare(first, second, TWO, "yes", Evaluation(resamples=2000), seed=0)
    drawn, told = found["metrics"]["auroc"]["difference"], found["delong"]
    rows = [each[each.split == "test"] for each in (first, second)]
    labels = (rows[0].label == "yes").to_numpy().astype(int)
    expected = paired_difference(labels, *(each.p_yes.to_numpy() for each in rows), rows[0].group_id.to_numpy())
    assert told["estimate"] == pytest.approx(drawn["estimate"])
    assert (told["low"], told["high"], told["p"]) == pytest.approx((expected.low, expected.high, expected.p))
    width = drawn["high"] - drawn["low"]
    assert told["high"] - told["low"] == pytest.approx(width, rel=0.2)


def test_the_order_of_rows_does_not_matter_and_a_model_does_not_differ_from_itself() -> None:
    first = table()
    found = compare(first, first.sample(frac=1, random_state=1), TWO, "yes", CONFIG, seed=0)
    assert found["agreement"] == 1
    assert {
        tuple(pair["difference"][end] for end in ("estimate", "low", "high")) for pair in found["metrics"].values()
    } == {(0.0, 0.0, 0.0)}
    assert found["delong"] == {"estimate": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}


def test_more_classes_have_no_delong() -> None:
    classes = ["x", "y", "z"]
    found = compare(table(classes), table(classes, seed=1), classes, None, CONFIG, seed=0)
    assert (found["delong"], found["positive"]) == (None, None)
    assert {"auroc", "auroc_x", "balanced_accuracy"} <= found["metrics"].keys()


def test_published_decisions_are_compared() -> None:
    first = table().assign(decision="no")
    found = compare(first, first.assign(decision="yes"), TWO, "yes", CONFIG, seed=0)
    assert found["agreement"] == 0
    assert found["metrics"]["sensitivity"]["difference"]["estimate"] == 1
    assert found["metrics"]["specificity"]["difference"]["estimate"] == -1
    assert found["metrics"]["auroc"]["difference"]["estimate"] == 0


def test_another_split_or_other_images_are_refused() -> None:
    first = table()
    moved = first.assign(split=np.where(np.arange(len(first)) < 40, "val", "test"))
    with pytest.raises(UserError, match=r"different splits \(split hashes \w{16} and \w{16}\)"):
        compare(first, moved, TWO, "yes", CONFIG, seed=0)
    regrouped = first.assign(group_id="one")
    with pytest.raises(UserError, match="different splits"):
        compare(first, regrouped, TWO, "yes", CONFIG, seed=0)
    blank = first.copy()
    blank.loc[blank.index[-1], ["p_no", "p_yes"]] = np.nan
    with pytest.raises(UserError, match=r"differ in the test images that have probabilities.*\(90 and 89 images\)"):
        compare(first, blank, TWO, "yes", CONFIG, seed=0)
    relabelled = first.assign(label=first.label.where(first.index != len(first) - 1, "no"))
    with pytest.raises(UserError, match="or in their labels"):
        compare(first, relabelled, TWO, "yes", CONFIG, seed=0)
    with pytest.raises(UserError, match=r"lacks the columns \['image_id'\]"):
        compare(first.drop(columns="image_id"), first, TWO, "yes", CONFIG, seed=0)
