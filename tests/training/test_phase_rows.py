from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest

import toy
from medical_transfer.config.augmentation import Augmentation
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.models.weights import Untrained
from medical_transfer.training.learning_set import LearningSet
from medical_transfer.training.phase_rows import prepare_rows


def labelled(slots, labels_N) -> LabelledRows:
    slots_N = np.array(slots)
    return LabelledRows(tuple(map(str, slots)), slots_N, labels_N[slots_N], slots_N)


@pytest.fixture
def learning():
    pixels_NSS3, labels_N = toy.pixels(20)
    cache = SimpleNamespace(pixels_NSS3=pixels_NSS3, key="pixels")
    return LearningSet(("a", "b"), labelled(range(12), labels_N), labelled(range(12, 20), labels_N), cache)


@pytest.fixture
def prepare(tmp_path, learning):
    def run(method, *, views=2, policy="flips", weights=None, **fields):
        recipe = SimpleNamespace(
            source=SimpleNamespace(identity={"name": "toy"}, weights=weights),
            augmentation=Augmentation(views=views, policy=policy),
            training=toy.config(**fields),
            folders=SimpleNamespace(features=tmp_path),
            seed=3,
        )
        return prepare_rows(method.phases(), method.classifier, learning, recipe)

    return run


def test_the_cost_of_half_precision_is_told_once_per_inner_cut(prepare, caplog):
    method = toy.finetune(toy.classifier())
    with caplog.at_level(logging.INFO, logger="medical_transfer"):
        rows = prepare(method)
        first = caplog.messages.copy()
        caplog.clear()
        prepare(method)  # found ready, told all the same
    cost = rows.train.rounding(3), rows.val.rounding(3)
    largest, rms = (max(getattr(each, name) for each in cost) for name in ("largest", "rms"))
    sentence = (
        "Activations before stage 'layer3' are cached in half precision, "
        f"relative error at most {largest:.2g}, root mean square {rms:.2g}"
    )
    assert first == caplog.messages == [sentence]
    assert 0 < rms < largest <= 2**-11


def test_rows_of_each_phase(prepare, learning):
    method = toy.finetune(toy.classifier())
    rows = prepare(method)
    head, trunk = (rows.of(phase) for phase in method.phases())
    for data, shape, kind in ((head, (64,), np.float32), (trunk, (32, 8, 8), np.float16)):
        assert [array.shape for array in data.train.views_V] == [(12, *shape)] * 3  # as they are, and two views
        assert [array.shape for array in data.val.views_V] == [(8, *shape)]
        assert {array.dtype.type for array in (*data.train.views_V, *data.val.views_V)} == {kind}
        assert data.val.labels_N.tolist() == learning.val.labels_N.tolist()


def test_without_a_cache_every_phase_has_images_and_the_features_scale_is_fitted_all_the_same(prepare, learning):
    method = toy.finetune(toy.classifier(), cached=False)
    before = method.classifier.standardise.mean.clone()
    rows = prepare(method, cached=False)
    for data in map(rows.of, method.phases()):
        assert data.train.views_V[0] is learning.cache.pixels_NSS3
        assert data.policy == "flips"
    assert not np.allclose(method.classifier.standardise.mean, before)
    np.testing.assert_allclose(method.classifier.standardise.mean, rows.train.array(4, 0).mean(axis=0), atol=1e-5)


def test_an_untrained_network_that_learns_whole_keeps_its_features_as_they_are(prepare, tmp_path):
    whole, part = (toy.finetune(toy.classifier(), freeze=how, head_first=False) for how in ("none", "partial"))
    for method in (whole, part):
        method.classifier.standardise.mean.fill_(7)
    rows = prepare(whole, weights=Untrained("init/toy"))
    assert (whole.classifier.standardise.mean == 7).all()
    assert list(tmp_path.iterdir()) == [], "nothing was computed"
    assert len(rows.of(whole.phases()[0]).train) == 12
    prepare(part, weights=Untrained("init/toy"))
    assert not (part.classifier.standardise.mean == 7).any()
    prepare(whole)
    assert not (whole.classifier.standardise.mean == 7).any(), "a pretrained network has features to measure"
