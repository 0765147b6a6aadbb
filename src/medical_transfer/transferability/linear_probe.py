"""Cross-validated linear probe: the plain baseline, and the score that picks the source."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from medical_transfer.transferability.evidence import Evidence, Floats, Integers, Undefined

LOGIT_VARIANCE = 10.0
"""C times D of the logistic regression. Standardised features make it the prior variance of a logit, the same for
narrow and wide sources. One fixed value, since nothing may be tuned on what is judged; it lies on the flat top for
both a CT and an ultrasound set under three 1,280-wide networks (C = .001, .01, .1: .01 best or within .0015 of it)."""


def linear_probe(evidence: Evidence) -> float:
    """Mean over folds of the AUROC of a logistic regression on the frozen features; see `probe_folds`."""
    return float(np.mean(probe_folds(evidence)))


def probe_folds(evidence: Evidence) -> tuple[float, ...]:
    """AUROC of the linear probe in each fold of a stratified cross-validation that keeps groups together.

    Features are standardised with the fold's training rows; one that varies less than the median feature is divided by
    the median's deviation, as in the classifier that will be built (`models/classifier.py` says why); of several
    sources side by side each has its own median. L2 logistic regression with C = 10 / D (multinomial where C > 2);
    AUROC of two classes, or the mean of each class against the rest. The folds depend on labels, groups and seed only,
    so that fold k of two sources holds the same images. There are fewer folds than asked for where a class has fewer
    groups; a class that a fold's training or test part lacks is left out there, a fold without two such classes
    altogether.

    Raises:
        Undefined: a class lies in one group only, or fewer than two folds can be judged.
    """
    aurocs = [auroc for train, test in _folds(evidence) if (auroc := _fold_auroc(evidence, train, test)) is not None]
    if len(aurocs) < 2:
        raise Undefined("fewer than two folds hold two classes both to train and to test on; more groups are needed")
    return tuple(aurocs)


def _folds(evidence: Evidence) -> Iterator[tuple[Integers, Integers]]:
    pairs = np.unique(np.stack([evidence.labels_N, evidence.groups_N]), axis=1)
    groups_C = np.bincount(pairs[0])
    if groups_C.min() < 2:
        raise Undefined(
            f"class number {groups_C.argmin()} lies in one group only; cross-validation needs two groups of each class"
        )
    splitter = StratifiedGroupKFold(min(evidence.folds, int(groups_C.min())), shuffle=True, random_state=evidence.seed)
    yield from splitter.split(evidence.features_ND, evidence.labels_N, evidence.groups_N)


def _fold_auroc(evidence: Evidence, train: Integers, test: Integers) -> float | None:
    trained_C = np.unique(evidence.labels_N[train])
    judged_C = np.intersect1d(trained_C, np.unique(evidence.labels_N[test]))
    if len(judged_C) < 2:
        return None
    probabilities_NC = _fit_predict(evidence, train, test)
    columns = np.searchsorted(trained_C, judged_C)
    labels_N = evidence.labels_N[test]
    aurocs = [
        roc_auc_score(labels_N == label, probabilities_NC[:, column])
        for label, column in zip(judged_C, columns, strict=True)
    ]
    return float(np.mean(aurocs))


def _fit_predict(evidence: Evidence, train: Integers, test: Integers) -> Floats:
    c = LOGIT_VARIANCE / evidence.features_ND.shape[1]
    # 1e-6: far below the spread of folds, and tight enough that the order of rows doesn't move a rank.
    probe = LogisticRegression(C=c, tol=1e-6, max_iter=5000)
    learned_ND, judged_MD = standardised(evidence.features_ND[train], evidence.features_ND[test], evidence.widths)
    probabilities_NC: Floats = probe.fit(learned_ND, evidence.labels_N[train]).predict_proba(judged_MD)
    return probabilities_NC


def standardised(train_ND: Floats, test_MD: Floats, widths: tuple[int, ...] = ()) -> tuple[Floats, Floats]:
    """Both at the mean and deviation of the training rows; the median deviation is the smallest to divide by.

    `widths`: numbers of features of several sources side by side, each of which has a median of its own.
    """
    mean_D, std_D = train_ND.mean(axis=0), train_ND.std(axis=0)
    of_each_source = np.split(std_D, np.cumsum(widths[:-1], dtype=int))
    scale_D = np.concatenate([np.maximum(own, np.median(own)) for own in of_each_source])
    scale_D[scale_D < 1e-6] = 1.0
    return (train_ND - mean_D) / scale_D, (test_MD - mean_D) / scale_D
