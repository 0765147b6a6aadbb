"""Occlusion on models whose answer to a hidden patch is known exactly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from medical_transfer.evaluation.explanations.occlusion import occlusion


def reads_one_patch(images: Tensor) -> Tensor:
    """Class 1: the sum of red in rows 8 to 15, columns 16 to 23; class 0: minus that."""
    read = images[:, 0, 8:16, 16:24].sum(dim=(1, 2))
    return torch.stack([-read, read], dim=1)


def test_only_the_patch_that_is_read_counts_and_by_what_its_loss_costs() -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = occlusion(reads_one_patch, images, torch.tensor([1, 0]), patch=8, stride=8)
    assert found.shape == (2, 4, 4)
    lost_N = (images[:, 0, 8:16, 16:24].sum(dim=(1, 2)) - 64 * images[:, 0].mean(dim=(1, 2))).numpy()
    expected = np.zeros((2, 4, 4))
    expected[0, 1, 2], expected[1, 1, 2] = lost_N[0], -lost_N[1]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_overlapping_patches_are_averaged_over_each_cell() -> None:
    """A patch of two cells, pushed by one: a cell is hidden by the one or two (in both directions) that cover it."""
    images = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = occlusion(
        lambda x: x[:, 0, 2:4, 2:4].sum(dim=(1, 2))[:, None], images, torch.tensor([0]), patch=4, stride=2
    )
    mean = images[0, 0].mean()
    lost = float(images[0, 0, 2:4, 2:4].sum() - 4 * mean)
    np.testing.assert_allclose(found[0], np.full((3, 3), lost), atol=1e-12)  # all four places hide the middle


def test_a_border_that_no_whole_cell_reaches_has_a_cell_of_its_own() -> None:
    images = torch.rand(1, 3, 10, 10, dtype=torch.float64)
    found = occlusion(lambda x: x[:, 1, 8:, 8:].sum(dim=(1, 2))[:, None], images, torch.tensor([0]), patch=4, stride=4)
    assert found.shape == (1, 3, 3)
    assert np.flatnonzero(found).tolist() == [8]
