"""A draw that the order of rows can't change."""

from __future__ import annotations

import numpy as np

from medical_transfer.transferability.draw import content_order, draw

ROWS = np.random.default_rng(0).normal(size=(50, 3))


def test_the_same_rows_come_first_in_whatever_order_they_are_given():
    order = np.random.default_rng(1).permutation(50)
    assert np.array_equal(ROWS[order][content_order(ROWS[order], 3)], ROWS[content_order(ROWS, 3)])
    assert sorted(content_order(ROWS, 3)) == list(range(50))


def test_another_seed_is_another_order():
    assert not np.array_equal(content_order(ROWS, 0), content_order(ROWS, 1))


def test_draws_no_more_than_the_limit_and_leaves_fewer_alone():
    assert draw(ROWS, limit=10, seed=0).tolist() == content_order(ROWS, 0)[:10].tolist()
    assert draw(ROWS, limit=50, seed=0).tolist() == list(range(50))


def test_every_row_has_the_same_chance():
    """500 draws of 10 out of 50: 100 times each, with a standard deviation of 9."""
    counts = np.bincount(np.concatenate([draw(ROWS, limit=10, seed=seed) for seed in range(500)]), minlength=50)
    assert counts.min() > 55
    assert counts.max() < 145
