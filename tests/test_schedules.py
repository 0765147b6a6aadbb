from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.schedules import (
    SCHEDULES,
    constant,
    cosine_restarts,
    one_cycle,
    reversal_strength,
    slanted_triangular,
    warmup_cosine,
)

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


def torchs_one_cycle(steps: int) -> list[float]:
    """Factor of the largest rate at each step of torch's OneCycleLR with its defaults."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=steps, cycle_momentum=False)
    factors = []
    for _ in range(steps):
        factors.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return factors


@pytest.mark.parametrize("steps", [10, 40, 200])
def test_one_cycle_against_torch_step_by_step(steps):
    """torch's last step is T - 1 and its peak .3 T - 1: it goes through the same shape, at other moments."""
    peak = 0.3 * steps - 1
    for step, factor in enumerate(torchs_one_cycle(steps)):
        moment = 0.3 * step / peak if step <= peak else (step + 1) / steps
        assert one_cycle(6 * moment, 6) == pytest.approx(factor, rel=1e-9, abs=1e-15), step


def test_one_cycle_at_the_same_steps_is_torchs_but_for_one_step():
    steps = 1000
    factors = torchs_one_cycle(steps)
    ours = [one_cycle(5 * step / steps, 5) for step in range(steps)]
    # the steepest slope of half a cosine over .3 T steps is pi/2 / (.3 T) a step, and torch is at most one step ahead
    assert max(abs(a - b) for a, b in zip(ours, factors, strict=True)) < math.pi / 2 / (0.3 * steps)


def test_one_cycle_by_hand():
    # 20 epochs: 6 up from 1/25, 14 down to 1/250,000; half way it is at the mean of both ends
    points = {0: 1 / 25, 3: (1 / 25 + 1) / 2, 6: 1, 13: (1 + 1 / 250_000) / 2, 20: 1 / 250_000, 25: 1 / 250_000}
    assert {epoch: one_cycle(epoch, 20) for epoch in points} == pytest.approx(points, rel=1e-9)


@pytest.mark.parametrize("steps", [10, 60, 300])
def test_slanted_triangular_against_the_papers_equation(steps):
    """Eq. 3 with cut_frac = .1 and ratio = 32, for numbers of steps of which a tenth is whole."""
    cut_frac, ratio = 0.1, 32
    cut = round(steps * cut_frac)
    for t in range(steps + 1):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        assert slanted_triangular(7 * t / steps, 7) == pytest.approx((1 + p * (ratio - 1)) / ratio, rel=1e-9), t


RISES = {"one_cycle": 0.3, "slanted_triangular": 0.1}
"""Schedules that rise to 1 and fall again -> the share of the phase at which they are highest."""


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(RISES)), moments, st.floats(0, 2))
def test_up_to_the_peak_and_down_again_never_nothing(name, moment, later):
    schedule, (done, epochs) = SCHEDULES[name], moment
    peak = RISES[name] * epochs
    assert schedule(peak, epochs) == pytest.approx(1, rel=1e-9)
    assert 0 < schedule(done, epochs) <= 1
    other = done + later * epochs
    lower, upper = schedule(done, epochs), schedule(other, epochs)
    if other <= peak:
        assert lower <= upper + 1e-12
    elif done >= peak:
        assert lower >= upper - 1e-12
    assert schedule(epochs * (1 + later), epochs) == schedule(epochs, epochs) < 0.05


@pytest.mark.parametrize("epochs", [1, 7, 50])
def test_reversal_is_the_chapters_alpha_at_the_starts_of_epochs(epochs):
    for epoch in range(epochs):
        alpha = 2 / (1 + np.exp(-10 * epoch / epochs)) - 1
        assert reversal_strength(epoch / epochs) == pytest.approx(alpha, abs=1e-15)


@settings(max_examples=100, deadline=None)
@given(st.floats(-1, 2), st.floats(-1, 2), st.floats(0, 40), st.floats(0, 3))
def test_reversal_rises_from_0_to_its_limit(first, second, gamma, highest):
    early, late = (reversal_strength(p, gamma=gamma, highest=highest) for p in sorted((first, second)))
    assert 0 <= early <= late + 1e-12 <= highest + 1e-12
    # the same curve as a hyperbolic tangent, inside 0 to 1
    p = min(max(first, 0), 1)
    found = reversal_strength(first, gamma=gamma, highest=highest)
    assert found == pytest.approx(highest * math.tanh(gamma * p / 2), abs=1e-12)


def test_reversal_by_hand():
    assert reversal_strength(0) == 0
    assert reversal_strength(0.1 * math.log(3)) == pytest.approx(0.5)  # 2 / (1 + 1/3) - 1
    assert reversal_strength(0.1 * math.log(3), highest=0.5) == pytest.approx(0.25)
    assert reversal_strength(0.2 * math.log(3), gamma=5) == pytest.approx(0.5)
    assert reversal_strength(1) == pytest.approx(1, abs=1e-4)
    assert reversal_strength(0.5, gamma=0) == 0
    assert [reversal_strength(p, gamma=math.inf) for p in (0, 1e-9)] == [0, 1]
