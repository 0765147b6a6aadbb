from __future__ import annotations

import pytest
import torch
from torch import nn

from medical_transfer.models import architectures
from medical_transfer.models.architectures import behead, build_architecture
from medical_transfer.models.stage_plan import plan_stages
from medical_transfer.models.stages import Trunk
from medical_transfer.types import UserError

CHAINS = {
    "timm/tf_efficientnet_lite0": ["stem", *(f"blocks.{i}" for i in range(7)), "conv_head"],
    "timm/resnet18": ["stem", "layer1", "layer2", "layer3", "layer4"],
    "timm/convnext_atto": ["stem", "stages.0", "stages.1", "stages.2", "stages.3"],
    "timm/regnety_002": ["stem", "s1", "s2", "s3", "s4"],
    "torchvision/resnet50": ["stem", "layer1", "layer2", "layer3", "layer4"],
    "torchvision/mobilenet_v2": [
        "stem",
        "features.2..features.3",
        "features.4..features.6",
        "features.7..features.13",
        "features.14..features.18",
    ],
    "torchvision/squeezenet1_0": ["stem", *(f"features.{i}" for i in (3, 4, 5, 7, 8, 9, 10, 12))],
    "torchvision/shufflenet_v2_x0_5": ["stem", "stage2", "stage3", "stage4", "conv5"],
    "torchvision/densenet121": [
        "stem",
        "features.denseblock1",
        "features.transition1",
        "features.denseblock2",
        "features.transition2",
        "features.denseblock3",
        "features.transition3",
        "features.denseblock4",
    ],
    "torchvision/alexnet": ["stem", *(f"features.{i}" for i in (3, 6, 8, 10)), "classifier.1", "classifier.4"],
    "house/squeezenet1_1_leaky": ["stem", *(f"features.{i}" for i in (3, 4, 6, 7, 9, 10, 11, 12))],
    "house/resnet20_cifar": ["stem", "layer1", "layer2", "layer3"],
}
WHOLE = {"timm/vit_tiny_patch16_224": 13, "torchvision/googlenet": 12}


def random_network(architecture: str) -> nn.Module:
    """The whole network with its head, norms and biases away from their initial values."""
    network = build_architecture(architecture, classes=7).eval()
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(torch.rand(tensor.shape, generator=generator) / 2)
    return network


def reference_features(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the library itself gives its last layer."""
    if hasattr(network, "forward_head"):
        return network.forward_head(network.forward_features(images), pre_logits=True)
    linears = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linears:  # SqueezeNet: its classifier is a convolution on this
        return network.features(images).mean((2, 3))
    seen = []
    handle = linears[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(images)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("architecture", CHAINS)
def test_stages_are_the_network(architecture):
    network = random_network(architecture)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = reference_features(network, images)
        trunk = Trunk(architecture, behead(network)).eval()
        assert trunk.cuttable
        assert list(trunk.stage_names) == CHAINS[architecture]
        features = trunk(images)
        assert features.shape == (2, trunk.feature_dim)
        torch.testing.assert_close(features, expected, rtol=0, atol=0)
        for cut in range(len(trunk.stage_names) + 1):
            activation = trunk.run(images, 0, cut)
            kept = activation.clone()
            torch.testing.assert_close(trunk.forward_from(activation, cut), expected, rtol=0, atol=0)
            assert torch.equal(activation, kept)  # a cache stays as it was


@pytest.mark.parametrize("architecture", [*CHAINS, *WHOLE])
def test_each_parameter_is_in_exactly_one_stage(architecture):
    network = behead(build_architecture(architecture))
    owned = [name for stage in plan_stages(architecture).stages for name in stage.parameters]
    assert sorted(owned) == sorted(name for name, _ in network.named_parameters())


@pytest.mark.parametrize("architecture", WHOLE)
def test_a_network_that_is_no_chain_is_kept_whole(architecture):
    network = random_network(architecture)
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = reference_features(network, images)
        trunk = Trunk(architecture, behead(network)).eval()
        assert not trunk.cuttable
        assert len(trunk.stage_names) == WHOLE[architecture]
        features = trunk(images)
        torch.testing.assert_close(features, expected, rtol=0, atol=0)
        last = len(trunk.stage_names)
        assert torch.equal(trunk.run(images, 0, 0), images)
        assert torch.equal(trunk.run(images, 0, last), features)
        assert torch.equal(trunk.forward_from(images, 0), features)
        assert torch.equal(trunk.forward_from(features, last), features)
    with pytest.raises(UserError, match="runs only as a whole"):
        trunk.run(images, 0, 3)


class Tiny(nn.Module):
    """Four convolutions; subclasses do something between them that no module tells of."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((3, 4), (4, 4), (4, 4), (4, 5)))
        self.fc = nn.Linear(5, 2)

    def forward(self, x):
        return self.fc(self.d(self.c(self.b(self.a(x)))).mean((2, 3)))


class HiddenReLU(Tiny):
    def forward(self, x):
        return self.fc(self.d(self.c(torch.relu(self.b(self.a(x))))).mean((2, 3)))


class HiddenShortcut(Tiny):
    def forward(self, x):
        x = self.a(x)
        return self.fc(self.d(x + self.c(self.b(x))).mean((2, 3)))


class OverwritesItsInput(Tiny):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Sequential(nn.ReLU(inplace=True), self.c)


class OwnParameter(Tiny):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


class NoPooling(Tiny):
    def forward(self, x):
        return self.fc(self.d(self.c(self.b(self.a(x)))).movedim(1, -1))


@pytest.fixture
def plan_of(monkeypatch):
    def plan(kind: type[nn.Module]):
        monkeypatch.setitem(architectures.HOUSE, kind.__name__, lambda classes: kind())
        return plan_stages.__wrapped__(f"house/{kind.__name__}")

    return plan


@pytest.mark.parametrize(
    ("kind", "cuttable"),
    [(Tiny, True), (HiddenReLU, False), (HiddenShortcut, False), (OverwritesItsInput, False), (OwnParameter, False)],
)
def test_what_is_hidden_in_forward_is_found_out(plan_of, kind, cuttable):
    assert plan_of(kind).cuttable is cuttable


def test_a_network_without_pooling_is_refused(plan_of):
    with pytest.raises(UserError, match="one vector per image"):
        plan_of(NoPooling)


@pytest.mark.parametrize("cut", [-1, 5])
def test_a_cut_that_does_not_exist_is_refused(trunk_of, images, cut):
    with pytest.raises(UserError, match="cuts 0 to 4"):
        trunk_of().run(images, 0, cut)
