"""Networks for digits: what the chapter and the paper say of their sizes, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medical_transfer.config.backbones import Backbones
from medical_transfer.models.architectures import behead, build_architecture, native_size
from medical_transfer.models.backbones import SOURCES, build_trunk, find_source
from medical_transfer.models.digit_nets import DIGIT_NETS
from medical_transfer.models.digit_sources import DIGITS
from medical_transfer.models.heads import build_head
from medical_transfer.models.stage_plan import plan_stages
from medical_transfer.types import UserError

CHAPTER = (3 * 25 + 1) * 64 + (64 * 25 + 1) * 128 + (128 * 5 * 5 + 1) * 1024 + 1025 * 10
PAPER = (3 * 25 + 1) * 32 + (32 * 25 + 1) * 48 + (48 * 5 * 5 + 1) * 100 + 101 * 100 + 101 * 10
MAPS = (3 * 25 + 1) * 32 + (32 * 25 + 1) * 48 + (48 * 4 * 4 + 1) * 10
BY_HAND = {
    "dann_chapter": (CHAPTER, 1024),
    "dann_chapter_bn": (CHAPTER + 2 * (64 + 128 + 1024), 1024),
    "dann_maps": (MAPS, 48 * 4 * 4),
    "dann_maps_norm": (MAPS + 2 * (32 + 48), 48 * 4 * 4),
    "dann_paper": (PAPER, 100),
    "dann_paper_bn": (PAPER + 2 * (32 + 48 + 100 + 100), 100),
    "mmdnet": (3073 * 512 + 513 * 256 + 257 * 10, 256),
}
"""Parameters with a head of ten classes, and D."""


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", DIGIT_NETS)
def test_parameters_and_features_by_hand(name):
    parameters, width = BY_HAND[name]
    network = build_architecture(f"house/{name}", classes=10)
    assert count(network) == parameters
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert behead(network)(torch.rand(2, 3, 32, 32)).shape == (2, width)
    assert native_size(f"house/{name}") == 32
    assert plan_stages(f"house/{name}").cuttable


def test_each_is_an_untrained_source_that_says_its_size():
    assert {source.name: source.parameters for source in DIGITS} == {
        f"random/{name}": parameters for name, (parameters, _) in BY_HAND.items()
    }
    assert {source.name for source in DIGITS} <= SOURCES.keys()
    with pytest.raises(UserError, match=r"Did you mean random/dann_paper"):
        find_source("random/dann_papr", Backbones())


def test_the_chapters_network_is_the_chapters(tmp_path):
    """Section 3.2 as it is printed, with our weights: features agree."""
    ours = build_trunk(find_source("random/dann_chapter", Backbones()), backbones=Backbones(), packages_folder=tmp_path)
    theirs = nn.Sequential(
        *(nn.Conv2d(3, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 128, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(128 * 5 * 5, 1024), nn.ReLU(), nn.Dropout(0.5)),
    ).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.network.state_dict().values(), strict=True)))
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(ours(images), theirs(images))
    assert [module.p for module in ours.modules() if isinstance(module, nn.Dropout)] == [0.5]


def test_maps_with_the_papers_head_are_the_papers_net(tmp_path):
    """Figure 4a as it is printed, on the inner 28 pixels, with our weights: the answers agree."""
    source = find_source("random/dann_maps", Backbones())
    trunk = build_trunk(source, backbones=Backbones(), packages_folder=tmp_path)
    head = build_head("dann_paper", feature_dim=trunk.feature_dim, classes=10, dropout=0.0, seed=0)
    theirs = nn.Sequential(
        *(nn.Conv2d(3, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 48, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(768, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)),
    ).eval()
    weights = [*trunk.network.state_dict().values(), *head.state_dict().values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights, strict=True)))
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(head(trunk.eval()(images)), theirs(images[:, :, 2:30, 2:30]))


def test_standardised_pictures_say_nothing_of_brightness_and_contrast():
    network = build_architecture("house/dann_maps_norm", classes=10).eval()
    images, (stretch, shift) = torch.rand(3, 3, 32, 32), torch.rand(2, 3, 1, 1, 1) + 0.5
    torch.testing.assert_close(network(images * stretch + shift), network(images), rtol=1e-3, atol=1e-4)


def test_batch_norm_stands_before_pooling_and_the_paper_has_no_dropout():
    names = [name for name, _ in build_architecture("house/dann_paper_bn").named_children()]
    assert names[:4] == ["conv1", "norm1", "pool1", "relu1"]
    assert names[-4:] == ["dense2", "dense_norm2", "dense_relu2", "classifier"]
    assert not any(isinstance(each, nn.Dropout) for each in build_architecture("house/dann_paper").modules())
