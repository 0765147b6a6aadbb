"""From a table to agreements, by hand and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from medical_transfer.studies.table import COLUMNS
from medical_transfer.studies.transferability_agreement import TOO_FEW, agreements
from medical_transfer.studies.transferability_names import ALWAYS, LP_FT, PROBE, STATIC

SOURCES = ["default", "b", "c", "d", "e"]
TARGETS = [f"t{number}" for number in range(6)]
TRUTH = {"default": 0.80, "b": 0.90, "c": 0.70, "d": 0.95, "e": 0.60}


def table(seeds: int = 2, targets: list[str] = TARGETS) -> pd.DataFrame:
    """Probes that all targets order alike up to noise; `right` knows them, `wrong` has them upside down."""
    rng = np.random.default_rng(0)
    rows = []
    for target in targets:
        for seed in range(seeds):
            for source, auroc in TRUTH.items():
                probe = auroc + rng.normal(0, 0.004)
                numbers = {PROBE: probe, "score/right": 10 * probe, "score/wrong": -probe}
                numbers |= {"score/parameters": {"default": 1.0}.get(source, 2.0 + rng.normal()), "features": 5.0}
                if source != "e":
                    numbers[LP_FT] = probe + 0.01
                    numbers["score/few"] = probe if source in ("b", "c") else math.nan
                rows += [
                    ("k", source, target, seed, name, value, value, value, 50, 2.0) for name, value in numbers.items()
                ]
            rows.append(("k", "best_1", target, seed, PROBE, 0.99, 0.9, 1.0, 50, 2.0))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_a_score_that_knows_and_one_that_is_upside_down():
    found = agreements(table(), SOURCES)[PROBE]
    scores = {each.score: each for each in found.scores}
    assert (found.targets, found.sources, found.seeds) == (tuple(TARGETS), tuple(SOURCES), 2)
    right, wrong = scores["right"], scores["wrong"]
    assert (right.tau_w.estimate, right.tau_w.low, right.regret.estimate) == pytest.approx((1, 1, 0))
    assert (wrong.tau_w.estimate, wrong.pearson.estimate) == pytest.approx((-1, -1))
    assert wrong.regret.estimate == pytest.approx(0.35, abs=0.01)  # d minus e
    assert (right.above_chance, right.above_baselines, wrong.above_chance) == (True, False, False)
    assert right.seconds == 2.0
    assert (right.targets, right.sources) == (6, 5)
    assert right.gains[ALWAYS].low > 0
    assert right.gains[STATIC].low == pytest.approx(0, abs=0.02), "the static order knows as much"
    assert found.best_supported is right


def test_the_baselines_by_hand():
    """Listed order a..e against .80 .90 .70 .95 .60 is what scipy says of it; always taking the first gives up .15."""
    scores = {each.score: each for each in agreements(table(), SOURCES)[PROBE].scores}
    expected = stats.weightedtau([5, 4, 3, 2, 1], list(TRUTH.values()))[0]
    assert scores[ALWAYS].tau_w.estimate == pytest.approx(expected)
    assert scores[ALWAYS].regret.estimate == pytest.approx(0.15, abs=0.01)
    assert scores[STATIC].tau_w.estimate == pytest.approx(1)
    assert all(scores[name].baseline for name in (ALWAYS, STATIC, "parameters"))
    assert not scores["right"].baseline
    assert scores["right"].saved[ALWAYS].estimate == pytest.approx(0.15, abs=0.01)
    assert scores[ALWAYS].gains == {}


def test_sources_without_the_outcome_are_left_out_and_too_few_are_said_so():
    found = agreements(table(), SOURCES)[LP_FT]
    scores = {each.score: each for each in found.scores}
    assert scores["right"].sources == 4
    assert scores["few"].reason == TOO_FEW
    assert math.isnan(scores["few"].tau_w.estimate)
    assert (scores["few"].targets, scores["few"].above_chance) == (0, False)


def test_few_targets_claim_nothing():
    found = agreements(table(targets=TARGETS[:2]), SOURCES)[PROBE]
    assert found.best_supported is None
    one = agreements(table(targets=TARGETS[:1]), SOURCES)[PROBE]
    scores = {each.score: each for each in one.scores}
    assert scores["right"].tau_w.estimate == pytest.approx(1)
    assert math.isnan(scores["right"].tau_w.low)
    assert scores[STATIC].reason == TOO_FEW, "there is no other target to learn an order from"


def test_an_outcome_that_nobody_has_is_not_there():
    whole = table()
    assert set(agreements(whole[whole["metric"] != LP_FT], SOURCES)) == {PROBE}


def test_comparisons_are_on_the_same_sources():
    """A score that lacks the source on which the baseline errs must not look better for it."""
    whole = table()
    lacking = whole["metric"].eq("score/right") & whole["method"].eq("default")
    whole.loc[lacking, "value"] = math.nan
    found = {each.score: each for each in agreements(whole, SOURCES)[PROBE].scores}
    on_four = stats.weightedtau([4, 3, 2, 1], [0.90, 0.70, 0.95, 0.60])[0]
    assert found["right"].gains[ALWAYS].estimate == pytest.approx(1 - on_four)
