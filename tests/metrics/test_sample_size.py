"""Exact binomial sample sizes, held against scipy's own test and interval."""

from __future__ import annotations

import pytest
from scipy.stats import binom, binomtest

from medical_transfer.metrics.sample_size import in_words, lowest_shown, units_to_show


@pytest.mark.parametrize(("found", "units"), [(0, 10), (7, 10), (10, 10), (95, 100), (999, 1000)])
def test_the_low_end_is_scipys_exact_interval(found: int, units: int) -> None:
    assert lowest_shown(found, units) == pytest.approx(binomtest(found, units).proportion_ci(0.95, "exact").low)


def power_by_hand(units: int, target: float, true: float) -> float:
    """Sum the chances of all outcomes whose exact interval lies above the target."""
    shown = [k for k in range(units + 1) if binomtest(k, units).proportion_ci(0.95, "exact").low >= target]
    return sum(float(binom.pmf(k, units, true)) for k in shown)


@pytest.mark.parametrize(("target", "true"), [(0.8, 0.95), (0.5, 0.8), (0.9, 1.0)])
def test_from_that_number_on_the_power_is_there_and_just_before_it_is_not(target: float, true: float) -> None:
    units = units_to_show(target, true)
    assert units is not None
    assert power_by_hand(units - 1, target, true) < 0.8
    assert all(power_by_hand(units + more, target, true) >= 0.8 for more in range(12))


def test_a_perfect_test_needs_the_textbooks_seventy_two_for_ninety_five_percent() -> None:
    # all right: the low end is .025^(1/n), so n >= log .025 / log .95 = 71.9
    assert units_to_show(0.95, 1.0) == 72


def test_what_is_no_better_than_the_target_cannot_be_shown() -> None:
    assert units_to_show(0.95, 0.95) is None
    assert units_to_show(0.95, 0.9) is None
    assert units_to_show(0.95, 0.95 + 1e-6) is None  # more than a million
    assert "cannot be shown where the true one is 0.9" in in_words("sensitivity", 0.95, 0.9, units=10)


def test_the_sentence_says_how_many_there_are() -> None:
    few, enough = (in_words("sensitivity", 0.95, 1.0, units=units, unit="patients") for units in (71, 72))
    assert "takes 72 patients, of which there are 71." in few
    assert "takes 72 patients, which there are." in enough
