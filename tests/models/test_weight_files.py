from __future__ import annotations

import pickle

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from medical_transfer.config.backbones import Backbones
from medical_transfer.models.architectures import build_architecture
from medical_transfer.models.state_fit import fit_state
from medical_transfer.models.weight_files import read_state, read_tensors
from medical_transfer.models.weights import PublishedFile, TimmFile, fingerprint
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError

TENSORS = {"a.weight": torch.arange(4.0), "b.bias": torch.ones(2)}


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
def test_torch_files_with_and_without_a_wrapper(tmp_path, wrap):
    torch.save(wrap(TENSORS), tmp_path / "x.pth")
    assert read_tensors(tmp_path / "x.pth").keys() == TENSORS.keys()


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize("content", [Evil(), {"state_dict": Evil()}])
def test_nothing_but_tensors_is_unpickled(tmp_path, capsys, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(UserError, match="holds more than tensors"):
        read_tensors(tmp_path / "x.pth")
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.pth", b"", "damaged"),
        ("x.pth", b"hello world", "damaged"),
        ("x.pth", pickle.dumps([1, 2]), "damaged|not tensors"),
        ("x.safetensors", b"hello world", "no readable safetensors"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_tensors(tmp_path / name)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=40), protocol=st.sampled_from([b"", b"\x80\x02", b"\x80\x04"]))
def test_any_bytes_are_one_sentence(tmp_path_factory, content, protocol):
    path = tmp_path_factory.getbasetemp() / "any.pth"
    path.write_bytes(protocol + content)
    with pytest.raises(UserError):
        read_tensors(path)


def test_a_list_is_no_state(tmp_path):
    torch.save([torch.ones(1)], tmp_path / "x.pth")
    with pytest.raises(UserError, match="holds list and not tensors"):
        read_tensors(tmp_path / "x.pth")


@pytest.fixture
def publish(tmp_path):
    """Publish tensors as torchvision does: the name ends with the first digits of the checksum."""

    def write(tensors) -> PublishedFile:
        (tmp_path / "web").mkdir()
        draft = tmp_path / "web" / "draft.pth"
        torch.save(tensors, draft)
        path = draft.rename(draft.with_name(f"net-{sha256_of(draft)[:8]}.pth"))
        return PublishedFile(path.as_uri())

    return write


def test_published_file_is_taken_from_the_downloads(tmp_path, publish):
    weights = publish({"features.denseblock1.denselayer1.norm.1.weight": torch.ones(1), "fc.bias": torch.ones(1)})
    backbones = Backbones(downloads=tmp_path / "web")
    state = read_state(weights, backbones=backbones, packages_folder=tmp_path)
    assert set(state) == {"features.denseblock1.denselayer1.norm1.weight", "fc.bias"}


def test_missing_published_file_says_everything(tmp_path, publish):
    weights = publish(TENSORS)
    folder = tmp_path / "cache"
    with pytest.raises(UserError) as error:
        read_state(weights, backbones=Backbones(downloads=folder), packages_folder=tmp_path)
    for part in (weights.file, weights.url, weights.sha256_prefix, str(folder), "allow_download"):
        assert part in str(error.value)
    assert not folder.exists()


def test_download_only_where_allowed(tmp_path, publish):
    weights = publish(TENSORS)
    backbones = Backbones(downloads=tmp_path / "cache", allow_download=True)
    assert read_state(weights, backbones=backbones, packages_folder=tmp_path).keys() == TENSORS.keys()
    assert (tmp_path / "cache" / weights.file).exists()


def test_a_download_that_fails_is_one_sentence(tmp_path):
    weights = PublishedFile((tmp_path / "nowhere" / "net-01234567.pth").as_uri())
    with pytest.raises(UserError, match="could not be downloaded"):
        read_state(weights, backbones=Backbones(downloads=tmp_path, allow_download=True), packages_folder=tmp_path)


def test_another_file_under_a_published_name_is_refused(tmp_path):
    torch.save(TENSORS, tmp_path / "net-01234567.pth")
    weights = PublishedFile("https://example.org/net-01234567.pth")
    with pytest.raises(UserError, match="expected one that begins with 01234567"):
        read_state(weights, backbones=Backbones(downloads=tmp_path), packages_folder=tmp_path)


def test_timm_weights_from_a_local_file(tmp_path):
    weights, backbones = TimmFile("test_resnet.r160_in1k"), Backbones(downloads=tmp_path)
    with pytest.raises(UserError, match=r"huggingface\.co/timm/test_resnet\.r160_in1k as .*safetensors"):
        read_state(weights, backbones=backbones, packages_folder=tmp_path)
    network = timm.create_model("test_resnet")
    save_file(network.state_dict(), tmp_path / "test_resnet.r160_in1k.safetensors")
    state = read_state(weights, backbones=backbones, packages_folder=tmp_path)
    assert state.keys() == network.state_dict().keys()


def test_timm_network_without_published_weights(tmp_path):
    name = next(n for n in timm.list_models() if not timm.get_pretrained_cfg(n).has_weights)
    with pytest.raises(UserError, match="publishes no weights"):
        read_state(TimmFile(name), backbones=Backbones(downloads=tmp_path), packages_folder=tmp_path)


def test_fingerprint_of_a_published_file_is_its_name():
    assert fingerprint(PublishedFile("https://example.org/net-01234567.pth")) == "net-01234567.pth"


# --- fitting ----------------------------------------------------------------------------------------------------------


def network_and_state(seed: int = 1):
    donor = build_architecture("house/resnet20_cifar", classes=4, seed=seed)
    return build_architecture("house/resnet20_cifar", classes=4), donor.state_dict()


def same(network, state) -> bool:
    return all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_fit_by_name_whatever_the_order_precision_or_counters():
    network, state = network_and_state()
    state = {name: tensor for name, tensor in reversed(state.items()) if "num_batches" not in name}
    half = {name: tensor.half() for name, tensor in state.items()}
    fit_state(network, half, origin="x")
    assert network.conv1.weight.dtype == torch.float32
    assert torch.equal(network.conv1.weight, state["conv1.weight"].half().float())


def test_fit_by_position_whatever_the_names():
    network, state = network_and_state()
    renamed = {f"{n}.{name.rpartition('.')[2]}": tensor for n, (name, tensor) in enumerate(state.items())}
    fit_state(network, renamed, origin="x", match="order")
    assert same(network, state)


def test_position_alone_is_not_enough():
    """Mean and bias of a batch norm have one shape: their kinds must agree too."""
    network, state = network_and_state()
    names = list(state)
    a, b = names.index("bn1.bias"), names.index("bn1.running_mean")
    names[a], names[b] = names[b], names[a]
    with pytest.raises(UserError, match=r"bn1\.bias|bn1\.running_mean"):
        fit_state(network, {f"old.{name}": state[name] for name in names}, origin="x", match="order")


PREFIXES = {
    "a wrapper": ("", {"": "module."}, "'module.' stands before 107 of the 107 names: set `prefix: module.`"),
    "two of them": ("", {"": "module.backbone."}, "set `prefix: module.backbone.`"),
    "one is taken off already": ("module.", {"": "encoder."}, "set `prefix: module.encoder.`"),
    "the head is elsewhere": ("", {"": "encoder.", "fc": "head."}, "'encoder.' stands before 105 of the 107 names"),
    "not the names are wrong": ("", {"fc": "head."}, "Name the architecture"),
    "nothing alike": ("", {"": "x_"}, "Name the architecture"),
}


@pytest.mark.parametrize("case", PREFIXES)
def test_a_prefix_that_the_names_carry_is_noticed(case):
    taken, carried, words = PREFIXES[case]
    network, state = network_and_state()
    default = carried.get("", "")
    renamed = {f"{carried.get(name.partition('.')[0], default)}{name}": tensor for name, tensor in state.items()}
    with pytest.raises(UserError) as error:
        fit_state(network, renamed, origin="x", prefix=taken)
    assert words in str(error.value)
    assert str(error.value).startswith("x does not fit the architecture: conv1.weight is missing; " if default else "x")


def test_only_the_ignored_head_may_be_missing():
    network, state = network_and_state()
    headless = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    with pytest.raises(UserError, match=r"fc\.weight is missing; fc\.bias is missing"):
        fit_state(network, headless, origin="x")
    fit_state(network, headless, origin="x", ignored={"fc.weight", "fc.bias"})
    assert torch.equal(network.bn1.weight, state["bn1.weight"])


def test_the_first_three_mismatches_are_named_and_nothing_is_changed():
    network, state = network_and_state()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    del state["conv1.weight"]
    state["bn1.weight"] = torch.ones(7)
    state["layer1.0.conv1.weight"] = torch.ones(1)
    state["surprise"] = torch.ones(1)
    with pytest.raises(UserError) as error:
        fit_state(network, state, origin="Source x")
    message = str(error.value)
    assert "conv1.weight is missing; bn1.weight found (7,), expected (16,); layer1.0.conv1.weight found (1,)" in message
    assert "(and 1 more)" in message
    assert same(network, before)
