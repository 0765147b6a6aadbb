"""The dumb baselines hand on what is known, and say so where nothing is."""

from __future__ import annotations

import numpy as np
import pytest

from medical_transfer.transferability.baselines import parameters, source_accuracy
from medical_transfer.transferability.evidence import Evidence, Undefined

IMAGES = {"features_ND": np.eye(4), "labels_N": np.array([0, 0, 1, 1]), "groups_N": np.arange(4), "source": "lite0"}


def test_hand_on_what_is_known():
    evidence = Evidence(**IMAGES, parameters=3_413_024, source_accuracy=0.748)
    assert parameters(evidence) == 3_413_024.0
    assert source_accuracy(evidence) == 0.748


def test_zero_is_known():
    assert source_accuracy(Evidence(**IMAGES, source_accuracy=0.0)) == 0.0


def test_unknown_is_undefined():
    with pytest.raises(Undefined, match="number of parameters of lite0 is not known"):
        parameters(Evidence(**IMAGES))
    with pytest.raises(Undefined, match="no accuracy of lite0"):
        source_accuracy(Evidence(**IMAGES))
