"""The common test of the family: every score of the menu is a row, and goes through every property."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from scipy.special import softmax

from medical_transfer.config.transferability import ScoreName
from medical_transfer.reporting.units import score_name
from medical_transfer.transferability import SCORES, Evidence, Undefined

ALL = sorted(SCORES)
READS_LABELS = ["linear_probe", "logme", "sfda", "nleep", "leep", "h_score", "parc", "gbc"]
ROTATION_PROOF = ["logme", "sfda", "nleep", "h_score", "gbc"]
UNIT_PROOF = ["linear_probe", "nleep", "h_score", "parc", "gbc"]
PAIRED = ("features_ND", "reference_features_NE", "source_probabilities_NK", "labels_N", "groups_N")


def make(*, images=60, width=12, classes=3, signal=1.0, unit=1.0, seed=0, **known):
    """Correlated gaussian features with class means `signal` apart, all that stands beside them, and two facts."""
    rng = np.random.default_rng(seed)
    labels_N = np.arange(images) % classes
    mixing_DD = rng.normal(size=(width, width))
    features_ND = rng.normal(size=(images, width)) @ mixing_DD + signal * rng.normal(size=(classes, width))[labels_N]
    features_ND = unit * features_ND
    fields = {
        "features_ND": features_ND,
        "labels_N": labels_N,
        "groups_N": np.arange(images) // classes // 2,
        "reference_features_NE": features_ND + rng.normal(size=features_ND.shape),
        "source_features_MD": rng.normal(size=(images // 2, width)) @ mixing_DD + 1,
        "parameters": 1000,
        "source_accuracy": 0.7,
        "source_probabilities_NK": softmax(
            rng.normal(size=(images, 7)) + signal * rng.normal(size=(classes, 7))[labels_N], axis=1
        ),
    }
    return Evidence(**(fields | known))


def relabelled(evidence, labels_N):
    return replace(evidence, labels_N=np.asarray(labels_N))


def test_the_menu_holds_the_names_of_the_parameters():
    assert list(SCORES) == list(get_args(ScoreName))


def test_every_score_has_its_published_name():
    assert all(score_name(name) != name.replace("_", " ") for name in SCORES)


@pytest.mark.parametrize("name", ALL)
class TestEveryScore:
    def test_is_a_finite_python_float(self, name):
        value = SCORES[name](make())
        assert type(value) is float
        assert math.isfinite(value)

    def test_works_in_float64_whatever_comes_in(self, name):
        evidence = make()
        short = {field: getattr(evidence, field).astype(np.float32) for field in (*PAIRED[:3], "source_features_MD")}
        exact = {field: values.astype(np.float64) for field, values in short.items()}
        assert SCORES[name](replace(evidence, **short)) == SCORES[name](replace(evidence, **exact))

    def test_is_finite_with_more_features_than_images(self, name):
        # SFDA: where features of a large unit leave no shrinkage, any labels would fit, and it says so.
        assert math.isfinite(SCORES[name](make(images=24, width=200, unit=0.01 if name == "sfda" else 1)))

    def test_is_finite_with_one_feature(self, name):
        if name == "parc":
            with pytest.raises(Undefined, match="gives one feature"):
                SCORES[name](make(width=1))
        else:
            assert math.isfinite(SCORES[name](make(width=1)))

    @pytest.mark.parametrize("width", [5, 200])
    def test_is_finite_with_duplicated_rows(self, name, width):
        evidence = make(images=24, width=width)
        twice = np.repeat(np.arange(24), 2)
        doubled = replace(evidence, **{field: getattr(evidence, field)[twice] for field in PAIRED})
        assert math.isfinite(SCORES[name](doubled))

    def test_is_finite_with_constant_and_repeated_features(self, name):
        evidence = make(width=6)
        features_ND = evidence.features_ND.copy()
        features_ND[:, 0] = 7.3
        features_ND[:, 1] = 0.0
        features_ND[:, 2] = features_ND[:, 3]
        assert math.isfinite(SCORES[name](replace(evidence, features_ND=features_ND)))

    def test_is_finite_where_features_are_the_labels(self, name):
        evidence = make(width=3)
        assert math.isfinite(SCORES[name](replace(evidence, features_ND=np.eye(3)[evidence.labels_N])))

    def test_a_class_with_one_sample_is_finite_or_undefined(self, name):
        evidence = make(classes=2)
        labels_N = evidence.labels_N.copy()
        labels_N[5] = 2
        lonely = replace(evidence, labels_N=labels_N)
        reasons = {"linear_probe": "lies in one group only", "gbc": "has one image only"}
        if name in reasons:
            with pytest.raises(Undefined, match=f"class number 2 {reasons[name]}"):
                SCORES[name](lonely)
        else:
            assert math.isfinite(SCORES[name](lonely))

    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize(("images", "width"), [(60, 12), (120, 40)])
    def test_ignores_the_order_of_images(self, name, images, width, seed):
        evidence = make(images=images, width=width, seed=seed)
        order = np.random.default_rng(5).permutation(images)
        shuffled = replace(evidence, **{field: getattr(evidence, field)[order] for field in PAIRED})
        assert SCORES[name](shuffled) == pytest.approx(SCORES[name](evidence), rel=1e-9)

    def test_ignores_the_order_of_images_that_come_twice(self, name):
        evidence = make(images=40, width=5)
        rows = np.random.default_rng(6).permutation(np.repeat(np.arange(40), 2))
        order = np.random.default_rng(7).permutation(80)
        given, shuffled = (
            replace(evidence, **{f: getattr(evidence, f)[r] for f in PAIRED}) for r in (rows, rows[order])
        )
        assert SCORES[name](shuffled) == pytest.approx(SCORES[name](given), rel=1e-9)

    @pytest.mark.parametrize("classes", [2, 3])
    def test_ignores_the_names_of_classes(self, name, classes):
        evidence = make(classes=classes)
        renamed = relabelled(evidence, np.array([9, -4, 5])[evidence.labels_N])
        assert SCORES[name](renamed) == pytest.approx(SCORES[name](evidence), rel=1e-9)

    def test_gives_the_same_twice(self, name):
        assert SCORES[name](make()) == SCORES[name](make())

    def test_leaves_the_evidence_as_it_is(self, name):
        evidence = make()
        before = [getattr(evidence, field).copy() for field in PAIRED]
        SCORES[name](evidence)
        after = [getattr(evidence, field) for field in PAIRED]
        assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ROTATION_PROOF)
@pytest.mark.parametrize(("images", "width"), [(60, 12), (20, 50)])
def test_ignores_a_rotation_of_the_features(name, images, width):
    evidence = make(images=images, width=width, unit=0.02)
    rotation_DD = np.linalg.qr(np.random.default_rng(1).normal(size=(width, width)))[0]
    rotated = replace(evidence, features_ND=evidence.features_ND @ rotation_DD)
    assert SCORES[name](rotated) == pytest.approx(SCORES[name](evidence), rel=1e-6)


@pytest.mark.parametrize("name", READS_LABELS)
@pytest.mark.parametrize(("images", "width"), [(120, 12), (120, 300)])
def test_is_higher_where_classes_are_further_apart(name, images, width):
    scores = [SCORES[name](make(images=images, width=width, signal=signal, unit=0.01)) for signal in (0.0, 2.0, 20.0)]
    assert scores == sorted(scores)
    assert scores[0] < scores[2]


@pytest.mark.parametrize("name", READS_LABELS)
@pytest.mark.parametrize("classes", [2, 4])
def test_is_higher_with_the_labels_than_with_shuffled_ones(name, classes):
    separated = make(images=80, classes=classes, signal=30.0)
    for seed in range(3):
        shuffled_N = np.random.default_rng(seed).permutation(separated.labels_N)
        assert SCORES[name](separated) > SCORES[name](relabelled(separated, shuffled_N))


@pytest.mark.parametrize("name", UNIT_PROOF)
def test_ignores_the_unit_of_the_features(name):
    evidence = make()
    scaled = replace(evidence, features_ND=1000 * evidence.features_ND)
    assert SCORES[name](scaled) == pytest.approx(SCORES[name](evidence), rel=1e-6)
