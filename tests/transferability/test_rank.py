"""Timing, reasons and order."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from medical_transfer.transferability import SCORES, Evidence, Undefined
from medical_transfer.transferability.linear_probe import probe_folds
from medical_transfer.transferability.rank import ScoreValue, measure, rankings, score_source


@pytest.fixture
def evidence():
    rng = np.random.default_rng(0)
    return Evidence(features_ND=rng.normal(size=(40, 6)), labels_N=np.arange(40) % 2, groups_N=np.arange(40))


def test_measures_value_and_seconds(evidence):
    def slow(_):
        time.sleep(0.02)
        return np.float64(3)

    measured = measure(slow, evidence)
    assert (measured.value, measured.reason) == (3.0, None)
    assert 0.02 <= measured.seconds < 2


def test_undefined_becomes_nan_with_its_reason(evidence):
    def undefined(_):
        raise Undefined("there is nothing to compare")

    measured = measure(undefined, evidence)
    assert math.isnan(measured.value)
    assert measured.reason == "there is nothing to compare"


def test_any_other_error_passes(evidence):
    def broken(_):
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        measure(broken, evidence)


def test_scores_a_source_on_the_whole_menu(evidence):
    scored = score_source(evidence)
    assert list(scored.values) == list(SCORES)
    assert scored.fold_aurocs == probe_folds(evidence)
    for name, measured in scored.values.items():
        if measured.reason is None:
            assert measured.value == SCORES[name](evidence)
        else:
            assert name in {"leep", "spearman_mmd", "rdm_spearman_mmd", "parameters", "source_accuracy"}


def test_a_source_without_a_probe_has_no_folds():
    labels_N = np.array([0] * 9 + [1])
    scored = score_source(Evidence(features_ND=np.eye(10), labels_N=labels_N, groups_N=np.arange(10)))
    assert scored.fold_aurocs == ()
    assert math.isnan(scored.values["linear_probe"].value)
    assert "one group only" in scored.values["linear_probe"].reason


def test_best_first_without_the_undefined():
    scores = {
        "a": {"logme": ScoreValue(-0.3, 1.0), "h_score": ScoreValue(0.5, 1.0)},
        "b": {"logme": ScoreValue(0.2, 1.0), "h_score": ScoreValue(math.nan, 1.0, "undefined")},
        "c": {"logme": ScoreValue(-0.3, 1.0), "h_score": ScoreValue(0.9, 1.0)},
    }
    assert rankings(scores) == {"logme": ("b", "a", "c"), "h_score": ("c", "a")}
