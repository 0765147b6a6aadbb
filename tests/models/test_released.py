"""Released files: synthetic ones of the same layout, made as the groups' own examples make and read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from alive import alive
from medical_transfer.config.backbones import Backbones
from medical_transfer.models.backbones import build_network, build_trunk, check_names, find_source
from medical_transfer.models.classifier import Normalise
from medical_transfer.models.own_head import why_no_head
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.released import RELEASED
from medical_transfer.models.source import Source
from medical_transfer.types import UserError

BY_NAME = {source.name: source for source in RELEASED}


def unchecked(name: str) -> Source:
    """The source without its checksum, which no synthetic file can have."""
    return replace(BY_NAME[name], weights=replace(BY_NAME[name].weights, sha256=None))


def in_its_place(name: str, downloads: Path) -> Path:
    path = downloads / BY_NAME[name].weights.file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


IMAGES = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "network"), [("resnet18_places365", "resnet18"), ("resnet50_places365", "resnet50")])
def test_places365(name, network, tmp_path):
    """As train_placesCNN.py saved it, in the format of PyTorch 0.2: parallel, no counters of batch norm."""
    plain = alive(models.get_model(network, num_classes=365), 96)
    state = {f"module.{k}": tensor for k, tensor in plain.state_dict().items() if "num_batches" not in k}
    content = {"epoch": 90, "arch": network, "state_dict": state, "best_prec1": 54.2}
    torch.save(content, in_its_place(name, tmp_path), _use_new_zipfile_serialization=False)
    where = {"backbones": Backbones(downloads=tmp_path), "packages_folder": tmp_path}
    built = build_network(unchecked(name), **where).eval()
    assert sum(p.numel() for p in built.parameters()) == BY_NAME[name].parameters
    with torch.no_grad():
        torch.testing.assert_close(built(IMAGES), plain(IMAGES), rtol=0, atol=0)
    assert why_no_head(BY_NAME[name]) is None


class Backbone(nn.Module):
    """As pytorch_example.ipynb of RadImageNet builds it: the children of the network, but the last, in a sequence."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*list(network.children())[:-1])

    def forward(self, images):
        return self.backbone(images)


RADIMAGENET = {
    "radimagenet_resnet50": (models.resnet50, "backbone.7.2.bn3.running_var"),
    "radimagenet_densenet121": (models.densenet121, "backbone.0.denseblock4.denselayer16.conv2.weight"),
    "radimagenet_inception_v3": (
        lambda: models.inception_v3(aux_logits=False, init_weights=False),
        "backbone.17.branch_pool.conv.weight",
    ),
}


@pytest.mark.parametrize("name", RADIMAGENET)
def test_radimagenet(name, tmp_path):
    build, one_name = RADIMAGENET[name]
    theirs = alive(Backbone(build()), 96)
    assert one_name in theirs.state_dict()
    torch.save(theirs.state_dict(), in_its_place(name, tmp_path))
    source = unchecked(name)
    trunk = build_trunk(source, backbones=Backbones(downloads=tmp_path), packages_folder=tmp_path)
    assert sum(p.numel() for p in trunk.parameters()) == source.parameters
    bgr = IMAGES.flip(1)
    with torch.no_grad():
        expected = theirs((bgr * 255 - 127.5) * 2 / 255)  # their example's words
        if name == "radimagenet_densenet121":  # its ReLU and pooling are no children
            expected = expected.relu().mean((2, 3))
        found = trunk(Normalise(source.preprocessing)(IMAGES))
        otherwise = trunk(Normalise(Preprocessing())(IMAGES))
    scale = float(expected.std())
    torch.testing.assert_close(found, expected.flatten(1), rtol=1e-3, atol=1e-3 * scale)
    assert (found - otherwise).abs().max() > 0.05 * scale  # so another preprocessing would have been noticed
    assert why_no_head(source) == "its file ends before the last layer"


@pytest.mark.parametrize("name", BY_NAME)
def test_a_missing_file_says_which_from_where_into_which_folder_with_which_checksum(name, tmp_path):
    source = find_source(name, Backbones())
    with pytest.raises(UserError) as error:
        build_network(source, backbones=Backbones(downloads=tmp_path), packages_folder=tmp_path)
    known = source.weights.sha256 or "its checksum is not published"
    for part in (source.weights.file, source.weights.url, str(tmp_path / source.weights.file), known):
        assert part in str(error.value)


def test_another_file_is_refused(tmp_path):
    name = "radimagenet_resnet50"
    torch.save({"backbone.0.weight": torch.zeros(1)}, in_its_place(name, tmp_path))
    with pytest.raises(UserError, match=f"expected {BY_NAME[name].weights.sha256}: delete it and download"):
        build_network(BY_NAME[name], backbones=Backbones(downloads=tmp_path), packages_folder=tmp_path)


def test_a_released_file_is_downloaded_into_its_place(tmp_path):
    torch.save({"module.conv1.weight": torch.ones(1)}, tmp_path / "web.pth.tar")
    weights = replace(
        BY_NAME["resnet18_places365"].weights, url=(tmp_path / "web.pth.tar").as_uri(), file="a/b.pth.tar"
    )
    source = replace(BY_NAME["resnet18_places365"], weights=weights)
    backbones = Backbones(downloads=tmp_path, allow_download=True)
    with pytest.raises(UserError, match=r"conv1\.weight found \(1,\), expected \(64, 3, 7, 7\); bn1\.weight is"):
        build_network(source, backbones=backbones, packages_folder=tmp_path)
    assert (tmp_path / "a/b.pth.tar").is_file()


def test_released_sources_are_known_before_a_run():
    check_names(BY_NAME, Backbones())
