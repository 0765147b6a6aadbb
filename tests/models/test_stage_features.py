"""Averages after every stage, against hooks on the library's own network; and which sources have stages to compare."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from graphs import Tiny, export
from medical_transfer.config.backbones import Backbones, OwnSource
from medical_transfer.config.layer_choice import NEEDS_MORE
from medical_transfer.config.transferability import ScoreName
from medical_transfer.models import runner
from medical_transfer.models.architectures import behead, build_architecture
from medical_transfer.models.backbones import build_network, find_source
from medical_transfer.models.classifier import Normalise
from medical_transfer.models.layered_source import layered_source
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.stage_features import PooledStages, stage_file, write_stage_features
from medical_transfer.models.stages import Trunk
from medical_transfer.models.trunk import AnyTrunk
from medical_transfer.runtime.files import read_json
from medical_transfer.transferability import SCORES, Evidence, Undefined
from medical_transfer.types import UserError

SIDE = 64


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)


def hooked(network, ends, images, axes):
    """What the library's own forward pass lets the modules `ends` give, averaged over `axes`, and the features."""
    seen = []
    hooks = [
        network.get_submodule(end).register_forward_hook(lambda *call: seen.append(call[2].mean(axes))) for end in ends
    ]
    with torch.no_grad():
        features = network(images)
    for hook in hooks:
        hook.remove()
    return [each.numpy() for each in (*seen, features)]


def own(tmp_path, architecture):
    save_file(build_architecture(architecture, seed=3).state_dict(), tmp_path / "own.safetensors")
    backbones = Backbones(own={"mine": OwnSource(path=tmp_path / "own.safetensors", architecture=architecture)})
    return find_source("mine", backbones), backbones


def check(source, backbones, pixels, ends, folder, axes=(2, 3)):
    slots_n = np.array([4, 0, 0, 2])
    where = {"backbones": backbones, "packages_folder": folder}
    folder.mkdir(exist_ok=True)
    write_stage_features(source, pixels_NSS3=pixels, slots_n=slots_n, folder=folder, **where)
    images = torch.from_numpy(pixels[slots_n].transpose(0, 3, 1, 2) / np.float32(255))
    network = behead(build_network(source, **where)).eval()
    expected = hooked(network, ends, Normalise(source.preprocessing)(images), axes)
    facts = read_json(folder / "stages.json")
    assert len(facts) == len(expected)
    for index, (fact, theirs) in enumerate(zip(facts, expected, strict=True)):
        ours = np.load(stage_file(folder, index))
        assert (ours.dtype, ours.shape, fact["features"]) == (np.float32, theirs.shape, theirs.shape[1])
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    assert sum(fact["parameters"] for fact in facts) == sum(p.numel() for p in network.parameters())
    return facts


ENDS = {
    "torchvision/resnet18": (["maxpool", "layer1", "layer2", "layer3"], (2, 3)),
    "torchvision/mobilenet_v2": ([f"features.{i}" for i in (1, 3, 6, 13)], (2, 3)),
    "torchvision/squeezenet1_0": ([f"features.{i}" for i in (2, 3, 4, 6, 7, 8, 9, 11)], (2, 3)),
    "house/squeezenet1_1_leaky": ([f"features.{i}" for i in (2, 3, 5, 6, 8, 9, 10, 11)], (2, 3)),
}


def test_stages_are_averages_of_the_librarys_own_maps(pixels, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CHUNK", 3)  # four images: two chunks
    architecture = "torchvision/resnet18"
    facts = check(*own(tmp_path, architecture), pixels, *_at(ENDS[architecture], tmp_path / "found"))
    assert [fact["name"] for fact in facts] == ["stem", "layer1", "layer2", "layer3", "layer4"]
    assert [fact["features"] for fact in facts] == [64, 64, 128, 256, 512]
    # He et al. 2016, table 1: two blocks of two 3x3 convolutions, batch norm weights and biases, a 1x1 shortcut
    assert facts[2]["parameters"] == 9 * 128 * (64 + 3 * 128) + 64 * 128 + 5 * 2 * 128


def test_maps_with_channels_last_are_averaged_over_their_positions():
    """Swin: (N, H, W, C)."""
    network = behead(build_architecture("torchvision/swin_t", seed=1)).eval()
    module = PooledStages(Normalise(Preprocessing()), Trunk("torchvision/swin_t", network), size=SIDE)
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    expected = hooked(network, [f"features.{i}" for i in range(7)], module.normalise(images), (1, 2))
    with torch.no_grad():
        found = module(images)
    assert [each.shape[1] for each in found] == [96, 96, 192, 192, 384, 384, 768, 768]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-5)


def _at(ends_and_axes, folder):
    ends, axes = ends_and_axes
    return ends, folder, axes


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mobilenet_v2_imagenet_tf2ptq", "squeezenet1_0_corn_leaf", "squeezenet1_1_places365"])
def test_stages_of_real_weights(name, shared_weights, pixels, tmp_path):
    backbones = Backbones(weights_root=shared_weights)
    source = layered_source(name, [], backbones)
    check(source, backbones, pixels, *_at(ENDS[source.architecture], tmp_path / "found"))


class Steps(AnyTrunk):
    """A map, tokens, a vector, features: each stage a plain function."""

    stage_names, feature_dim, cuttable = ("map", "tokens", "vector", "features"), 2, True
    steps = (
        lambda x: x * 2,
        lambda x: x.flatten(2).transpose(1, 2),
        lambda x: x.flatten(1),
        lambda x: x[:, :2],
    )

    def stage_parameters(self, index):
        return {}

    def stage_size(self, index):
        return 0

    def run_stages(self, activation, first, last):
        for step in self.steps[first:last]:
            activation = step(activation)
        return activation


def test_tokens_are_averaged_and_vectors_taken_as_they_are():
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    module = PooledStages(Normalise(Preprocessing(mean=(0, 0, 0), std=(1, 1, 1))), Steps("steps"), size=4)
    maps, tokens, vector, features = (each.numpy() for each in module(images))
    doubled = 2 * images.numpy().reshape(2, 3, 16)
    np.testing.assert_allclose(maps, doubled.mean(axis=2), rtol=1e-6)
    np.testing.assert_allclose(tokens, doubled.mean(axis=2), rtol=1e-6)
    flat = doubled.transpose(0, 2, 1).reshape(2, 48)
    np.testing.assert_allclose(vector, flat, rtol=1e-6)
    np.testing.assert_allclose(features, flat[:, :2], rtol=1e-6)


def test_a_map_as_wide_as_it_is_deep_keeps_its_channels(trunk_of):
    """ResNet-20's first two stages give 16 channels: at 16 px all three lengths are equal."""
    trunk = trunk_of()
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        stem, *_ = PooledStages(Normalise(Preprocessing()), trunk.eval(), size=16)(images)
        expected = trunk.run(Normalise(Preprocessing())(images), 0, 1)
    assert expected.shape == (2, 16, 16, 16)
    torch.testing.assert_close(stem, expected.mean((2, 3)))


@pytest.fixture
def graph(tmp_path):
    path = export(Tiny(), tmp_path / "tiny.onnx")
    return Backbones(own={"tiny": OwnSource(path=path, architecture="onnx", output="pooled", size=32)})


def test_the_first_pretrained_source_with_layers_is_taken(graph):
    assert (
        layered_source(None, ["tiny", "random", "efficientnet_lite0", "resnet18"], graph).name == "efficientnet_lite0"
    )
    assert layered_source(None, ["tiny", "random"], graph).name == "random"
    assert layered_source("resnet18", ["efficientnet_lite0"], graph).name == "resnet18"


@pytest.mark.parametrize(
    ("named", "competing", "sentence"),
    [
        ("tiny", ["random"], r"Source tiny exists only as an ONNX graph, which has one stage and no layers to choose"),
        ("resnet18+resnet50", [], r"Source resnet18\+resnet50 is several sources side by side, which has one stage"),
        (None, ["tiny"], r"All of transferability.sources \(tiny\) exist only as ONNX graphs"),
        ("timm/vit_tiny_patch16_224", [], r"vit_tiny_patch16_224\) runs only as a whole: there is no activation"),
        ("lite9", [], "Unknown source 'lite9'"),
    ],
)
def test_a_source_without_layers_is_one_sentence(named, competing, sentence, graph, monkeypatch):
    if named and named.startswith("timm/"):
        own = OwnSource(path="absent.pth", architecture=named)
        graph, named = Backbones(own={"whole": own}), "whole"
    with pytest.raises(UserError, match=sentence):
        layered_source(named, competing, graph)


def test_scores_that_need_more_than_a_stage_are_those_that_the_configuration_refuses():
    labels_N = np.arange(40) % 2
    features_ND = np.random.default_rng(0).normal(size=(40, 5)) + labels_N[:, None]
    evidence = Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(40))
    for name in get_args(ScoreName):
        if name in NEEDS_MORE:
            with pytest.raises(Undefined):
                SCORES[name](evidence)
        else:
            assert np.isfinite(SCORES[name](evidence)), name
