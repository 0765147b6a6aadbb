from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from medical_transfer.config.backbones import Backbones, OwnSource
from medical_transfer.config.model import Model
from medical_transfer.models.backbones import find_source
from medical_transfer.models.building import build, describe
from medical_transfer.types import UserError


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return resnet18(num_classes=7)


@pytest.fixture(scope="module")
def backbones(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    save_file(reference.state_dict(), path)
    return Backbones(own={"mine": OwnSource(path=path, architecture="torchvision/resnet18", classes=7)})


def built(backbones, tmp_path, *, seed=0, **fields):
    source = find_source("mine", backbones)
    return build(source, Model(**fields), classes=3, seed=seed, backbones=backbones, packages_folder=tmp_path)


def test_the_trunk_carries_the_sources_weights(backbones, reference, tmp_path):
    network = built(backbones, tmp_path).eval()
    images = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    body = torch.nn.Sequential(*list(reference.eval().children())[:-1], torch.nn.Flatten())
    with torch.no_grad():
        torch.testing.assert_close(network.features(images), body((images - mean) / std), atol=1e-5, rtol=1e-5)
        assert network(images).shape == (2, 3)


def test_only_the_head_comes_from_the_seed(backbones, tmp_path):
    first, again, other = (built(backbones, tmp_path, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert {name for name, tensor in first.items() if not torch.equal(tensor, other[name])} == {
        "head.1.weight",
        "head.1.bias",
    }


@pytest.mark.parametrize("freeze", ["all", "partial", "none"])
def test_description_against_torchvisions_own_counts(backbones, reference, tmp_path, freeze):
    facts = describe(
        find_source("mine", backbones),
        Model(freeze=freeze, trainable_stages=1),
        classes=("no", "yes"),
        backbones=backbones,
        packages_folder=tmp_path,
    )

    def count(*modules):
        return sum(p.numel() for module in modules for p in module.parameters())

    r = reference
    total = [count(r.conv1, r.bn1), count(r.layer1), count(r.layer2), count(r.layer3), count(r.layer4), 2 * 513]
    first = {"all": 5, "partial": 4, "none": 0}[freeze]
    assert [row["total"] for row in facts["parameters"]] == total
    assert [row["trainable"] for row in facts["parameters"]] == [0] * first + total[first:]
    assert (facts["cut"], facts["features"], facts["total"]) == (first, 512, sum(total))
    assert facts["trainable"] == sum(total[first:])
    assert [row["stage"] for row in facts["parameters"]] == [*facts["stages"], "head"]
    assert (facts["source"], facts["architecture"], facts["classes"]) == ("mine", "torchvision/resnet18", ["no", "yes"])


def test_too_many_trainable_stages_are_one_sentence(backbones, tmp_path):
    with pytest.raises(UserError, match=r"model\.trainable_stages=9 leaves nothing frozen"):
        describe(
            find_source("mine", backbones),
            Model(trainable_stages=9),
            classes=("a", "b"),
            backbones=backbones,
            packages_folder=tmp_path,
        )
