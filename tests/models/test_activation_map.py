from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.models.activation_map import ActivationMap, Rounding, worst

SMALLEST = 2.0**-14


def kept(folder, rows, pieces=3, name="map.npy"):
    """A map of these rows, written in pieces; the rows as they lie on disk and what that cost."""
    rows = np.asarray(rows, dtype=np.float32)
    made = ActivationMap(folder / name, len(rows), rows.shape[1:])
    for start in range(0, len(rows), pieces):
        made.write(start, rows[start : start + pieces])
    return np.load(folder / name), made.rounding


def by_hand(rows, found):
    """The two errors in double precision."""
    exact, rounded = np.asarray(rows, dtype=np.float32).astype(np.float64), found.astype(np.float64)
    errors = np.abs(rounded - exact)
    return (errors / np.maximum(np.abs(exact), SMALLEST)).max(), np.sqrt((errors**2).sum() / (exact**2).sum())


scales = st.floats(-2, 4).map(lambda power: 10.0**power)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), scales, st.booleans())
def test_the_stated_error_is_that_of_the_rows_on_disk(tmp_path_factory, seed, n, scale, sparse):
    rng = np.random.default_rng(seed)
    rows = (scale * rng.normal(size=(n, 5, 4, 3))).astype(np.float32)
    if sparse:  # as after a ReLU
        rows = np.maximum(rows, 0)
    found, cost = kept(tmp_path_factory.mktemp("map"), rows)
    assert found.dtype == np.float16
    largest, rms = by_hand(rows, found)
    assert cost.largest == pytest.approx(largest, rel=1e-5)
    assert cost.rms == pytest.approx(rms, rel=1e-5)
    assert cost.largest <= 2**-11
    assert cost == Rounding("float16", cost.largest, cost.rms)


def test_errors_by_hand(tmp_path):
    """float16 has steps of 1/1024 from 1 to 2 and of 2^-24 below 2^-14."""
    rows = np.array([[[1 + 0.25 / 1024, 2.0]], [[0.25 * 2**-24, 0.0]]])
    found, cost = kept(tmp_path, rows, pieces=2)
    assert found.ravel().tolist() == [1.0, 2.0, 0.0, 0.0]
    assert cost.largest == pytest.approx(max(0.25 / 1024 / (1 + 0.25 / 1024), 0.25 * 2**-24 / 2**-14))
    assert cost.rms == pytest.approx(0.25 / 1024 / np.sqrt((1 + 0.25 / 1024) ** 2 + 4), rel=1e-6)


@pytest.mark.parametrize("value", [65_520.0, -70_000.0, 3e38])
def test_a_value_beyond_half_precision_widens_the_map_and_is_told(tmp_path, value):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(8, 2, 3)).astype(np.float32)
    rows[5, 1, 1] = value
    found, cost = kept(tmp_path, rows, pieces=2)
    assert found.dtype == np.float32
    assert (found[4:] == rows[4:]).all()  # from the piece on in which it was found
    assert (found[:4] == rows[:4].astype(np.float16)).all()  # rounded before
    assert cost.kind == "float32"
    assert cost.reason == f"half precision ends at 65504 and one of them is {value:.6g}"
    assert cost.largest == pytest.approx(by_hand(rows, found)[0], rel=1e-5)
    assert "in single precision, because half precision ends at 65504" in str(cost)


@pytest.mark.parametrize("value", [65_504.0, 65_519.0, -65_504.0])
def test_the_largest_half_is_kept_in_half_precision(tmp_path, value):
    rows = np.full((3, 2, 2), value, dtype=np.float32)
    found, cost = kept(tmp_path, rows)
    assert (found == np.sign(value) * 65_504).all()
    assert (found.dtype, cost.reason) == (np.float16, "")
    assert cost.largest == pytest.approx((abs(value) - 65_504) / abs(value))


def test_values_too_small_for_half_precision_widen_the_map(tmp_path):
    rows = np.random.default_rng(0).normal(size=(6, 4, 4)).astype(np.float32) * np.float32(1e-7)
    found, cost = kept(tmp_path, rows)
    assert (found == rows).all()
    assert (cost.kind, cost.largest, cost.rms) == ("float32", 0.0, 0.0)
    assert cost.reason == f"they are too small for half precision, at most {np.abs(rows[:3]).max():.2g}"


def test_many_rows_are_copied_when_a_map_is_widened(tmp_path):
    rows = np.random.default_rng(0).normal(size=(700, 2, 2)).astype(np.float32)
    rows[650] = 1e6
    found, _ = kept(tmp_path, rows, pieces=100)
    assert (found[:600] == rows[:600].astype(np.float16)).all()
    assert (found[600:] == rows[600:]).all()
    assert [file.name for file in tmp_path.iterdir()] == ["map.npy"]


def test_zeros_have_no_error(tmp_path):
    assert kept(tmp_path, np.zeros((4, 2, 2)))[1] == Rounding("float16", 0.0, 0.0)


def test_feature_vectors_stay_as_they_are(tmp_path):
    rows = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32) * np.float32(1e6)
    found, cost = kept(tmp_path, rows)
    assert (found == rows).all()
    assert cost == Rounding("float32", 0.0, 0.0)
    assert str(cost) == "in single precision, as they are"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(3, 2, 2), (3, 4)])
def test_what_is_no_number_is_refused(tmp_path, value, shape):
    rows = np.ones(shape, dtype=np.float32)
    rows[1, 1] = value
    with pytest.raises(FloatingPointError):
        kept(tmp_path, rows)


def test_the_worst_of_several_maps():
    half, other = Rounding("float16", 4e-4, 1e-4), Rounding("float16", 3e-4, 2e-4)
    assert worst([half, other]) == Rounding("float16", 4e-4, 2e-4)
    assert str(worst([half, other])) == "in half precision, relative error at most 0.0004, root mean square 0.0002"
    wide = Rounding("float32", 1e-4, 1e-5, "of a reason")
    assert worst([half, wide, other]) == Rounding("float32", 4e-4, 2e-4, "of a reason")
