"""The alarm's rule, case by case."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medical_transfer.metrics.negative_transfer import signs_of_negative_transfer

BEFORE = {"source_accuracy": 0.9, "information_maximisation": 0.4}


def shares(first: int, second: int) -> np.ndarray:
    """Predictions of so many images of class 0 and class 1."""
    return np.repeat([[0.8, 0.2], [0.3, 0.7]], [first, second], axis=0)


def signs(after=BEFORE, probabilities=None, prior=(0.5, 0.5), **options) -> tuple[str, ...]:
    probabilities = shares(50, 50) if probabilities is None else probabilities
    return signs_of_negative_transfer(
        BEFORE,
        after,
        probabilities_NC=probabilities,
        source_prior_C=np.array(prior),
        classes=("normal", "tumour"),
        **options,
    )


def test_nothing_fell():
    assert signs() == ()
    assert signs({"source_accuracy": 0.895, "information_maximisation": 0.6}) == (), "within the tolerance"


def test_scores_that_fell_are_named():
    (reason,) = signs({"source_accuracy": 0.8, "information_maximisation": 0.6})
    assert reason == "source_accuracy fell from 0.900 to 0.800 by adaptation"
    assert len(signs({"source_accuracy": 0.8, "information_maximisation": 0.1})) == 2
    assert signs({"source_accuracy": 0.8, "information_maximisation": 0.4}, tolerance=0.2) == ()


def test_a_score_that_lost_its_value_is_named_and_one_that_never_had_it_is_not():
    (reason,) = signs({"source_accuracy": math.nan, "information_maximisation": 0.4})
    assert reason == "source_accuracy was 0.900 without adaptation and has no value with it"
    none_before = signs_of_negative_transfer(
        {"a": math.nan},
        {"a": 0.1},
        probabilities_NC=shares(5, 5),
        source_prior_C=np.array([0.5, 0.5]),
        classes=("normal", "tumour"),
    )
    assert none_before == ()


@pytest.mark.parametrize(
    ("first", "second", "prior", "alarmed"),
    [
        (97, 3, (0.5, 0.5), True),
        (3, 97, (0.5, 0.5), True),
        (100, 0, (0.9, 0.1), True),
        (94, 6, (0.5, 0.5), False),  # not nearly all
        (96, 4, (0.9, 0.1), False),  # tumours are 10 % at home, 4 % here: a target may be so
        (100, 0, (1.0, 0.0), False),  # as at home
    ],
)
def test_collapse_is_one_class_for_nearly_all_where_the_source_has_others(first, second, prior, alarmed):
    reasons = signs(probabilities=shares(first, second), prior=prior)
    assert bool(reasons) == alarmed
    if alarmed:
        name = "normal" if first > second else "tumour"
        assert f"{max(first, second)}% of target images are called {name}" in reasons[0]


def test_both_networks_must_have_the_same_scores():
    with pytest.raises(ValueError, match="scores of both networks"):
        signs({"source_accuracy": 0.9})
