from __future__ import annotations

import copy
import json
import shutil
from dataclasses import asdict

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from graphs import SIDE, Tiny, export
from medical_transfer.models.card import ModelCard, read_card, write_card
from medical_transfer.models.checkpoint import load_checkpoint, save_checkpoint
from medical_transfer.models.classifier import build_classifier
from medical_transfer.models.freezing import freeze
from medical_transfer.models.graph_trunk import read_graph
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.weights import Graph
from medical_transfer.runtime.files import sha256_of, write_json
from medical_transfer.runtime.stage import MARK
from medical_transfer.types import UserError


def card(**changes) -> ModelCard:
    facts = {
        "kind": "finetune",
        "source": "a source that does not exist here",
        "source_fingerprint": "sha256:0",
        "architecture": "house/resnet20_cifar",
        "head": "linear",
        "dropout": 0.2,
        "classes": ("no", "unsure", "yes"),
        "preprocessing": Preprocessing(size=32),
        "size": 32,
        "fit": "squash",
        "temperature": 1.5,
        "split_hash": "s",
        "data_fingerprint": "d",
        "data_licence": "MIT",
        "weights_licence": "Apache-2.0",
    }
    return ModelCard.model_validate(facts | changes)


@pytest.fixture
def saved(tmp_path, classifier_of):
    model = classifier_of().eval()
    return tmp_path, model, save_checkpoint(tmp_path, model, card())


def test_round_trip_is_bit_equal_and_needs_no_source(saved, images):
    folder, model, written = saved
    loaded, found = load_checkpoint(folder)
    assert found == written
    assert found.temperature == 1.5
    assert found.preprocessing == Preprocessing(size=32)
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(images), model(images))
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_two_files_and_nothing_temporary(saved):
    folder, _, written = saved
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]
    assert written.sha256 == sha256_of(folder / "model.safetensors")
    assert (folder / "model.safetensors").stat().st_mode == (folder / "model.json").stat().st_mode
    facts = json.loads((folder / "model.json").read_text())
    assert facts["classes"] == ["no", "unsure", "yes"]
    assert facts["preprocessing"]["mean"] == [0.485, 0.456, 0.406]
    assert set(facts["versions"]) == {"medical_transfer", "torch", "torchvision", "timm", "onnxruntime"}


def test_the_same_model_gives_the_same_bytes(saved, tmp_path_factory, classifier_of):
    _, _, written = saved
    other = classifier_of().to(memory_format=torch.channels_last)
    freeze(other, "partial", 1)
    assert save_checkpoint(tmp_path_factory.mktemp("other"), other, card()).sha256 == written.sha256


def test_keys_are_the_names_of_the_library(saved):
    folder, model, _ = saved
    keys = {k.removeprefix("trunk.network.") for k in load_file(folder / "model.safetensors") if k.startswith("trunk")}
    assert keys == set(model.trunk.network.state_dict())


def test_a_changed_file_is_refused(saved):
    folder, _, _ = saved
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="sha256"):
        load_checkpoint(folder)


def test_another_architecture_names_the_first_three_mismatches(saved):
    folder, _, written = saved
    write_card(folder, written.model_copy(update={"architecture": "timm/resnet18"}))
    with pytest.raises(UserError) as error:
        load_checkpoint(folder)
    message = str(error.value)
    assert "trunk.network.conv1.weight found (16, 3, 3, 3), expected (64, 3, 7, 7)" in message
    assert message.count("expected (") == 3
    assert "more)" in message
    assert all(f"{library} {version}" in message for library, version in written.versions.items())


def test_another_number_of_classes_is_a_misfit(saved):
    folder, _, written = saved
    write_card(folder, written.model_copy(update={"classes": ("no", "yes")}))
    with pytest.raises(UserError, match=r"head.1.weight found \(3, 64\), expected \(2, 64\)"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "holds no model"),
        ("{", "no readable JSON"),
        ("[]", "no card of this version"),
        ('{"kind": "finetune"}', "source: Field required"),
    ],
)
def test_a_bad_card_is_one_sentence(tmp_path, content, words):
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    with pytest.raises(UserError, match=words):
        read_card(tmp_path)


EDITS = {
    "a key too many": ({"surprise": 1}, "no card of this version .surprise"),
    "too few classes": ({"classes": ["one"]}, "no card of this version .classes"),
    "another temperature": ({"temperature": 1.6}, "model.json was edited"),
    "a threshold": ({"threshold": 0.5}, "model.json was edited"),
    "classes renamed": ({"classes": ["no", "yes", "unsure"]}, "model.json was edited"),
    "another architecture": ({"architecture": "timm/none"}, "model.json was edited"),
    "no checksum": ({"card_sha256": ""}, "model.json was edited"),
    "another checksum": ({"card_sha256": "0" * 64}, "model.json was edited"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_card_is_refused_wherever_it_lies(saved, tmp_path_factory, edit):
    folder, _, _ = saved
    change, words = EDITS[edit]
    elsewhere = shutil.copytree(folder, tmp_path_factory.mktemp("elsewhere") / "copy")
    write_json(folder / MARK, {})
    for place, advice in ((folder, f"delete the folder {folder} and give"), (elsewhere, "copy the whole model again")):
        facts = json.loads((place / "model.json").read_text())
        (place / "model.json").write_text(json.dumps(facts | change))
        with pytest.raises(UserError, match=f"{words}.*{advice}"):
            read_card(place)


def test_the_layout_of_a_card_is_not_its_content(saved):
    folder, _, written = saved
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(dict(reversed(facts.items()))))
    assert read_card(folder) == written


DAMAGES = {
    "weights are gone": ("model.safetensors", None, "model.safetensors is missing: delete the folder"),
    "weights are cut": ("model.safetensors", b"cut", "has another sha256 than model.json says.*delete the folder"),
    "card is cut": ("model.json", b"{", "no readable JSON .*delete the folder"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_of_a_run_names_the_folder_to_delete(saved, damage):
    folder, _, _ = saved
    name, content, words = DAMAGES[damage]
    write_json(folder / MARK, {})
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{words} {folder} and give the same command again, which trains"):
        load_checkpoint(folder)


def test_a_file_that_is_no_safetensors_is_refused(saved):
    folder, _, written = saved
    path = folder / "model.safetensors"
    path.write_bytes(b"not tensors")
    write_card(folder, written.model_copy(update={"sha256": sha256_of(path)}))
    with pytest.raises(UserError, match="no readable safetensors"):
        load_checkpoint(folder)


def test_a_tensor_too_many_is_a_misfit(saved):
    folder, _, written = saved
    path = folder / "model.safetensors"
    save_file(load_file(path) | {"extra": torch.zeros(1)}, path)
    write_card(folder, written.model_copy(update={"sha256": sha256_of(path)}))
    with pytest.raises(UserError, match="extra is not expected"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"positive_class": "maybe"},
        {"classes": ("a", "a")},
        {"temperature": 0},
        {"threshold": 1.5},
        {"preprocessing": asdict(Preprocessing()) | {"channels": "GRB"}},
    ],
)
def test_a_card_that_makes_no_sense_cannot_be_made(change):
    with pytest.raises(ValidationError):
        card(**change)


def test_a_card_of_another_network_is_not_saved(tmp_path, classifier_of):
    with pytest.raises(ValueError, match="timm/resnet18"):
        save_checkpoint(tmp_path, classifier_of(), card(architecture="timm/resnet18"))
    assert not list(tmp_path.iterdir())


# --- a trunk that is a graph ------------------------------------------------------------------------------------------


@pytest.fixture
def graph_saved(tmp_path):
    """A saved model on a graph whose file is gone, what it gave before, and its card."""
    file = export(Tiny(), tmp_path / "tiny.onnx")
    trunk = read_graph(Graph(path=file, output="pooled"), side=SIDE)
    model = build_classifier(trunk, Preprocessing(size=SIDE), head="linear", dropout=0.2, classes=3, seed=1).eval()
    images = torch.rand(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    model.standardise.fit(model.features(images))
    written = save_checkpoint(tmp_path / "model", model, card(architecture="onnx"))
    content = file.read_bytes()
    file.unlink()
    with torch.no_grad():
        return tmp_path / "model", images, model(images), written, content


def test_a_graph_travels_inside_the_model(graph_saved):
    folder, images, before, written, content = graph_saved
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]
    assert (written.architecture, written.graph_output) == ("onnx", "pooled")
    loaded, found = load_checkpoint(folder)
    assert found == written
    assert loaded.trunk.graph.numpy().tobytes() == content
    with torch.no_grad():
        assert torch.equal(loaded(images), before)
        assert torch.equal(copy.deepcopy(loaded)(images), before)
    assert save_checkpoint(folder / "again", loaded, found).sha256 == written.sha256


def test_a_tampered_graph_is_refused(graph_saved):
    folder, _, _, written, content = graph_saved
    path = folder / "model.safetensors"
    tensors, whole = load_file(path), path.read_bytes()
    at = whole.index(content) + len(content) // 2
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(UserError, match="sha256"):
        load_checkpoint(folder)

    def resaved(**changed):
        kept = {name: tensor for name, tensor in (tensors | changed).items() if tensor is not None}
        save_file(kept, path)
        write_card(folder, written.model_copy(update={"sha256": sha256_of(path)}))
        with pytest.raises(UserError) as error:
            load_checkpoint(folder)
        return str(error.value)

    bytes_of = {"trunk.graph": torch.zeros(9, dtype=torch.uint8)}
    assert "The graph of a source that does not exist here is no readable ONNX graph" in resaved(**bytes_of)
    assert "found graph_output 'pooled' and no tensor trunk.graph" in resaved(**{"trunk.graph": None})
    assert "extra is not expected" in resaved(extra=torch.zeros(1))


def test_an_edited_card_of_a_graph_is_refused(graph_saved):
    folder, _, _, written, _ = graph_saved
    for change, words in (
        ({"graph_output": None}, "found graph_output None and tensor trunk.graph of bytes"),
        ({"graph_output": "logits"}, "no output 'logits': its outputs are pooled, maps"),
        ({"graph_output": "maps"}, "expected one vector"),
        ({"architecture": "timm/resnet18"}, "conv1.weight is missing"),
    ):
        write_card(folder, written.model_copy(update=change))
        with pytest.raises(UserError, match=words):
            load_checkpoint(folder)


def test_the_card_of_a_trained_network_names_no_output(saved):
    assert saved[2].graph_output is None
