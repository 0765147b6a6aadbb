"""Bad evidence is refused at the door with one sentence: what was found, what was expected, what to do."""

from __future__ import annotations

import numpy as np
import pytest

from medical_transfer.transferability.evidence import Evidence
from medical_transfer.types import UserError

GOOD = {
    "features_ND": np.arange(12.0).reshape(6, 2),
    "labels_N": np.array([0, 1, 0, 1, 0, 1]),
    "groups_N": np.arange(6),
}


def holding(value, row=2):
    features_ND = GOOD["features_ND"].copy()
    features_ND[row, 1] = value
    return features_ND


BAD = {
    "NaN feature": ({"features_ND": holding(np.nan), "source": "lite0"}, "features of lite0 hold NaN.* in 1 of 6 rows"),
    "infinite feature": ({"features_ND": holding(np.inf)}, "NaN or infinity in 1 of 6 rows"),
    "NaN reference": ({"reference_features_NE": holding(np.nan)}, "reference features hold NaN"),
    "NaN source image": ({"source_features_MD": holding(np.nan)}, "source-domain features .* hold NaN"),
    "flat features": ({"features_ND": np.arange(6.0)}, r"shape \(6,\): expected a matrix"),
    "no features": ({"features_ND": np.empty((6, 0))}, r"shape \(6, 0\): expected a matrix"),
    "single class": ({"labels_N": np.ones(6, int)}, "All 6 training images have the same class"),
    "as many classes as images": ({"labels_N": np.arange(6)}, "6 training images for 6 classes"),
    "too few labels": ({"labels_N": np.array([0, 1])}, r"labels have shape \(2,\): expected one for each of 6"),
    "named labels": ({"labels_N": np.array(list("ababab"))}, "labels are of type <U1: expected integer"),
    "NaN label": ({"labels_N": np.array([0, 1, np.nan, 1, 0, 1])}, "labels are of type float64"),
    "too few groups": ({"groups_N": np.array([0, 1])}, "groups have shape"),
    "unpaired reference": ({"reference_features_NE": np.ones((5, 2))}, "5 rows of reference features for 6 images"),
    "other images": ({"source_probabilities_NK": np.full((5, 4), 0.25)}, "5 rows of source probabilities for 6 images"),
    "logits": ({"source_probabilities_NK": np.ones((6, 4))}, "are no probabilities: expected rows of numbers from 0"),
    "negative": ({"source_probabilities_NK": np.tile([1.5, -0.5], (6, 1))}, "are no probabilities"),
    "NaN probability": ({"source_probabilities_NK": np.full((6, 4), np.nan)}, "source probabilities .* hold NaN"),
    "other sources": ({"widths": (3, 1)}, r"There are 2 features of this source, but the sources .* have 3 \+ 1: give"),
    "other layer": ({"source_features_MD": np.ones((9, 3))}, "Source-domain images have 3 features, target images 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_with_a_sentence(case):
    change, message = BAD[case]
    with pytest.raises(UserError, match=message) as error:
        Evidence(**(GOOD | change))
    assert str(error.value).endswith(".")


def test_numbers_codes_from_zero_in_their_order():
    evidence = Evidence(**(GOOD | {"labels_N": np.array([7, -2, 7, 9, 9, -2], dtype=np.int16)}))
    assert evidence.labels_N.tolist() == [1, 0, 1, 2, 2, 0]
    assert evidence.classes == 3


def test_reference_may_have_another_width():
    evidence = Evidence(**GOOD, reference_features_NE=np.ones((6, 5), dtype=np.float16))
    assert evidence.reference_features_NE.dtype == np.float64


def test_takes_float32_probabilities_of_many_classes():
    logits_NK = np.random.default_rng(0).normal(scale=4, size=(6, 1000)).astype(np.float32)
    exponent_NK = np.exp(logits_NK)
    evidence = Evidence(**GOOD, source_probabilities_NK=exponent_NK / exponent_NK.sum(axis=1, keepdims=True))
    assert evidence.source_probabilities_NK.shape == (6, 1000)
