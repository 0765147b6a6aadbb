"""Several sources side by side as one: each member alone, by torch's own forward, is the reference."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from graphs import SIDE, WIDTH, Tiny, export
from medical_transfer.config.backbones import Backbones, OwnSource
from medical_transfer.config.model import Model
from medical_transfer.models import runner
from medical_transfer.models.architectures import build_architecture
from medical_transfer.models.backbones import SOURCES, build_network, build_trunk, find_source
from medical_transfer.models.building import build, describe
from medical_transfer.models.card import ModelCard, source_facts, write_card
from medical_transfer.models.checkpoint import load_checkpoint, save_checkpoint
from medical_transfer.models.classifier import Classifier, Standardise
from medical_transfer.models.features import Views, write_features, write_views
from medical_transfer.models.freezing import cut_of, freeze
from medical_transfer.models.fused_trunk import FusedTrunk
from medical_transfer.models.fusion import fuse
from medical_transfer.models.inference import predict_logits
from medical_transfer.models.learning_rates import parameter_groups
from medical_transfer.models.onnx_source import export_trunk
from medical_transfer.models.source import Source
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError

NET_WIDTH = 64
"""Of a ResNet-20."""


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    return Tiny().eval()


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    network = build_architecture("house/resnet20_cifar", classes=3, seed=4).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(1)  # timm starts the last norm of each block at 0
    return network


@pytest.fixture(scope="module")
def backbones(tiny, net, tmp_path_factory) -> Backbones:
    folder = tmp_path_factory.mktemp("members")
    save_file(net.state_dict(), folder / "net.safetensors")
    graph = {"path": export(tiny, folder / "tiny.onnx"), "architecture": "onnx", "output": "pooled", "size": SIDE}
    layers = {"path": folder / "net.safetensors", "architecture": "house/resnet20_cifar", "classes": 3}
    return Backbones(
        own={
            "tiny": OwnSource(**graph, channels="BGR", std=(0.5, 0.6, 0.7), domain="leaves", licence="CC BY-NC 4.0"),
            "net": OwnSource(**layers, mean=(0.1, 0.2, 0.3), std=(0.9, 0.8, 0.7), domain="birds", licence="MIT"),
        }
    )


@pytest.fixture
def source(backbones) -> Source:
    return find_source("net+tiny", backbones)


@pytest.fixture
def trunk(source, backbones) -> FusedTrunk:
    return build_trunk(source, backbones=backbones, packages_folder=Path("unused"))


@pytest.fixture
def classifier(source, backbones) -> Classifier:
    network = build(source, Model(), classes=3, seed=0, backbones=backbones, packages_folder=Path("unused"))
    network.standardise.fit(network.features(pictures(20)))
    return network.eval()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (150, SIDE, SIDE, 3), dtype=np.uint8)


def pictures(count: int) -> torch.Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(count))


@torch.no_grad()
def alone(net, tiny, images: torch.Tensor) -> torch.Tensor:
    """Each network's features of its own normalisation, written out."""
    channels = [images[:, c] for c in range(3)]
    own = torch.stack([(c - m) / s for c, m, s in zip(channels, (0.1, 0.2, 0.3), (0.9, 0.8, 0.7), strict=True)], 1)
    mean = (0.485, 0.456, 0.406)
    turned = torch.stack([(c - m) / s for c, m, s in zip(channels[::-1], mean, (0.5, 0.6, 0.7), strict=True)], 1)
    pooled = net.forward_features(own).mean((2, 3))
    return torch.cat([pooled, tiny(turned)[0]], dim=1)


# --- what it gives ----------------------------------------------------------------------------------------------------


def test_features_are_those_of_the_members_each_on_its_own_preprocessing(trunk, classifier, net, tiny):
    images = pictures(5)
    expected = alone(net, tiny, images)
    torch.testing.assert_close(trunk(images), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(classifier.features(images), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(classifier.normalise(images), images)  # members normalise, each in its way
    assert (trunk.feature_widths, trunk.feature_dim) == ((NET_WIDTH, WIDTH), NET_WIDTH + WIDTH)
    assert torch.equal(trunk.run(images, 0, 1), trunk(images))
    assert trunk.run(images, 0, 0) is images
    with pytest.raises(UserError, match="has 1 stages, so cuts 0 to 1"):
        trunk.run(images, 0, 2)


def test_the_order_of_the_names_is_that_of_the_features(backbones, trunk):
    other = build_trunk(find_source("tiny+net", backbones), backbones=backbones, packages_folder=Path("unused"))
    images = pictures(3)
    one, two = trunk(images), other(images)
    assert torch.equal(torch.cat([two[:, WIDTH:], two[:, :WIDTH]], dim=1), one)
    assert other.feature_widths == (WIDTH, NET_WIDTH)


def test_scores_training_and_prediction_see_the_same_bits(backbones, source, classifier, pixels, tmp_path):
    """Scores take the members' own features; training and prediction run the trunk."""
    slots_n = np.random.default_rng(1).permutation(150)[:130]  # two chunks and a short one
    scored = []
    for member in source.parts:
        write_features(
            member,
            pixels_NSS3=pixels,
            slots_n=slots_n,
            backbones=backbones,
            packages_folder=tmp_path,
            folder=tmp_path,
        )
        scored.append(np.load(tmp_path / "features.npy"))
    write_views(
        classifier, cuts=(1,), pixels_NSS3=pixels, slots_n=slots_n, views=1, policy="gentle", seed=0, folder=tmp_path
    )
    cached = Views(tmp_path).array(1, 0)
    assert cached.dtype == np.float32
    np.testing.assert_array_equal(cached, np.hstack(scored))
    assert not np.allclose(cached, Views(tmp_path).array(1, 1), atol=1e-4)
    with torch.no_grad():
        from_cache = classifier.forward_from(torch.from_numpy(np.array(cached)), 1).double().numpy()
    np.testing.assert_allclose(predict_logits(classifier, pixels, slots_n), from_cache, atol=1e-5)


def test_on_a_cpu_each_member_of_torch_runs_in_onnx_runtime(monkeypatch, classifier):
    exported, images = [], pictures(4)
    in_onnx = runner._in_onnx

    def seen(module, outputs, size):
        exported.append(type(module.trunk).__name__)
        return in_onnx(module, outputs, size)

    monkeypatch.setattr(runner, "_in_onnx", seen)
    before = dict(classifier.named_modules())
    found = runner.fast_runner(classifier, outputs=("logits",), size=SIDE)(images)[0]
    assert exported == ["Trunk"]
    assert dict(classifier.named_modules()) == before  # the network itself stays torch, to be saved and trained
    with torch.no_grad():
        np.testing.assert_allclose(found, classifier(images).numpy(), atol=1e-4, rtol=1e-4)


def test_elsewhere_it_runs_as_it_is(monkeypatch, classifier):
    monkeypatch.setattr(runner, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(runner, "_in_torch", lambda module, where: (module, where.type))
    assert runner.fast_runner(classifier, outputs=("x",), size=SIDE) == (classifier, "cuda")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_give_the_same(trunk, copied):
    images = pictures(3)
    assert torch.equal(copied(trunk)(images), trunk(images))


# --- nothing of it learns ---------------------------------------------------------------------------------------------


def test_only_the_head_learns_and_members_stay_in_eval_mode(classifier, trunk):
    assert freeze(classifier, "all", 3) == 1
    classifier.train()
    groups = parameter_groups(classifier, base_rate=0.1)
    assert [group["name"] for group in groups] == ["head", "head/no_decay"]
    assert not any(p.requires_grad for p in classifier.trunk.parameters())
    before = classifier.trunk.state_dict()
    statistics = {name: tensor.clone() for name, tensor in before.items()}
    images = pictures(6)
    features = classifier.features(images)
    assert all(torch.equal(tensor, statistics[name]) for name, tensor in classifier.trunk.state_dict().items())
    assert torch.equal(features, trunk(images))
    for strategy in ("partial", "none"):
        with pytest.raises(
            UserError, match=rf"freeze is {strategy}, but this source is several sources side by side, .* set model"
        ):
            cut_of(trunk, strategy, 1)


def test_description_counts_the_weights_of_all_members(source, backbones, tiny, net):
    facts = describe(source, Model(freeze="all"), classes=("no", "yes"), backbones=backbones, packages_folder=Path())
    own_head = sum(p.numel() for p in net.get_classifier().parameters())
    weights = sum(p.numel() for network in (tiny, net) for p in network.parameters()) - own_head
    assert facts["parameters"] == [
        {"stage": "members", "trainable": 0, "total": weights},
        {"stage": "head", "trainable": 2 * 72, "total": 2 * 72},
    ]
    assert (facts["architecture"], facts["source"], facts["cut"], facts["features"]) == ("fused", "net+tiny", 1, 71)


def test_it_is_not_exported_as_one_graph(classifier, tmp_path):
    with pytest.raises(
        UserError, match=r"several side by side, is not exported to ONNX: .* export each source by itse"
    ):
        export_trunk(classifier, size=SIDE, path=tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


# --- members of different size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_standardised_features_do_not_know_how_large_a_members_features_are(scale):
    """Each member is brought to one scale by itself: beside features 100 times as large the others keep their place."""
    generator = torch.Generator().manual_seed(0)
    one_ND = torch.randn(50, 8, generator=generator) * torch.linspace(0.1, 2, 8)
    two_ND = torch.randn(50, 3, generator=generator) * torch.tensor([0.5, 1.0, 3.0])
    together, each = Standardise(8, 3), (Standardise(8), Standardise(3))
    together.fit(torch.cat([one_ND, scale * two_ND], dim=1))
    for layer, features_ND in zip(each, (one_ND, two_ND), strict=True):
        layer.fit(features_ND)
    found = together(torch.cat([one_ND, scale * two_ND], dim=1))
    torch.testing.assert_close(found, torch.cat([each[0](one_ND), each[1](two_ND)], dim=1), atol=1e-5, rtol=1e-5)


def test_the_head_gets_members_of_one_scale(classifier):
    """The graph's features come 1000 times as large as the network's here; their spread before the head is alike."""
    assert classifier.standardise.widths == (NET_WIDTH, WIDTH)
    features_ND = classifier.features(pictures(40)) * torch.tensor([1.0] * NET_WIDTH + [1000.0] * WIDTH)
    classifier.standardise.fit(features_ND)
    spread_D = classifier.standardise(features_ND).std(dim=0, correction=0)
    for own_D in spread_D.split([NET_WIDTH, WIDTH]):
        assert own_D.max() == pytest.approx(1, abs=1e-3)
        assert (own_D > 0.99).float().mean() >= 0.5  # those that vary at least as much as the member's median


# --- what is said of it -----------------------------------------------------------------------------------------------


def test_facts_are_those_of_all_members(source, backbones):
    assert (source.name, source.architecture, source.trainable) == ("net+tiny", "fused", False)
    assert (source.domain, source.licence) == ("birds and leaves", "MIT; CC BY-NC 4.0")
    assert (source.parameters, source.source_accuracy, source.classes) == (None, None, 0)  # of own ones not known
    assert [part.name for part in source.parts] == ["net", "tiny"]
    assert [part.name for part in source.parts[0].parts] == ["net"]
    assert source.fingerprint == " + ".join(part.fingerprint for part in source.parts)
    lites = find_source("efficientnet_lite0+efficientnet_lite1", backbones)
    assert (lites.domain, lites.licence, lites.parameters) == ("ImageNet-1k", "Apache-2.0", 4_652_008 + 5_416_680)
    assert lites.preprocessing.size == 240


def test_identity_tells_members_apart(source, backbones):
    net, tiny = source.parts
    assert source.identity == fuse([net, tiny]).identity
    others = [fuse([tiny, net]), fuse([net, SOURCES["random"]])]
    own = backbones.own["net"].model_copy(update={"mean": (0.1, 0.2, 0.4)})
    others.append(find_source("net+tiny", Backbones(own={**backbones.own, "net": own})))
    assert all(other.identity != source.identity for other in others)


def test_it_has_no_head_of_its_own(source, backbones):
    with pytest.raises(UserError, match=r"net\+tiny is several sources side by side: it gives frozen features and has"):
        build_network(source, backbones=backbones, packages_folder=Path("unused"))


# --- saved and loaded -------------------------------------------------------------------------------------------------


def card(source: Source, **changes) -> ModelCard:
    facts = {
        "kind": "finetune",
        **source_facts(source),
        "head": "linear",
        "dropout": 0.2,
        "classes": ("no", "unsure", "yes"),
        "size": SIDE,
        "fit": "squash",
        "split_hash": "s",
        "data_fingerprint": "d",
        "data_licence": "MIT",
    }
    return ModelCard.model_validate(facts | changes)


@pytest.fixture
def saved(tmp_path, classifier, source):
    """A saved model, what it gave before, and its card."""
    written = save_checkpoint(tmp_path, classifier, card(source))
    images = pictures(5)
    with torch.no_grad():
        return tmp_path, images, classifier(images), written


def test_all_members_travel_inside_the_model(saved, source, monkeypatch):
    folder, images, before, written = saved
    monkeypatch.setattr("medical_transfer.models.backbones.find_source", None)  # the registry is not asked
    loaded, found = load_checkpoint(folder)
    assert found == written
    with torch.no_grad():
        assert torch.equal(loaded(images), before)
    assert save_checkpoint(folder / "again", loaded, found).sha256 == written.sha256
    assert (found.source, found.source_domain, found.weights_licence) == ("net+tiny", source.domain, source.licence)
    assert (found.features, found.source_parameters, found.graph_output) == (NET_WIDTH + WIDTH, None, None)
    assert [(m.source, m.architecture, m.graph_output, m.weights_licence, m.source_domain) for m in found.members] == [
        ("net", "house/resnet20_cifar", None, "MIT", "birds"),
        ("tiny", "onnx", "pooled", "CC BY-NC 4.0", "leaves"),
    ]
    assert [m.preprocessing for m in found.members] == [part.preprocessing for part in source.parts]
    assert [m.source_fingerprint for m in found.members] == [part.fingerprint for part in source.parts]


def test_a_card_of_a_single_source_names_no_member(backbones):
    facts = source_facts(find_source("net", backbones))
    assert facts["members"] == ()
    assert (facts["source_domain"], facts["architecture"]) == ("birds", "house/resnet20_cifar")


def test_what_does_not_fit_is_refused(saved, source, classifier):
    folder, _, _, written = saved
    path = folder / "model.safetensors"

    def refused(**changes) -> str:
        write_card(folder, written.model_copy(update={"sha256": sha256_of(path)} | changes))
        with pytest.raises(UserError) as error:
            load_checkpoint(folder)
        return str(error.value)

    net, tiny = written.members
    assert "architecture=fused with 1 members" in refused(members=(net,))
    assert "with 2 members" in refused(architecture="house/resnet20_cifar")
    assert "trunk.members.1.trunk" in refused(members=(net, net))
    assert "no output 'logits'" in refused(members=(net, tiny.model_copy(update={"graph_output": "logits"})))
    tensors = load_file(path)
    save_file({name: tensor for name, tensor in tensors.items() if name != "trunk.members.1.trunk.graph"}, path)
    assert "The model of tiny is said to be a graph" in refused()
    one = {name: tensor for name, tensor in tensors.items() if name != "trunk.members.0.trunk.network.bn1.bias"}
    save_file(one, path)
    assert "trunk.members.0.trunk.network.bn1.bias is missing" in refused()
    with pytest.raises(ValueError, match="card of fused, onnx, onnx for a model of fused, house/resnet20_cifar, onnx"):
        save_checkpoint(folder / "other", classifier, card(source, members=(tiny, tiny)))
