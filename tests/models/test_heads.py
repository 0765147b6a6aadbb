from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from medical_transfer.models.heads import HEADS, build_head
from medical_transfer.types import UserError

BY_HAND = {
    "linear": lambda d, c: (d + 1) * c,
    "chapter_2_1": lambda d, c: (d + 1) * 512 + 513 * c,
    "chapter_3_2": lambda d, c: (d + 1) * 256 + 257 * c,
    "chapter_5_1": lambda d, c: (d + 1) * 512 + 2 * 512 + 513 * c,
    "dann_paper": lambda d, c: (d + 1) * 100 + 101 * 100 + 101 * c,
}
LAYERS = {
    "linear": [nn.Dropout, nn.Linear],
    "chapter_2_1": [nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear],
    "chapter_3_2": [nn.Linear, nn.ReLU, nn.Linear],
    "chapter_5_1": [nn.Dropout, nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Dropout, nn.Linear],
    "dann_paper": [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear],
}


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(sorted(HEADS)), dim=st.integers(1, 300), classes=st.integers(2, 12))
def test_parameters_and_shape(kind, dim, classes):
    head = build_head(kind, feature_dim=dim, classes=classes, dropout=0.1, seed=0).eval()
    assert sum(p.numel() for p in head.parameters()) == BY_HAND[kind](dim, classes)
    assert head(torch.zeros(4, dim)).shape == (4, classes)


@pytest.mark.parametrize("kind", HEADS)
def test_layers_in_the_order_of_chapter_and_paper(kind):
    head = build_head(kind, feature_dim=8, classes=2, dropout=0.25, seed=0)
    assert [type(layer) for layer in head] == LAYERS[kind]
    rates = [layer.p for layer in head if isinstance(layer, nn.Dropout)]
    assert rates == {"linear": [0.25], "chapter_2_1": [0.5, 0.3], "chapter_5_1": [0.5, 0.3]}.get(kind, [])


def test_weights_come_from_the_seed_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, same, other = (
        build_head("linear", feature_dim=8, classes=2, dropout=0, seed=seed)[1].weight for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_an_unknown_head_lists_the_known_ones():
    with pytest.raises(UserError, match="linear, chapter_2_1, chapter_3_2, chapter_5_1, dann_paper"):
        build_head("quadratic", feature_dim=8, classes=2, dropout=0, seed=0)
