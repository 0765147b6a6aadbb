"""Modality transformation and values of interest against the standard's formulas by hand, and against pydicom's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from dicom_files import data_set
from medical_transfer.config.images import Images
from medical_transfer.data.decode import Unreadable
from medical_transfer.data.dicom_grey import rescaled, shown, to_eight_bits, windowed


def images(**fields) -> Images:
    return Images(kind="dicom", root="/there", **fields)


def shares(pixels: np.ndarray, given: Images | None = None, **tags) -> np.ndarray:
    made = data_set(pixels, **tags)
    return shown(pixels, made, made, made, given or images())


def linear_by_hand(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.2.1, output from 0 to 1."""
    if x <= center - 0.5 - (width - 1) / 2:
        return 0.0
    if x > center - 0.5 + (width - 1) / 2:
        return 1.0
    return (x - (center - 0.5)) / (width - 1) + 0.5


def exact_by_hand(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    if x <= center - width / 2:
        return 0.0
    if x > center + width / 2:
        return 1.0
    return (x - center) / width + 0.5


@pytest.mark.parametrize(("center", "width"), [(40.0, 400.0), (2048, 4096), (0, 1), (0, 2), (-600.5, 1500.25)])
def test_a_window_is_the_formula_of_the_standard(center, width):
    values = np.concatenate([np.arange(-1100, 1100, 7.0), center + np.array([-1, -0.5, 0, 0.5, 1, 0.49])])
    expected = [linear_by_hand(x, center, width) if width > 1 else float(x > center - 0.5) for x in values]
    np.testing.assert_allclose(windowed(values, center, width), expected, atol=1e-12)
    expected = [exact_by_hand(x, center, width) for x in values]
    np.testing.assert_allclose(windowed(values, center, width, "LINEAR_EXACT"), expected, atol=1e-12)
    near = values[np.abs(values - center) < 100 * width]
    expected = [1 / (1 + math.exp(-4 * (x - center) / width)) for x in near]
    np.testing.assert_allclose(windowed(near, center, width, "SIGMOID"), expected, atol=1e-12)


def test_examples_of_the_standard():
    # C.11.2.1.2.2: width 4096 and centre 2048 map 0..4095 to 0..255 as a whole, width 1 and centre 128 is a threshold
    np.testing.assert_array_equal(to_eight_bits(windowed(np.array([0.0, 4095]), 2048, 4096)), [0, 255])
    np.testing.assert_array_equal(to_eight_bits(windowed(np.array([126.0, 127, 128, 129]), 128, 1)), [0, 0, 255, 255])
    np.testing.assert_array_equal(to_eight_bits(windowed(np.array([0.0, 100, 101]), 50.5, 101)), [0, 255, 255])


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept", "bits"), [(1, -1024, 12), (2.5, 10, 16), (0.5, 0, 10)])
def test_rescale_and_window_agree_with_pydicom(function, slope, intercept, bits):
    stored = np.random.default_rng(0).integers(0, 2**bits, (9, 11)).astype(np.uint16)
    tags = {"RescaleSlope": slope, "RescaleIntercept": intercept, "VOILUTFunction": function}
    made = data_set(stored, bits=bits, WindowCenter=[300, 40], WindowWidth=[800, 1], **tags)
    theirs = apply_voi_lut(apply_modality_lut(stored, made), made, index=0)
    low, high = intercept, (2**bits - 1) * slope + intercept
    np.testing.assert_allclose(shown(stored, made, made, made, images()), (theirs - low) / (high - low), atol=1e-9)


def lut(entries: list[int], first: int, bits: int) -> Dataset:
    made = Dataset()
    made.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    made.add_new("LUTData", "US", entries)
    return made


def test_a_table_of_values_of_interest_comes_before_a_window_and_agrees_with_pydicom():
    stored = np.array([[0, 3, 4, 5], [6, 7, 200, 4000]], np.uint16)
    table = lut([0, 900, 1000, 4095], 4, 12)
    made = data_set(stored, bits=12, VOILUTSequence=[table], WindowCenter=1, WindowWidth=2)
    by_hand = np.array([[0, 0, 0, 900], [1000, 4095, 4095, 4095]]) / 4095
    np.testing.assert_allclose(shown(stored, made, made, made, images()), by_hand)
    np.testing.assert_allclose(by_hand * 4095, apply_voi_lut(stored, made))


def test_a_table_of_more_than_256_entries_of_8_bits():
    stored = np.array([[0, 255, 256, 300, 511]], np.uint16)  # pydicom 3.0.2 looks places beyond 255 up modulo 256
    made = data_set(stored, VOILUTSequence=[lut([place // 2 for place in range(512)], 0, 8)])
    np.testing.assert_allclose(shown(stored, made, made, made, images()), [[0, 127 / 255, 128 / 255, 150 / 255, 1]])


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_table_as_bytes_in_either_order(order):
    stored = np.array([[0, 1, 2]], np.uint16)
    table = Dataset()
    table.LUTDescriptor = [3, 0, 16]
    table.add_new("LUTData", "OW", np.array([1, 256, 65535], f"{order}u2").tobytes())
    made = data_set(stored, VOILUTSequence=[table])
    made.set_original_encoding(False, order == "<")
    np.testing.assert_allclose(shown(stored, made, made, made, images()), [[1 / 65535, 256 / 65535, 1]])


def test_a_first_place_below_zero_that_was_read_without_its_sign():
    stored = np.array([[-1024, -1023, 5]], np.int16)
    made = data_set(stored, VOILUTSequence=[lut([10, 20], 2**16 - 1024, 8)])
    np.testing.assert_allclose(shown(stored, made, made, made, images()), [[10 / 255, 20 / 255, 20 / 255]])


def test_a_modality_table_stands_for_slope_and_intercept():
    stored = np.array([[0, 1, 2, 9]], np.uint8)
    tags = data_set(stored, ModalityLUTSequence=[lut([5, 50, 500], 0, 16)], RescaleSlope=3, RescaleIntercept=1)
    np.testing.assert_array_equal(rescaled(stored, tags), [[5, 50, 500, 500]])
    np.testing.assert_array_equal(rescaled(stored, tags), apply_modality_lut(stored, tags))


def test_eight_bits_or_fewer_without_a_window_keep_their_whole_range():
    stored = np.array([[0, 51, 255]], np.uint8)
    np.testing.assert_allclose(shares(stored), [[0, 0.2, 1]])
    np.testing.assert_allclose(shares(stored, RescaleSlope=7, RescaleIntercept=-3), [[0, 0.2, 1]])
    np.testing.assert_allclose(shares(stored, RescaleSlope=-1, RescaleIntercept=0), [[1, 0.8, 0]])
    np.testing.assert_allclose(shares(np.array([[0, 3, 15]], np.uint8), bits=4), [[0, 0.2, 1]])
    np.testing.assert_allclose(shares(np.array([[-128, 127]], np.int8)), [[0, 1]])


def test_more_bits_without_a_window_need_a_rule():
    stored = np.array([[0, 819, 4095]], np.uint16)
    with pytest.raises(Unreadable, match=r"no window in the file: say by images\.dicom\.window_center"):
        shares(stored, bits=12)
    np.testing.assert_allclose(shares(stored, images(sixteen_bit="full"), bits=12), [[0, 0.2, 1]])
    np.testing.assert_allclose(shares(stored // 5, images(sixteen_bit="image"), bits=12), [[0, 51 / 255, 1]])
    ranged = images(sixteen_bit=(-1000, 1000))
    np.testing.assert_allclose(
        shares(np.array([[0, 1200, 4000]], np.uint16), ranged, RescaleIntercept=-1000, RescaleSlope=1),
        [[0, 153 / 255, 1]],
    )
    signed = np.array([[-2048, 2047]], np.int16)
    np.testing.assert_allclose(shares(signed, images(sixteen_bit="full"), bits=12), [[0, 1]])


def test_the_window_of_the_parameters_comes_before_the_file_s():
    stored = np.array([[0, 1024, 1064, 1264, 4095]], np.uint16)
    given = images(dicom={"window_center": 40, "window_width": 400})
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 5, "WindowWidth": 6}
    expected = [[linear_by_hand(x - 1024.0, 40, 400) for x in stored[0]]]
    np.testing.assert_allclose(shares(stored, given, **tags), expected)
    np.testing.assert_allclose(shares(stored, given, VOILUTSequence=[lut([1, 2], 0, 8)], **tags), expected)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"WindowCenter": 1, "WindowWidth": 0}, "a window 0 wide"),
        ({"WindowCenter": 1, "WindowWidth": -4}, "a window -4 wide"),
        ({"WindowCenter": 1, "WindowWidth": 0.5}, "a window 0.5 wide"),
        ({"WindowCenter": 1, "WindowWidth": 4, "VOILUTFunction": "DOE^JOHN"}, "a window of an unknown kind"),
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, "rescale slope is 0"),
        ({"VOILUTSequence": [lut([1, 2], 0, 20)]}, "lookup table is incomplete"),
    ],
)
def test_what_is_impossible_is_a_reason(tags, words):
    with pytest.raises(Unreadable, match=words) as refused:
        shares(np.zeros((2, 2), np.uint8), **tags)
    assert "DOE" not in str(refused.value)


def test_empty_tags_count_as_missing():
    stored = np.array([[0, 51, 255]], np.uint8)
    tags = {"WindowCenter": None, "WindowWidth": 3, "RescaleSlope": None, "RescaleIntercept": ""}
    np.testing.assert_allclose(shares(stored, **tags), [[0, 0.2, 1]])
