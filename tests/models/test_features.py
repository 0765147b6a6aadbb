from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from medical_transfer.config.backbones import Backbones, OwnSource
from medical_transfer.data.augment import POLICIES
from medical_transfer.models import features as features_file
from medical_transfer.models import runner
from medical_transfer.models.activation_map import Rounding
from medical_transfer.models.architectures import build_architecture
from medical_transfer.models.backbones import build_trunk, find_source
from medical_transfer.models.classifier import build_classifier
from medical_transfer.models.features import FrozenPart, Views, write_features, write_views
from medical_transfer.models.onnx_source import graph_session
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.stage import once
from medical_transfer.types import UserError

SIDE = 32


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (9, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Four images at once, so that nine need several chunks."""
    monkeypatch.setattr(features_file, "CHUNK", 4)
    monkeypatch.setattr("medical_transfer.models.runner.CHUNK", 4)


def as_images(pixels_NSS3):
    return torch.from_numpy(pixels_NSS3.transpose(0, 3, 1, 2) / np.float32(255))


def written(classifier, pixels, folder, *, cuts=(0, 2, 4), slots=(8, 0, 3, 3, 1, 7), views=2, policy="gentle", seed=1):
    folder.mkdir(exist_ok=True)
    slots_n = np.array(slots)
    write_views(
        classifier,
        cuts=cuts,
        pixels_NSS3=pixels,
        slots_n=slots_n,
        views=views,
        policy=policy,
        seed=seed,
        folder=folder,
    )
    return Views(folder)


def test_activations_at_cuts_are_torchs(classifier_of, pixels, tmp_path):
    classifier = classifier_of().eval()
    store = written(classifier, pixels, tmp_path)
    images = as_images(pixels)[[8, 0, 3, 3, 1, 7]]
    with torch.no_grad():
        for cut, half in ((0, True), (2, True), (4, False)):
            found = store.array(cut, 0)
            expected = classifier.trunk.run(classifier.normalise(images), 0, cut).numpy()
            assert found.dtype == (np.float16 if half else np.float32)
            # float16 keeps 11 bits: half a unit in the last place is 2^-11 of the value
            tolerance = {"rtol": 2**-11 + 1e-4, "atol": 1e-4} if half else {"rtol": 1e-4, "atol": 1e-4}
            np.testing.assert_allclose(found.astype(np.float32), expected, **tolerance)
            logits = classifier.forward_from(torch.from_numpy(found.astype(np.float32)), cut)
            torch.testing.assert_close(logits, classifier(images), atol=5e-3, rtol=5e-3)


def assert_engines_agree(classifier, images):
    """ONNX Runtime and torch at every cut: to 1e-4 of the size of the activations, each value to 1e-3 of their rms."""
    cuts = tuple(range(len(classifier.trunk.stage_names) + 1))
    part = FrozenPart(classifier.eval(), cuts)
    in_onnx = runner._in_onnx(part, tuple(f"cut{cut}" for cut in cuts), images.shape[2])(images)
    in_torch = runner._in_torch(part, torch.device("cpu"))(images)
    assert len(in_onnx) == len(in_torch) == len(cuts)
    for cut, ours, theirs in zip(cuts, in_onnx, in_torch, strict=True):
        assert ours.shape == theirs.shape
        size = np.linalg.norm(theirs)
        assert np.linalg.norm(ours - theirs) <= 1e-4 * size, cut
        assert np.abs(ours - theirs).max() <= 1e-3 * size / np.sqrt(theirs.size), cut


@pytest.mark.parametrize("architecture", ["house/resnet20_cifar", "timm/tf_efficientnet_lite0"])
def test_both_engines_agree_at_every_cut(classifier_of, pixels, architecture):
    assert_engines_agree(classifier_of(architecture), as_images(pixels))


def test_both_engines_agree_at_every_cut_of_a_pretrained_network(wheels, pixels):
    source, where = (
        find_source("efficientnet_lite0", Backbones()),
        {"backbones": Backbones(), "packages_folder": wheels},
    )
    trunk = build_trunk(source, **where)
    network = build_classifier(trunk, source.preprocessing, head="linear", dropout=0.0, classes=2, seed=0)
    assert_engines_agree(network, as_images(pixels))


def test_the_stated_error_is_that_of_half_precision_in_numpy(classifier_of, pixels, tmp_path):
    """Computed again from torch's activations of the same images; the engines differ by less than one digit."""
    classifier = classifier_of().eval()
    store = written(classifier, pixels, tmp_path, views=1)
    with torch.no_grad():
        for cut in (0, 2):
            exact = classifier.trunk.run(classifier.normalise(as_images(pixels)[[8, 0, 3, 3, 1, 7]]), 0, cut).numpy()
            error = exact.astype(np.float16).astype(np.float64) - exact
            told = Rounding(**read_json(store.errors)[f"cut{cut}_view0"])
            assert told.kind == "float16"
            assert told.rms == pytest.approx(np.linalg.norm(error) / np.linalg.norm(exact), rel=0.02)
            assert told.largest == pytest.approx((np.abs(error) / np.maximum(np.abs(exact), 2**-14)).max(), rel=0.02)
    assert store.rounding(4) == Rounding("float32", 0.0, 0.0)
    views = [Rounding(**read_json(store.errors)[f"cut2_view{view}"]) for view in (0, 1)]
    assert store.rounding(2).largest == max(view.largest for view in views)


def louder(classifier, factor):
    """The same with its last stage before the cut so many times as loud."""
    with torch.no_grad():
        for norm in (m for m in classifier.trunk.network.layer1.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.weight.fill_(factor)
            norm.bias.fill_(factor)
    return classifier


def test_activations_beyond_half_precision_are_kept_in_single_precision_and_told(classifier_of, pixels, tmp_path):
    classifier = louder(classifier_of().eval(), 1e6)
    store = written(classifier, pixels, tmp_path, cuts=(2,), views=1)
    images = as_images(pixels)[[8, 0, 3, 3, 1, 7]]
    with torch.no_grad():
        exact = classifier.trunk.run(classifier.normalise(images), 0, 2).numpy()
    assert exact.max() > 65_504
    np.testing.assert_allclose(store.array(2, 0), exact, rtol=1e-4, atol=1e-4 * exact.max())
    assert store.array(2, 0).dtype == np.float32
    assert "half precision ends at 65504" in store.rounding(2).reason


def test_activations_that_are_no_numbers_are_one_sentence(classifier_of, pixels, tmp_path):
    classifier = louder(classifier_of(), float("nan"))
    with pytest.raises(UserError, match=r"resnet20_cifar makes NaN or infinite activations before its stage 2 while"):
        written(classifier, pixels, tmp_path, cuts=(2,))


def test_views_are_activations_of_augmented_images(classifier_of, pixels, tmp_path):
    classifier = classifier_of().eval()
    store = written(classifier, pixels, tmp_path, cuts=(4,))
    images = as_images(pixels)[[8, 0, 3, 3, 1, 7]]
    for view in (1, 2):
        moved = []
        for start in (0, 4):
            seed = int.from_bytes(hashlib.sha256(f"1/{view}/{start}".encode()).digest()[:4], "big")
            moved.append(POLICIES["gentle"](images[start : start + 4], torch.Generator().manual_seed(seed)))
        with torch.no_grad():
            expected = classifier.features(torch.cat(moved)).numpy()
        np.testing.assert_allclose(store.array(4, view), expected, rtol=1e-4, atol=1e-4)
    assert not np.allclose(store.array(4, 1), store.array(4, 2))
    assert not np.allclose(store.array(4, 1)[2], store.array(4, 1)[3])  # one image twice, two draws


def test_a_view_depends_on_place_and_company_of_an_image_and_nothing_else(classifier_of, pixels, tmp_path):
    classifier = classifier_of().eval()

    def views(name, **changed):
        return written(classifier, pixels, tmp_path / name, **({"cuts": (4,)} | changed)).array(4, 1)

    first = views("first")
    np.testing.assert_array_equal(views("again"), first)
    np.testing.assert_allclose(views("more cuts", cuts=(1, 4)), first, atol=1e-5)
    np.testing.assert_array_equal(views("more views", views=3), first)
    others = views("others in its chunk", slots=(8, 5, 6, 6, 1, 7))
    np.testing.assert_allclose(others[[0, 4, 5]], first[[0, 4, 5]], atol=1e-5)
    longer = views("longer last chunk", slots=(8, 0, 3, 3, 1, 7, 2))
    np.testing.assert_array_equal(longer[:4], first[:4])
    assert not np.allclose(longer[4:6], first[4:6], atol=1e-3)
    assert not np.allclose(views("another seed", seed=2), first, atol=1e-3)


def test_modes_and_weights_stay_as_they_were(classifier_of, pixels, tmp_path):
    classifier = classifier_of().train()
    modes = [module.training for module in classifier.modules()]
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    store = written(classifier, pixels, tmp_path, cuts=(4,), views=0)
    assert [module.training for module in classifier.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items())
    with torch.no_grad():
        expected = classifier.eval().features(as_images(pixels)[[8, 0, 3, 3, 1, 7]]).numpy()
    np.testing.assert_allclose(store.array(4, 0), expected, rtol=1e-4, atol=1e-4)  # eval mode, whatever came in


def test_maps_are_read_only(classifier_of, pixels, tmp_path):
    store = written(classifier_of(), pixels, tmp_path, cuts=(4,), views=0)
    assert isinstance(store.array(4, 0), np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store.array(4, 0)[0] = 1


def test_a_full_disk_is_a_sentence_and_no_crash(classifier_of, pixels, tmp_path, monkeypatch):
    def full(file, offset, length):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(UserError, match="No space left while writing"):
        once(tmp_path, "key", lambda folder: written(classifier_of(), pixels, folder, cuts=(4,)) and None)


@pytest.fixture
def own_source(tmp_path):
    network = build_architecture("house/resnet20_cifar", seed=3)
    save_file(network.state_dict(), tmp_path / "own.safetensors")
    backbones = Backbones(
        own={
            "mine": OwnSource(
                path=tmp_path / "own.safetensors",
                architecture="house/resnet20_cifar",
                channels="BGR",
                mean=(0.1, 0.2, 0.3),
                std=(0.5, 0.6, 0.7),
            )
        }
    )
    return find_source("mine", backbones), backbones


def test_features_of_a_source_are_torchs(own_source, pixels, tmp_path):
    source, backbones = own_source
    slots_n = np.array([8, 8, 2, 0, 5])
    where = {"backbones": backbones, "packages_folder": tmp_path}
    write_features(source, pixels_NSS3=pixels, slots_n=slots_n, folder=tmp_path, **where)
    found = np.load(tmp_path / "features.npy")
    images = as_images(pixels)[slots_n].flip(1)  # BGR
    normalised = (images - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.5, 0.6, 0.7])[:, None, None]
    with torch.no_grad():
        expected = build_trunk(source, **where).eval()(normalised).numpy()
    assert (found.dtype, found.shape) == (np.float32, (5, 64))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.shared
def test_features_of_a_source_that_is_only_a_graph(shared_weights, tmp_path):
    backbones = Backbones(weights_root=shared_weights)
    source = find_source("shufflenetv2_x0_5_imagenet", backbones)
    pixels = np.random.default_rng(1).integers(0, 256, (5, 224, 224, 3), dtype=np.uint8)
    slots_n = np.array([4, 1, 0, 2, 3])
    write_features(
        source, pixels_NSS3=pixels, slots_n=slots_n, backbones=backbones, packages_folder=tmp_path, folder=tmp_path
    )
    channels = slice(None, None, -1) if source.preprocessing.channels == "BGR" else slice(None)
    images = pixels[slots_n].transpose(0, 3, 1, 2)[:, channels] / 255
    mean, std = (np.array(v)[:, None, None] for v in (source.preprocessing.mean, source.preprocessing.std))
    session = graph_session(source.weights.path.read_bytes(), origin="x", threads=1)
    name = session.get_inputs()[0].name
    one_by_one = [session.run(["features"], {name: ((x - mean) / std)[None].astype(np.float32)})[0][0] for x in images]
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), one_by_one, rtol=1e-3, atol=1e-4)
