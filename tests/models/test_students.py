"""The chapter's two networks: its parameter counts by hand, and other sizes of pictures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medical_transfer.config.backbones import Backbones
from medical_transfer.models.architectures import build_architecture
from medical_transfer.models.backbones import build_trunk, find_source
from medical_transfer.models.stage_plan import plan_stages
from medical_transfer.types import UserError

# kernels 3 x 3 with a bias each; the map is 8 x 8 when it is flattened
TEACHER = {
    "features.0": 3 * 128 * 9 + 128,
    "features.2": 128 * 128 * 9 + 128,
    "features.5": 128 * 256 * 9 + 256,
    "features.7": 256 * 256 * 9 + 256,
    "features.12": 256 * 64 * 512 + 512,
    "features.15": 512 * 10 + 10,
}
STUDENT = {
    "features.0": 3 * 32 * 9 + 32,
    "features.3": 32 * 64 * 9 + 64,
    "features.8": 64 * 64 * 128 + 128,
    "features.10": 128 * 10 + 10,
}


def counts(name: str) -> dict[str, int]:
    network = build_architecture(f"house/{name}", classes=10)
    found: dict[str, int] = {}
    for tensor, parameter in network.named_parameters():
        layer = tensor.rpartition(".")[0]
        found[layer] = found.get(layer, 0) + parameter.numel()
    return found


def test_parameters_and_compression_are_the_chapters():
    teacher, student = counts("chapter_teacher"), counts("chapter_student")
    assert list(teacher.values()) == list(TEACHER.values())
    assert list(student.values()) == list(STUDENT.values())
    assert (sum(teacher.values()), sum(student.values())) == (9_430_666, 545_098)
    assert f"{sum(teacher.values()) / sum(student.values()):.2f}x" == "17.30x"


CONVOLUTION, LINEAR = ["Conv2d", "ReLU"], ["Linear", "ReLU"]
LAYERS = {
    "chapter_teacher": [
        *2 * [*2 * CONVOLUTION, "MaxPool2d"],
        *["AdaptiveAvgPool2d", "Flatten", *LINEAR, "Dropout", "Linear"],
    ],
    "chapter_student": [*2 * [*CONVOLUTION, "MaxPool2d"], *["AdaptiveAvgPool2d", "Flatten", *LINEAR, "Linear"]],
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_the_chapters_in_its_order(name):
    layers = list(build_architecture(f"house/{name}", classes=10).features)
    assert [type(layer).__name__ for layer in layers] == LAYERS[name]
    assert {layer.p for layer in layers if isinstance(layer, nn.Dropout)} <= {0.5}


@pytest.mark.parametrize(
    ("name", "channels"), [("chapter_teacher", (128, 128, 256, 256)), ("chapter_student", (32, 64))]
)
def test_at_32_pixels_nothing_is_averaged(name, channels):
    network = build_architecture(f"house/{name}", classes=10).eval()
    kinds = [type(module) for module in network.modules() if not list(module.children())]
    assert kinds.count(nn.Conv2d) == len(channels)
    images = torch.rand(2, 3, 32, 32)
    plain = nn.Sequential(*(each for each in network.features if not isinstance(each, nn.AdaptiveAvgPool2d)))
    assert torch.equal(network(images), plain(images))


@pytest.mark.parametrize("size", [32, 50, 64])
def test_pictures_of_other_sizes_pass(size):
    trunk = build_trunk(
        find_source("random/house/chapter_student", Backbones()), backbones=Backbones(), packages_folder=None
    )
    assert trunk(torch.rand(2, 3, size, size)).shape == (2, 128)


def test_they_are_cut_into_their_layers():
    plan = plan_stages("house/chapter_student")
    assert plan.cuttable
    assert [stage.name for stage in plan.stages] == ["stem", "features.3", "features.8"]
    assert plan.feature_dim == 128
    assert plan_stages("house/chapter_teacher").feature_dim == 512


def test_the_house_has_untrained_sources_only():
    source = find_source("random/house/chapter_student", Backbones())
    assert (source.architecture, source.trainable, source.source_accuracy) == ("house/chapter_student", True, None)
    with pytest.raises(UserError, match=r"house has no network 'chapter_studen'.*chapter_student"):
        find_source("random/house/chapter_studen", Backbones())
    with pytest.raises(UserError, match="Unknown source 'house/chapter_student'"):
        find_source("house/chapter_student", Backbones())
