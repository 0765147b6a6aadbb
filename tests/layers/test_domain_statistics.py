from __future__ import annotations

import torch
from torch import nn

from medical_transfer.layers.domain_statistics import DomainStatistics


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def rows(seed: int, shift: float) -> torch.Tensor:
    return torch.randn(16, 3, generator=torch.Generator().manual_seed(seed)) + shift


def test_each_domain_has_the_statistics_that_a_network_for_it_alone_would_have():
    shared, source, target = network(), network(), network()
    statistics = DomainStatistics(shared)
    for step in range(4):
        with statistics.of_source():
            shared(rows(step, 0.0))
        shared(rows(step, 5.0))
        source(rows(step, 0.0))
        target(rows(step, 5.0))
    for one, other in ((shared, target), (statistics, source)):
        buffers = dict(one.named_buffers())
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            mine = buffers[f"1.{name}"] if one is shared else buffers[f"{name}_0"]
            assert torch.equal(mine, getattr(other[1], name))
    shared.eval()
    with statistics.of_source():
        as_source = shared(rows(9, 0.0))
    assert torch.equal(as_source, source.eval()(rows(9, 0.0)))
    assert torch.equal(shared(rows(9, 0.0)), target.eval()(rows(9, 0.0)))


def test_until_the_source_is_trained_on_it_has_the_networks_own_statistics():
    shared = network()
    statistics = DomainStatistics(shared)
    shared(rows(0, 1.0))
    moved = shared[1].running_mean.clone()
    statistics.eval()
    with statistics.of_source():  # judged, not trained
        assert torch.equal(shared[1].running_mean, moved)
    shared(rows(1, 1.0))
    statistics.train()
    with statistics.of_source():
        assert not torch.equal(shared[1].running_mean, moved), "those of now, not of then"
    kept = {name: tensor.clone() for name, tensor in statistics.state_dict().items()}
    assert bool(kept["known"])
    other = network()
    again = DomainStatistics(other)
    again.load_state_dict(kept)
    with again.of_source():
        assert torch.equal(other[1].running_mean, kept["running_mean_0"])


def test_nothing_of_it_learns_and_the_networks_norms_are_not_its_own():
    statistics = DomainStatistics(network())
    assert list(statistics.parameters()) == []
    assert len(list(statistics.modules())) == 1
