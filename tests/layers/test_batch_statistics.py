"""AdaBN's statistics against means and variances that are computed directly, and against torch's own."""

from __future__ import annotations

import copy

import torch
from torch import nn

from medical_transfer.layers.batch_statistics import reestimate


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)
    )


def images(n: int = 12) -> torch.Tensor:
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 3 + 2


def test_the_first_norm_has_the_mean_and_variance_of_all_that_it_sees_however_it_is_cut() -> None:
    changed, seen = network(), images()
    with torch.no_grad():
        below = changed[0](seen).double().transpose(0, 1).flatten(start_dim=1)
    reestimate(changed, [seen[:7], seen[7:9], seen[9:]])
    torch.testing.assert_close(changed[1].running_mean.double(), below.mean(dim=1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(changed[1].running_var.double(), below.var(dim=1), rtol=1e-5, atol=1e-6)


def test_every_norm_has_what_one_batch_in_training_would_leave() -> None:
    """With momentum 1 torch keeps the statistics of the last batch; dropout is off in both."""
    changed, expected, seen = network(), network(), images()
    reestimate(changed, [seen])
    for module in expected:
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    expected.train()
    expected[3].eval()
    with torch.no_grad():
        expected(seen)
    for place in (1, 5):
        torch.testing.assert_close(changed[place].running_mean, expected[place].running_mean)
        torch.testing.assert_close(changed[place].running_var, expected[place].running_var)


def test_nothing_else_changes_and_the_network_is_left_in_eval_mode() -> None:
    changed = network()
    before = copy.deepcopy(changed.state_dict())
    reestimate(changed.train(), [images()])
    assert not any(module.training for module in changed.modules())
    for name, value in changed.state_dict().items():
        moved = name.endswith(("running_mean", "running_var", "num_batches_tracked"))
        assert moved or torch.equal(value, before[name]), name
    first, again = changed(images()), changed(images())
    assert torch.equal(first, again)
    assert not changed[1]._forward_pre_hooks
