from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.models.freezing import freeze, freeze_below
from medical_transfer.models.learning_rates import parameter_groups


@pytest.fixture(scope="module")
def shared_model(classifier_of):
    return classifier_of()


def identities(groups) -> Counter[int]:
    return Counter(id(p) for group in groups for p in group["params"])


@settings(max_examples=25, deadline=None)
@given(
    base=st.floats(1e-6, 1),
    multiplier=st.floats(1, 5),
    cut=st.integers(0, 4),
    decay=st.floats(0, 0.1),
)
def test_every_learning_parameter_is_in_one_group(shared_model, base, multiplier, cut, decay):
    freeze_below(shared_model, cut)
    groups = parameter_groups(shared_model, base_rate=base, multiplier=multiplier, weight_decay=decay)
    assert identities(groups) == Counter(id(p) for p in shared_model.parameters() if p.requires_grad)
    rates = [group["lr"] for group in groups]
    assert rates == sorted(rates)
    assert rates[-1] == base
    assert len({group["name"] for group in groups}) == len(groups)
    torch.optim.AdamW(groups)


def test_rates_by_the_chapters_formula(classifier_of):
    """base / 2.6^(groups - i - 1): fc 1e-3, layer4 3.85e-4, layer3 1.48e-4, ...; the stem follows on."""
    groups = parameter_groups(classifier_of("timm/resnet18"), base_rate=1e-3)
    stages = ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    assert [group["name"] for group in groups] == [f"{stage}{kind}" for stage in stages for kind in ("", "/no_decay")]
    expected = [1e-3 / 2.6**power for power in (5, 4, 3, 2, 1, 0) for _ in ("", "/no_decay")]
    assert [group["lr"] for group in groups] == pytest.approx(expected)


def test_stem_and_first_norm_are_not_forgotten(classifier_of):
    model = classifier_of("timm/resnet18")
    stem = [group for group in parameter_groups(model, base_rate=1) if group["name"].startswith("stem")]
    network = model.trunk.network
    assert set(identities(stem)) == {id(network.conv1.weight), id(network.bn1.weight), id(network.bn1.bias)}


def test_norms_and_biases_do_not_decay(classifier_of):
    model = classifier_of(head="chapter_5_1")
    for group in parameter_groups(model, base_rate=1, weight_decay=0.05):
        vectors = group["name"].endswith("/no_decay")
        assert group["weight_decay"] == (0.0 if vectors else 0.05)
        assert all((p.ndim == 1) == vectors for p in group["params"])


def test_a_stage_keeps_its_rate_when_others_are_frozen(classifier_of):
    model = classifier_of()
    whole = {group["name"]: group["lr"] for group in parameter_groups(model, base_rate=0.1)}
    freeze(model, "partial", 1)
    partial = {group["name"]: group["lr"] for group in parameter_groups(model, base_rate=0.1)}
    assert partial == {name: rate for name, rate in whole.items() if name.partition("/")[0] in ("layer3", "head")}


def test_tied_weights_are_in_one_group(classifier_of):
    model = classifier_of()
    model.head[1].bias = model.trunk.network.bn1.bias
    groups = parameter_groups(model, base_rate=1)
    assert set(identities(groups).values()) == {1}
    assert next(g for g in groups if any(p is model.head[1].bias for p in g["params"]))["name"] == "stem/no_decay"
