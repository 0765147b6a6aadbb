from __future__ import annotations

import pytest
import torch
from scipy.stats import zscore

from medical_transfer.losses.logit_standardisation import standardised
from medical_transfer.types import UserError


def logits(classes: int) -> torch.Tensor:
    return torch.randn(5, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_it_is_scipys_z_score():
    given = logits(4)
    expected = torch.from_numpy(zscore(given.numpy(), axis=1, ddof=1))
    torch.testing.assert_close(standardised(given), expected, rtol=1e-12, atol=1e-12)


def test_shift_and_scale_of_logits_vanish():
    given = logits(4)
    torch.testing.assert_close(standardised(3 * given - 7), standardised(given), rtol=1e-10, atol=1e-10)


def test_equal_logits_stay_equal():
    assert standardised(torch.full((2, 3), 5.0)).tolist() == [[0.0] * 3] * 2


def test_two_classes_are_refused():
    with pytest.raises(UserError, match=r"leaves of 2 logits only which one is larger.*set it to false"):
        standardised(logits(2))
