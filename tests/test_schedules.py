from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.schedules import SCHEDULES, constant, cosine_restarts, warmup_cosine

moments = st.tuples(st.integers(1, 60), st.floats(0, 1)).map(lambda pair: (pair[1] * pair[0], pair[0]))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(SCHEDULES)), moments)
def test_a_factor_is_between_0_and_1(name, moment):
    assert 0 <= SCHEDULES[name](*moment) <= 1


@settings(max_examples=100, deadline=None)
@given(moments)
def test_constant(moment):
    assert constant(*moment) == 1


def test_warmup_then_cosine_by_hand():
    # 20 epochs: 2 of rise, then half a cosine over 18
    points = {0: 0.01, 1: 0.5, 2: 1, 11: 0.5, 20: 0, 8: 0.5 * (1 + math.cos(math.pi / 3)), 25: 0}
    assert {epoch: warmup_cosine(epoch, 20) for epoch in points} == pytest.approx(points, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(moments, moments)
def test_warmup_rises_then_falls(first, second):
    epochs = first[1]
    a, b = sorted((first[0], second[0] / second[1] * epochs))
    rise = 0.1 * epochs
    if b <= rise:
        assert warmup_cosine(a, epochs) <= warmup_cosine(b, epochs) + 1e-12
    elif a >= rise:
        assert warmup_cosine(a, epochs) >= warmup_cosine(b, epochs) - 1e-12


def test_cosine_restarts_by_hand():
    # cycles of 10, 20, 40 epochs: they begin at 0, 10, 30 and 70; half way a factor is one half
    expected = {0: 1, 5: 0.5, 10: 1, 20: 0.5, 30: 1, 50: 0.5, 70: 1}
    assert {epoch: cosine_restarts(epoch, 100) for epoch in expected} == pytest.approx(expected, abs=1e-12)
    assert cosine_restarts(9.999, 100) < 1e-6


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 300), st.integers(1, 12), st.integers(1, 3))
def test_cosine_restarts_against_a_loop_over_cycles(epochs_done, first, growth):
    start, length = 0.0, float(first)
    while start + length <= epochs_done:
        start, length = start + length, length * growth
    expected = (1 + math.cos(math.pi * (epochs_done - start) / length)) / 2
    assert cosine_restarts(epochs_done, 1, first, growth) == pytest.approx(expected, abs=1e-12)
