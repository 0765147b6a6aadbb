"""DeLong's variances against the paper's own example, a plain double loop, and samples drawn again and again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from medical_transfer.metrics.delong import areas, paired_difference

# Ovarian cancer, the example of DeLong et al. (1988): albumin, total protein, 10 - K-G score, whether surgery helped.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def ovarian() -> tuple[np.ndarray, np.ndarray]:
    albumin, protein, score, helped = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4).T
    return helped.astype(int), np.stack([albumin, 10 - score, protein])


def test_the_published_example() -> None:
    # SAS/STAT User's Guide, PROC LOGISTIC, 'Comparing Receiver Operating Characteristic Curves': ALB, K-G, TP.
    labels, scores = ovarian()
    found = areas(labels, scores)
    np.testing.assert_allclose(found.area_M, [0.7366, 0.7258, 0.6478], atol=5e-5)
    np.testing.assert_allclose(found.deviation_M, [0.0927, 0.1028, 0.1000], atol=5e-5)
    albumin, protein = (paired_difference(labels, scores[1], scores[k]) for k in (0, 2))
    published = [[0.0108, -0.1761, 0.1976, 0.9102], [-0.0780, -0.2830, 0.1271, 0.4561]]
    told = [[each.estimate, each.low, each.high, each.p] for each in (albumin, protein)]
    np.testing.assert_allclose(told, published, atol=6e-5)
    contrast = np.array([[1, -1, 0], [0, -1, 1]])
    differences = contrast @ found.area_M
    chi_square = differences @ np.linalg.solve(contrast @ found.covariance_MM @ contrast.T, differences)
    assert chi_square == pytest.approx(2.5340, abs=5e-5)


def beats(one: float, other: float) -> float:
    return 1.0 if one > other else 0.5 if one == other else 0.0


def slow_areas(labels, scores, groups) -> tuple[list[float], np.ndarray]:
    """Obuchowski's equations as sums over pairs and groups, nothing clever."""
    positives, negatives = ([i for i, label in enumerate(labels) if label == code] for code in (1, 0))
    area, parts = [], []
    for row in scores:
        wins = {i: [beats(row[i], row[j]) for j in negatives] for i in positives}
        losses = {j: [beats(row[i], row[j]) for i in positives] for j in negatives}
        area.append(sum(map(sum, wins.values())) / (len(positives) * len(negatives)))
        share = {i: sum(each) / len(each) - area[-1] for i, each in (wins | losses).items()}
        parts.append(
            {g: [sum(share[i] for i in of if groups[i] == g) for of in (positives, negatives)] for g in set(groups)}
        )
    holding = [len({groups[i] for i in of}) for of in (positives, negatives)]
    count, total = [len(positives), len(negatives)], len(set(groups))
    covariance = np.zeros((len(scores), len(scores)))
    for a, first in enumerate(parts):
        for b, second in enumerate(parts):
            for g in set(groups):
                for c in (0, 1):
                    covariance[a, b] += first[g][c] * second[g][c] * holding[c] / (holding[c] - 1) / count[c] ** 2
                crossed = first[g][0] * second[g][1] + first[g][1] * second[g][0]
                covariance[a, b] += crossed * total / (total - 1) / (count[0] * count[1])
    return area, covariance


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), *[st.integers(0, 5)] * 3), min_size=1, max_size=20))
def test_equals_a_plain_loop_with_ties_and_groups(rows) -> None:
    rows = [(1, 3, 2, 0), (1, 1, 4, 1), (0, 2, 2, 2), (0, 0, 3, 3), *rows]  # both classes in two groups
    labels, first, second, groups = (np.array(column) for column in zip(*rows, strict=True))
    scores = np.stack([first, second]).astype(float)
    found, (area, covariance) = areas(labels, scores, groups), slow_areas(labels, scores, groups.tolist())
    np.testing.assert_allclose(found.area_M, area, atol=1e-12)
    np.testing.assert_allclose(found.covariance_MM, covariance, atol=1e-12)
    assert found.area_M[0] == pytest.approx(roc_auc_score(labels, first))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_only_the_order_of_scores_counts_and_models_may_change_places(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, scores = np.repeat([0, 1], [12, 9]), rng.integers(0, 6, size=(2, 21)).astype(float)
    found, bent = areas(labels, scores), areas(labels, np.exp(scores / 3))
    np.testing.assert_allclose(found.area_M, bent.area_M)
    np.testing.assert_allclose(found.covariance_MM, bent.covariance_MM)
    there, back = paired_difference(labels, *scores), paired_difference(labels, *scores[::-1])
    assert (there.estimate, there.low, there.high) == pytest.approx((-back.estimate, -back.high, -back.low))
    assert there.p == pytest.approx(back.p)


def test_the_deviation_is_that_of_repeated_samples() -> None:
    rng = np.random.default_rng(5)
    labels, groups = np.repeat([0, 1], [80, 60]), np.repeat(np.arange(35), 4)  # groups of 4: 20 negative, 15 positive
    found, told = [], []
    for _ in range(400):
        shared = np.repeat(rng.normal(size=35), 4)  # images of a patient are alike
        scores = labels + shared + 0.5 * rng.normal(size=labels.size)
        one = areas(labels, scores[None], groups)
        found.append(one.area_M[0])
        told.append(one.deviation_M[0])
    assert np.mean(told) == pytest.approx(np.std(found), rel=0.1)
    assert np.mean(told) > 1.5 * areas(labels, scores[None]).deviation_M[0], "as if images were independent: too small"


def test_what_is_undefined_or_does_not_differ() -> None:
    scores = np.array([[0.1, 0.4, 0.3, 0.9], [0.2, 0.8, 0.6, 1.8]])
    assert np.isnan(areas(np.ones(4, dtype=int), scores).area_M).all()
    one_positive = paired_difference(np.array([0, 0, 0, 1]), *scores)
    assert one_positive.estimate == 0.0
    assert math.isnan(one_positive.low)
    alike = paired_difference(np.array([0, 1, 0, 1]), *scores)
    assert (alike.estimate, alike.low, alike.high, alike.p) == (0.0, 0.0, 0.0, 1.0)
    one_group = areas(np.array([0, 1, 0, 1]), scores, np.array(["a", "b", "c", "b"]))
    assert np.isnan(one_group.covariance_MM).all()
