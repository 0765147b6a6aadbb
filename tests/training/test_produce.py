from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from medical_transfer.data.dataset import LabelledRows
from medical_transfer.training.produce import LearningSet, _every_class_is_there, class_weights
from medical_transfer.types import UserError


def rows(labels) -> LabelledRows:
    labels_N = np.array(labels, dtype=np.int64)
    place_N = np.arange(len(labels_N))
    return LabelledRows(tuple(map(str, place_N)), place_N, labels_N, place_N)


def test_class_weights_against_scikit_learn():
    labels_N = np.array([0] * 5 + [1] * 2 + [2] * 13)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels_N)
    ours = class_weights(labels_N, 3)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-6)
    assert ours[torch.from_numpy(labels_N)].mean().item() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [([0, 1, 1], [0, 1, 2], "'train' has no usable image of c:"), ([0, 1, 2], [1, 1], "'val' has no .* of a, c:")],
)
def test_a_class_that_cannot_be_learned_or_judged_is_one_sentence(train, val, message):
    with pytest.raises(UserError, match=message):
        _every_class_is_there(LearningSet(("a", "b", "c"), rows(train), rows(val), cache=None))


def test_classes_that_are_all_there_pass():
    _every_class_is_there(LearningSet(("a", "b"), rows([0, 1]), rows([1, 0]), cache=None))
