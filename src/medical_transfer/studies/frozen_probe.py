"""The outcome that every source has: a linear probe on its frozen features, judged on the test images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from medical_transfer.data.dataset import LabelledRows
from medical_transfer.metrics.classification import auroc
from medical_transfer.metrics.intervals import interval
from medical_transfer.transferability.linear_probe import LOGIT_VARIANCE, standardised
from medical_transfer.types import Interval

Floats = NDArray[np.float64]


def probe_auroc(
    train: LabelledRows, test: LabelledRows, train_ND: Floats, test_MD: Floats, *, resamples: int, seed: int
) -> Interval:
    """Test AUROC (macro, each class against the rest, where there are more than two) of a logistic regression.

    Features are standardised with the training rows, and the penalty is that of the score `linear_probe`, which is
    fixed: nothing is tuned. The interval draws whole groups of test images. NaN where a class lacks a test image.
    """
    learned_ND, judged_MD = standardised(train_ND, test_MD)
    probe = LogisticRegression(C=LOGIT_VARIANCE / train_ND.shape[1], max_iter=2000).fit(learned_ND, train.labels_N)
    probabilities_MC = np.zeros((len(test), int(max(train.labels_N.max(), test.labels_N.max())) + 1))
    probabilities_MC[:, probe.classes_] = probe.predict_proba(judged_MD)
    rng = np.random.default_rng(seed)
    return interval(auroc, test.labels_N, probabilities_MC, test.groups_N, resamples, rng)
