from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

import toy
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.training.learning_set import LearningSet, check_classes, learning_set
from medical_transfer.training.produce import class_weights, undo_class_weights
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
        check_classes(LearningSet(("a", "b", "c"), rows(train), rows(val), cache=None))


def test_classes_that_are_all_there_pass():
    check_classes(LearningSet(("a", "b"), rows([0, 1]), rows([1, 0]), cache=None))


class FakeCache:
    @staticmethod
    def slots(image_ids):
        return np.array(image_ids, dtype=np.int64)


@pytest.fixture
def manifest():
    """Training: 6 of `a`, 9 of `b`; validation: 2 of each; test: 1 of each."""
    counts = {"train": "a" * 6 + "b" * 9, "val": "aabb", "test": "ab"}
    rows = [(split, label) for split, labels in counts.items() for label in labels]
    frame = pd.DataFrame(rows, columns=["split", "label"])
    return frame.assign(image_id=range(len(frame)), group_id=[f"g{i}" for i in range(len(frame))], status="ok")


def test_so_many_images_of_each_class_and_validation_whole(manifest):
    found = learning_set(manifest, FakeCache(), per_class=4, seed=1)
    assert np.bincount(found.train.labels_N).tolist() == [4, 4]
    assert np.bincount(found.val.labels_N).tolist() == [2, 2]
    chosen = manifest.loc[list(found.train.image_ids)]
    assert (chosen["split"] == "train").all()
    assert [("a", "b")[label] for label in found.train.labels_N] == chosen["label"].tolist()
    assert len(learning_set(manifest, FakeCache(), per_class=None, seed=1).train) == 15


def test_fewer_are_among_more_and_the_seed_decides_which(manifest):
    def drawn(per_class, seed):
        return set(learning_set(manifest, FakeCache(), per_class=per_class, seed=seed).train.image_ids)

    assert drawn(1, 0) < drawn(2, 0) < drawn(5, 0)
    assert len({frozenset(drawn(2, seed)) for seed in range(5)}) > 1
    assert drawn(3, 7) == drawn(3, 7)


def test_more_than_there_are_is_one_sentence(manifest):
    learning_set(manifest, FakeCache(), per_class=6, seed=0)
    with pytest.raises(UserError, match="per_class is 7, but class 'a' has 6 training images: lower it"):
        learning_set(manifest, FakeCache(), per_class=7, seed=0)


def test_class_weights_are_undone_in_the_probabilities():
    """Weighted cross-entropy is least at q_c ~ w_c p_c; after the correction the model says p again."""
    p_C, network = torch.tensor([0.9, 0.1]), toy.classifier(dropout=0.0)
    weights_C = class_weights(np.array([0] * 90 + [1] * 10), 2)
    weighted_C = weights_C * p_C / (weights_C * p_C).sum()
    torch.testing.assert_close(weighted_C, torch.tensor([0.5, 0.5]))
    linear = network.head[1]
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.copy_(weighted_C.log())
    undo_class_weights(network, weights_C)
    said_NC = network.eval()(torch.rand(3, 3, toy.SIZE, toy.SIZE)).softmax(dim=1)
    torch.testing.assert_close(said_NC, p_C.expand(3, 2))
