"""Net benefit by hand, by counting, and its properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.metrics.decision_curves import net_benefit, treat_all

cases = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=1, max_size=30).map(
    lambda rows: (np.array([row[0] for row in rows]), np.array([row[1] for row in rows]) / 20)
)
THRESHOLDS = np.array([0.05, 0.2, 0.5, 0.8])


def test_by_hand() -> None:
    # At .2: three called, two of them rightly, of five images: 2/5 - 1/5 * .2/.8 = .35. At .5: 1/5 - 0.
    labels, scores = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.3, 0.2, 0.1, 0.1])
    found = net_benefit(labels, scores, np.array([0.2, 0.5]), np.ones((1, 5)))
    np.testing.assert_allclose(found, [[0.35, 0.2]])
    np.testing.assert_allclose(
        treat_all(labels, np.array([0.2, 0.4]), np.ones((1, 5))), [[0.4 - 0.6 / 4, 0.0]], atol=1e-15
    )


@settings(max_examples=60, deadline=None)
@given(cases, st.integers(0, 1000))
def test_weights_count_images_so_many_times(case, seed: int) -> None:
    labels, scores = case
    weights = np.random.default_rng(seed).integers(0, 3, size=(2, labels.size)).astype(float)
    weights[:, 0] += 1
    found = net_benefit(labels, scores, THRESHOLDS, weights)
    for row, weight in zip(found, weights, strict=True):
        drawn = np.repeat(np.arange(labels.size), weight.astype(int))
        for value, t in zip(row, THRESHOLDS, strict=True):
            called = scores[drawn] >= t
            hits, alarms = (called & (labels[drawn] == 1)).sum(), (called & (labels[drawn] == 0)).sum()
            assert value == pytest.approx((hits - alarms * t / (1 - t)) / drawn.size)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_no_rule_is_worth_more_than_knowing_the_truth(case) -> None:
    labels, scores = case
    ones = np.ones((1, labels.size))
    perfect = net_benefit(labels, labels.astype(float), THRESHOLDS, ones)
    np.testing.assert_allclose(perfect, np.full((1, 4), labels.mean()))
    for rule in (net_benefit(labels, scores, THRESHOLDS, ones), treat_all(labels, THRESHOLDS, ones)):
        assert (rule <= perfect + 1e-12).all()


def test_a_cost_without_a_ratio_is_refused() -> None:
    with pytest.raises(ValueError, match="ends excluded"):
        net_benefit(np.array([0, 1]), np.array([0.2, 0.4]), np.array([0.5, 1.0]), np.ones((1, 2)))
