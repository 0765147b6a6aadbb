from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from medical_transfer.runtime.seeds import derive_seed, generator


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**40), st.text(max_size=20))
def test_seed_is_the_first_32_bits_of_the_hash(root, name):
    expected = int(hashlib.sha256((str(root) + "/" + name).encode("utf-8")).hexdigest()[:8], 16)
    assert derive_seed(root, name) == expected
    assert 0 <= derive_seed(root, name) < 2**32


def test_streams_are_independent_of_one_another():
    names = [f"stream/{number}" for number in range(400)]
    draws = np.array([generator(0, name).random(8) for name in names])
    assert len({row.tobytes() for row in draws}) == 400
    assert kstest(draws.ravel(), "uniform").pvalue > 1e-3
    correlations = np.corrcoef(draws.T)[np.triu_indices(8, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(400)
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 4 / np.sqrt(400)


def test_a_stream_is_numpys_with_the_derived_seed():
    expected = np.random.default_rng(derive_seed(7, "split")).normal(size=5)
    assert generator(7, "split").normal(size=5).tolist() == expected.tolist()
