"""A source that is only an ONNX graph as a trunk: torch's own forward is the reference."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from graphs import SIDE, WIDTH, Tiny, export
from medical_transfer.config.backbones import Backbones, OwnSource
from medical_transfer.config.model import Model
from medical_transfer.models import runner
from medical_transfer.models.backbones import build_trunk, find_source
from medical_transfer.models.building import build, describe
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.features import Views, write_features, write_views
from medical_transfer.models.freezing import cut_of, freeze
from medical_transfer.models.graph_trunk import GraphTrunk, as_tensor, read_graph
from medical_transfer.models.inference import predict_logits
from medical_transfer.models.learning_rates import parameter_groups
from medical_transfer.models.weights import Graph
from medical_transfer.types import UserError


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    return Tiny().eval()


@pytest.fixture(scope="module")
def file(tiny, tmp_path_factory) -> Path:
    return export(tiny, tmp_path_factory.mktemp("graph") / "tiny.onnx")


@pytest.fixture
def trunk(file) -> GraphTrunk:
    return trunk_of(file)


def trunk_of(file: Path, output: str = "pooled", **facts) -> GraphTrunk:
    return read_graph(Graph(path=file, output=output, **facts), side=SIDE)


def pictures(count: int, size: int = SIDE) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))


@torch.no_grad()
def by_torch(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return network(images)[0]


@pytest.mark.parametrize(("count", "size"), [(1, SIDE), (5, SIDE), (3, 48)])
def test_features_are_torchs(trunk, tiny, count, size):
    images = pictures(count, size).requires_grad_()
    features = trunk(images)
    assert (features.dtype, features.requires_grad, trunk.feature_dim) == (torch.float32, False, WIDTH)
    torch.testing.assert_close(features, by_torch(tiny, images), atol=1e-5, rtol=1e-5)
    assert torch.equal(trunk.run(images, 0, 1), features)
    assert trunk.run(images, 0, 0) is images
    assert trunk.forward_from(features, 1) is features
    with pytest.raises(UserError, match="has 1 stages, so cuts 0 to 1"):
        trunk.run(images, 0, 2)


@pytest.mark.parametrize("fixed", [1, 4])
def test_a_graph_that_fixes_its_batch_takes_any(tiny, tmp_path, fixed):
    trunk = trunk_of(export(tiny, tmp_path / "x.onnx", shape=(fixed, 3, SIDE, SIDE), free=()))
    for count in (1, 4, 6):
        images = pictures(count)
        torch.testing.assert_close(trunk(images), by_torch(tiny, images), atol=1e-5, rtol=1e-5)


def test_a_graph_that_fixes_its_size_says_so(tiny, tmp_path):
    trunk = trunk_of(export(tiny, tmp_path / "x.onnx", free=(0,)))
    with pytest.raises(UserError, match=r"takes images of 32 x 32 px only, found 48 x 48: set images\.size=32"):
        trunk(pictures(2, 48))


def test_a_graph_that_hides_its_size_says_so(tmp_path):
    class Flat(Tiny):
        def forward(self, images):
            return images.reshape(2, 3 * SIDE * SIDE)[:, :WIDTH].clone(), images

    trunk = trunk_of(export(Flat(), tmp_path / "x.onnx", free=(2, 3)))
    with pytest.raises(UserError, match=r"does not run on images of 16 x 16 px .* set images\.size"):
        trunk(pictures(2, 16))


def test_d_is_tried_where_the_graph_does_not_state_it(tiny, file, tmp_path):
    graph = onnx.load(file)
    for output in graph.graph.output:
        output.type.tensor_type.ClearField("shape")
    onnx.save(graph, tmp_path / "unstated.onnx")
    assert trunk_of(tmp_path / "unstated.onnx").feature_dim == WIDTH
    for path in (file, tmp_path / "unstated.onnx"):
        with pytest.raises(
            UserError, match=r"'maps' .* has the shape \(1, 5, 16, 16\) for one image, expected one vec"
        ):
            trunk_of(path, output="maps")


class OfInput(nn.Module):
    """A vector per image from inputs that are no images."""

    def forward(self, given):
        return given.flatten(1)[:, :WIDTH].float() * 2, given


@pytest.mark.parametrize("shape", [(2, SIDE, SIDE, 3), (2, 1, SIDE, SIDE), (2, 3, SIDE, 48), (2, 3072)])
def test_a_graph_of_something_else_than_square_colour_images_is_refused(tmp_path, shape):
    path = export(OfInput(), tmp_path / "x.onnx", shape=shape, free=(0,))
    with pytest.raises(UserError, match=r"takes pixels tensor\(float\) \['N', .*\], expected one input of square RGB"):
        trunk_of(path)


def test_what_is_no_such_graph_is_refused(file, tmp_path):
    with pytest.raises(UserError, match=r"no output 'logits': its outputs are pooled, maps"):
        trunk_of(file, output="logits")
    with pytest.raises(UserError, match="sha256"):
        trunk_of(file, sha256="0" * 64)
    with pytest.raises(UserError, match="missing"):
        trunk_of(tmp_path / "nowhere.onnx")
    for content in (b"", b"not a graph", b"\x08\x09"):
        (tmp_path / "x.onnx").write_bytes(content)
        with pytest.raises(UserError, match="no readable ONNX graph"):
            trunk_of(tmp_path / "x.onnx")


def test_tensors_in_another_file_are_refused(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would find them
    outside = {"save_as_external_data": True, "location": "x.data", "size_threshold": 0}
    onnx.save(onnx.load(file), tmp_path / "x.onnx", **outside)
    with pytest.raises(
        UserError, match=r"keeps \d of its tensors in another file, expected all of it in one: .*onnx.s"
    ):
        trunk_of(tmp_path / "x.onnx")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_open_their_own_session(trunk, copied):
    images = pictures(3)
    before = trunk(images)
    other = copied(trunk)
    assert other._session is None
    assert torch.equal(other(images), before)
    assert other._session is not trunk._session
    assert (other.graph_output, other.feature_dim) == ("pooled", WIDTH)


def test_other_bytes_are_another_session(trunk, tmp_path):
    images, other = pictures(3), Tiny(seed=1).eval()
    session = trunk._session
    trunk.load_state_dict(trunk.state_dict())
    assert trunk._session is session  # the same bytes: nothing is opened again
    trunk(images)
    content = export(other, tmp_path / "other.onnx").read_bytes()
    assert len(content) == len(trunk.graph)
    trunk.load_state_dict({"graph": as_tensor(content)})
    torch.testing.assert_close(trunk(images), by_torch(other, images), atol=1e-5, rtol=1e-5)


# --- as a source ------------------------------------------------------------------------------------------------------


@pytest.fixture
def backbones(file) -> Backbones:
    own = OwnSource(path=file, architecture="onnx", output="pooled", size=SIDE, channels="BGR", std=(0.5, 0.6, 0.7))
    return Backbones(own={"tiny": own})


@pytest.fixture
def classifier(backbones, tmp_path) -> Classifier:
    network = build(
        find_source("tiny", backbones), Model(), classes=3, seed=0, backbones=backbones, packages_folder=tmp_path
    )
    network.standardise.fit(network.features(pictures(20)))
    return network.eval()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (150, SIDE, SIDE, 3), dtype=np.uint8)


def test_scores_training_and_prediction_see_the_same_bits(backbones, classifier, pixels, tiny, tmp_path):
    slots_n = np.random.default_rng(1).permutation(150)[:130]  # two chunks and a short one
    write_features(
        find_source("tiny", backbones),
        pixels_NSS3=pixels,
        slots_n=slots_n,
        backbones=backbones,
        packages_folder=tmp_path,
        folder=tmp_path,
    )
    scored = np.load(tmp_path / "features.npy")
    write_views(
        classifier, cuts=(1,), pixels_NSS3=pixels, slots_n=slots_n, views=1, policy="gentle", seed=0, folder=tmp_path
    )
    cached = Views(tmp_path).array(1, 0)
    assert cached.dtype == np.float32
    np.testing.assert_array_equal(scored, cached)
    assert not np.allclose(cached, Views(tmp_path).array(1, 1), atol=1e-4)
    images = torch.from_numpy(pixels[slots_n].transpose(0, 3, 1, 2) / np.float32(255)).flip(1)
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.5, 0.6, 0.7)))
    np.testing.assert_allclose(scored, by_torch(tiny, (images - mean) / std), atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        from_cache = classifier.forward_from(torch.from_numpy(np.array(cached)), 1).double().numpy()
        few = classifier.forward_from(torch.from_numpy(np.array(cached[:5])), 1).double().numpy()
    # chunks of another size may add up a head's products in another order: no more than float32's rounding
    np.testing.assert_allclose(predict_logits(classifier, pixels, slots_n), from_cache, atol=1e-5)
    np.testing.assert_allclose(predict_logits(classifier, pixels, slots_n[:5]), few, atol=1e-5)


@pytest.mark.parametrize(("kind", "engine"), [("cpu", "_in_torch"), ("cuda", "_in_torch")])
def test_a_graph_is_run_as_it_is_on_any_device(monkeypatch, classifier, kind, engine):
    monkeypatch.setattr(runner, "device", lambda: torch.device(kind))
    for name in ("_in_onnx", "_in_torch"):
        monkeypatch.setattr(runner, name, lambda *arguments, name=name: name)
    assert runner.fast_runner(classifier, outputs=("x",), size=SIDE) == engine


def test_only_the_head_learns(classifier, trunk):
    assert freeze(classifier, "all", 3) == 1
    groups = parameter_groups(classifier, base_rate=0.1)
    assert [group["name"] for group in groups] == ["head", "head/no_decay"]
    assert [group["lr"] for group in groups] == [0.1, 0.1]
    assert not list(trunk.parameters())
    for strategy in ("partial", "none"):
        with pytest.raises(UserError, match=rf"model\.freeze is {strategy}, .* set model\.freeze=all or name another"):
            cut_of(trunk, strategy, 1)


def test_description_counts_the_weights_that_cannot_learn(backbones, tiny, tmp_path):
    source = find_source("tiny", backbones)
    facts = describe(source, Model(freeze="all"), classes=("no", "yes"), backbones=backbones, packages_folder=tmp_path)
    weights = sum(parameter.numel() for parameter in tiny.parameters())
    assert facts["parameters"] == [
        {"stage": "graph", "trainable": 0, "total": weights},
        {"stage": "head", "trainable": 2 * (WIDTH + 1), "total": 2 * (WIDTH + 1)},
    ]
    assert (facts["architecture"], facts["stages"], facts["cut"], facts["features"]) == ("onnx", ["graph"], 1, WIDTH)


@pytest.mark.shared
def test_the_controlled_pair_of_graphs(shared_weights: Path):
    backbones = Backbones(weights_root=shared_weights)
    images, features = pictures(3, 96), []
    for name in ("shufflenetv2_x0_5_coco", "shufflenetv2_x0_5_imagenet"):
        source = find_source(name, backbones)
        assert not source.trainable
        trunk = build_trunk(source, backbones=backbones, packages_folder=Path("unused"))
        features.append(trunk(images))
        assert torch.equal(trunk(images[:1]), features[-1][:1])  # a smaller batch gives the same bits
        # published with batch norms (149,095); folded into the convolutions here
        assert trunk.stage_size(0) < source.parameters
        assert trunk.feature_dim == 192
    assert features[0].shape == features[1].shape == (3, 192)
    assert not np.allclose(*features)
