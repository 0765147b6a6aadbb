"""The probe against plain scikit-learn (scaler, logistic regression, roc_auc_score) on the same folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.linear_probe import _folds, linear_probe, probe_folds


def make(*, images=120, width=20, classes=2, signal=0.5, groups_of=3, **known):
    rng = np.random.default_rng(0)
    labels_N = np.arange(images) // groups_of % classes
    features_ND = 10 * (rng.normal(size=(images, width)) + signal * rng.normal(size=(classes, width))[labels_N]) + 40
    return Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(images) // groups_of, **known)


def plain_auroc(evidence, train, test):
    """Standardise by hand, fit, and let roc_auc_score do binary or macro one-vs-rest."""
    mean_D, std_D = evidence.features_ND[train].mean(0), evidence.features_ND[train].std(0)
    std_D = np.where(std_D < np.median(std_D), np.median(std_D), std_D)
    rows_ND = (evidence.features_ND - mean_D) / std_D
    c = 10 / evidence.features_ND.shape[1]
    probe = LogisticRegression(C=c, tol=1e-8, max_iter=10_000).fit(rows_ND[train], evidence.labels_N[train])
    probabilities_NC = probe.predict_proba(rows_ND[test])
    if evidence.classes == 2:
        return roc_auc_score(evidence.labels_N[test], probabilities_NC[:, 1])
    return roc_auc_score(evidence.labels_N[test], probabilities_NC, multi_class="ovr", average="macro")


@pytest.mark.parametrize("classes", [2, 4])
def test_equals_the_plain_baseline(classes):
    evidence = make(classes=classes)
    expected = [plain_auroc(evidence, train, test) for train, test in _folds(evidence)]
    assert probe_folds(evidence) == pytest.approx(expected, abs=2e-3)
    assert linear_probe(evidence) == pytest.approx(np.mean(expected), abs=2e-3)
    assert 0.55 < np.mean(expected) < 0.999


def test_standardises_with_training_rows_only():
    """A test row moved far away must not change how the other test rows are ordered; its own fold only sees it."""
    evidence = make()
    train, test = next(_folds(evidence))
    features_ND = evidence.features_ND.copy()
    features_ND[test[0]] += 1e6
    moved = replace(evidence, features_ND=features_ND)
    assert probe_folds(moved)[0] == pytest.approx(plain_auroc(moved, train, test), abs=2e-3)


@pytest.mark.parametrize("scale", [0.001, 1000.0])
def test_how_large_the_features_of_one_of_several_sources_are_changes_nothing(scale):
    evidence = make(width=20, widths=(12, 8))
    features_ND = evidence.features_ND * np.repeat([1.0, scale], [12, 8])
    assert probe_folds(replace(evidence, features_ND=features_ND)) == pytest.approx(probe_folds(evidence), abs=1e-6)


def test_with_one_median_for_all_the_small_features_of_one_of_several_sources_would_be_lost():
    evidence = make(width=20, widths=(12, 8))
    shrunk = replace(evidence, features_ND=evidence.features_ND * np.repeat([1.0, 0.001], [12, 8]))
    together, lost = replace(shrunk, widths=()), replace(shrunk, features_ND=shrunk.features_ND[:, :12], widths=())
    assert probe_folds(together) == pytest.approx(probe_folds(lost), abs=0.02)
    assert linear_probe(shrunk) > linear_probe(together) + 0.01


def test_keeps_groups_together_and_covers_every_image_once():
    evidence = make(images=300, groups_of=7, classes=3)
    seen = []
    for train, test in _folds(evidence):
        assert not set(evidence.groups_N[train]) & set(evidence.groups_N[test])
        assert set(evidence.labels_N[test]) == {0, 1, 2}
        seen.extend(test)
    assert sorted(seen) == list(range(300))


def test_groups_matter():
    """Noise features with each image stored five times: images apart would be recognised, patients together are not."""
    rng = np.random.default_rng(1)
    features_ND = np.repeat(rng.normal(size=(40, 60)), 5, axis=0)
    labels_N = np.repeat(rng.permutation(np.arange(40) % 2), 5)
    patients = Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(200) // 5)
    leaking = replace(patients, groups_N=np.arange(200))
    assert linear_probe(leaking) > 0.99
    assert linear_probe(patients) < 0.75


def test_folds_are_those_of_the_seed_for_every_source():
    one = make()
    other = replace(one, features_ND=np.random.default_rng(9).normal(size=(120, 3)))
    pairs = zip(_folds(one), _folds(other), strict=True)
    assert all(np.array_equal(mine[1], theirs[1]) for mine, theirs in pairs)
    reseeded = zip(_folds(one), _folds(replace(one, seed=1)), strict=True)
    assert not all(np.array_equal(mine[1], theirs[1]) for mine, theirs in reseeded)


def test_number_of_folds():
    assert len(probe_folds(make(folds=3))) == 3
    rare = make()
    labels_N = np.zeros(120, int)
    labels_N[:9] = 1  # three groups of three
    assert len(probe_folds(replace(rare, labels_N=labels_N))) == 3


def test_noise_is_a_coin_toss_and_signal_is_not():
    assert linear_probe(make(images=600, signal=0.0)) == pytest.approx(0.5, abs=0.08)
    assert linear_probe(make(images=600, signal=5.0)) == pytest.approx(1.0)


def test_a_class_in_one_group_is_undefined():
    evidence = make()
    with pytest.raises(Undefined, match="class number 1 lies in one group only"):
        probe_folds(replace(evidence, labels_N=(evidence.groups_N == 4).astype(int)))


def test_folds_that_hold_one_class_are_left_out():
    """Four groups of one class each and two folds: whichever way they fall, no warning and no NaN comes out."""
    for seed in range(10):
        labels_N = np.repeat([0, 0, 1, 1], [40, 2, 2, 40])
        features_ND = np.random.default_rng(seed).normal(size=(84, 3))
        groups_N = np.repeat(np.arange(4), [40, 2, 2, 40])
        evidence = Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=groups_N, seed=seed)
        try:
            aurocs = probe_folds(evidence)
        except Undefined as undefined:
            assert "fewer than two folds" in str(undefined)
        else:
            assert np.isfinite(aurocs).all()
