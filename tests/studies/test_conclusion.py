"""Intervals over seeds and the choice of a method, by hand and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medical_transfer.studies.conclusion import averages, choose, paired_difference, t_interval


def table(rows: dict[tuple[str, str], list[float]], seconds: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"method": method, "setting": setting, "seed": seed, "value": value, "seconds": seconds[method]}
            for (method, setting), values in rows.items()
            for seed, value in enumerate(values)
        ]
    )


def test_t_interval_by_hand():
    """1, 2, 3: mean 2, s = 1, half width t(.975, 2 df) / sqrt(3) = 4.302653 / 1.732051 = 2.484138 (printed tables)."""
    found = t_interval([1.0, 2.0, 3.0])
    assert (found.estimate, found.low, found.high) == pytest.approx((2.0, -0.484138, 4.484138), abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=9).filter(lambda v: np.ptp(v) > 1e-3), st.floats(0.6, 0.99))
def test_t_interval_against_scipy(values, coverage):
    found = t_interval(values, coverage)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(coverage)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_one_value_has_no_interval_and_none_no_mean():
    assert t_interval([0.5]).estimate == 0.5
    assert math.isnan(t_interval([0.5]).low)
    assert math.isnan(t_interval([]).estimate)


def test_differences_are_paired_by_seed_and_widened_for_many():
    better, worse = pd.Series({0: 0.9, 1: 0.8, 2: 0.7, 9: 0.1}), pd.Series({2: 0.68, 0: 0.86, 1: 0.79, 5: 0.0})
    found, seeds = paired_difference(better, worse)
    expected = stats.ttest_rel([0.9, 0.8, 0.7], [0.86, 0.79, 0.68]).confidence_interval(0.95)
    assert seeds == 3
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    widened = paired_difference(better, worse, comparisons=5)[0]
    expected = stats.ttest_rel([0.9, 0.8, 0.7], [0.86, 0.79, 0.68]).confidence_interval(0.99)
    assert (widened.low, widened.high) == pytest.approx((expected.low, expected.high))


def test_averages_are_cut_where_the_metric_ends():
    found = averages(table({("a", "16"): [0.9, 1.0]}, {"a": 3.0})).iloc[0]
    assert (found["mean"], found["high"], found["seeds"], found["seconds"]) == (pytest.approx(0.95), 1.0, 2, 3.0)
    assert found["low"] == pytest.approx(0.95 - 12.7062 * 0.05, abs=1e-4)  # t(.975, 1 df) s / sqrt(2), s = .1 / sqrt(2)


def test_the_cheapest_that_is_not_shown_to_be_worse_is_taken():
    """Cheap is .2 below with a spread of .01 (shown); middle is .01 below with a spread of .02 (not shown)."""
    best, cheap, middle = [0.90, 0.91, 0.92], [0.70, 0.71, 0.73], [0.91, 0.88, 0.91]
    values = table({("best", "16"): best, ("cheap", "16"): cheap, ("middle", "16"): middle}, COST)
    (choice,) = choose(values, ["16"])
    assert (choice.best, choice.taken, choice.worse) == ("best", "middle", ["cheap"])
    assert [each.method for each in choice.compared] == ["best", "middle", "cheap"]
    assert choice.decidable


COST = {"best": 100.0, "cheap": 1.0, "middle": 10.0}


def test_where_nothing_is_shown_the_cheapest_is_taken():
    values = table({("best", "16"): [0.9, 0.7, 0.95], ("cheap", "16"): [0.6, 0.9, 0.8]}, COST)
    (choice,) = choose(values, ["16"])
    assert (choice.best, choice.taken, choice.worse) == ("best", "cheap", [])


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_show_nothing(seeds):
    values = table({("best", "16"): [0.9] * seeds, ("cheap", "16"): [0.5] * seeds}, COST)
    (choice,) = choose(values, ["16", "never run"])
    assert (choice.decidable, choice.worse, choice.taken) == (False, [], "cheap")


def test_equal_differences_without_spread_show_nothing():
    values = table({("best", "16"): [1.0] * 3, ("cheap", "16"): [0.5] * 3}, COST)
    assert choose(values, ["16"])[0].worse == []


def test_the_best_is_found_on_the_seeds_that_all_have():
    """On seeds 0 to 2 full is .0100, .0110 and .0105 above: mean .0105, half width 4.302653 x .0005 / sqrt(3)."""
    frozen = [0.950, 0.951, 0.9475, 0.99, 0.99]  # two easier seeds lift its own mean to .9657
    values = table({("full", "16"): [0.960, 0.962, 0.958], ("frozen", "16"): frozen}, {"full": 9.0, "frozen": 1.0})
    (choice,) = choose(values, ["16"])
    assert (choice.best, choice.taken, choice.worse) == ("full", "full", ["frozen"])
    assert [each.mean for each in choice.compared] == pytest.approx([0.96, 0.9495])
    below = choice.compared[1].below
    assert (below.low, below.high) == pytest.approx((0.0105 - 0.001242, 0.0105 + 0.001242), abs=1e-6)


def test_one_with_too_few_seeds_is_neither_best_nor_taken():
    rows = {("a", "16"): [0.90, 0.91, 0.89], ("b", "16"): [0.70, 0.71, 0.69]}
    seconds = {"a": 50.0, "b": 20.0, "cheap": 1.0, "lucky": 99.0}
    (choice,) = choose(table({**rows, ("cheap", "16"): [0.60], ("lucky", "16"): [0.99, 0.98]}, seconds), ["16"])
    assert (choice.best, choice.taken) == ("a", "b"), "six pairs: b is .2 below without any spread, which shows nothing"
    rows["b", "16"] = [0.70, 0.712, 0.691]
    (choice,) = choose(table({**rows, ("cheap", "16"): [0.60], ("lucky", "16"): [0.99, 0.98]}, seconds), ["16"])
    assert (choice.best, choice.taken, choice.worse) == ("a", "a", ["b"])
    assert [each.method for each in choice.compared] == ["a", "b", "lucky", "cheap"]
    (choice,) = choose(table({("a", "16"): [0.90, 0.91, 0.89], ("cheap", "16"): [0.60]}, seconds), ["16"])
    assert (choice.taken, choice.decidable) == ("a", False)


def test_intervals_hold_for_any_pair_since_the_best_is_chosen_by_the_same_numbers():
    """Three methods are three pairs: half width t(1 - .05/6, 2 df) s / sqrt(S) with s = .01 (scipy)."""
    rows = {("a", "16"): [0.90, 0.90, 0.90], ("b", "16"): [0.80, 0.81, 0.79], ("c", "16"): [0.1, 0.2, 0.4]}
    (choice,) = choose(table(rows, {"a": 1.0, "b": 1.0, "c": 1.0}), ["16"])
    half = stats.t.ppf(1 - 0.05 / 6, 2) * 0.01 / math.sqrt(3)
    assert (choice.compared[1].below.low, choice.compared[1].below.high) == pytest.approx((0.1 - half, 0.1 + half))


def test_equal_methods_are_seldom_shown_to_differ():
    """Five methods that are one: by the all-pairs bound a difference is 'shown' in at most 5 % of the studies."""
    rng = np.random.default_rng(0)
    studies, names = 300, list("abcde")
    index = pd.MultiIndex.from_product([range(studies), names, range(3)], names=["setting", "method", "seed"])
    values = pd.DataFrame({"value": rng.normal(size=len(index)), "seconds": 1.0}, index=index).reset_index()
    wrong = [bool(choice.worse) for choice in choose(values, range(studies))]
    assert 0 < np.mean(wrong) <= 0.05
