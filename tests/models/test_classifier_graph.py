"""A classifier that leaves the house: the graph alone gives what torch gives, and says all that it takes to use it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import scipy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from graphs import SIDE, Tiny, export
from medical_transfer.metrics.calibration import apply_temperature
from medical_transfer.models import every_core, quantised_graph
from medical_transfer.models.bias_correction import last_layer, logit_shift
from medical_transfer.models.card import ModelCard
from medical_transfer.models.checkpoint import save_checkpoint
from medical_transfer.models.classifier import build_classifier
from medical_transfer.models.classifier_graph import Shipped, export_shipped, load_shipped, put_card
from medical_transfer.models.graph_card import GraphCard, graph_card
from medical_transfer.models.graph_trunk import read_graph
from medical_transfer.models.inference import predict_logits
from medical_transfer.models.onnx_source import write_graph
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.quantised_graph import quantise
from medical_transfer.models.shipped_graph import ShippedGraph, open_shipped
from medical_transfer.models.weights import Graph
from medical_transfer.types import UserError
from toy import SIZE, classifier, pixels

FLIPS = ("left_right", "up_down", "half_turn")


def card(**changes: object) -> ModelCard:
    facts = {
        "kind": "distill",
        "source": "random/house/resnet20_cifar",
        "source_fingerprint": "sha256:0",
        "architecture": "house/resnet20_cifar",
        "head": "linear",
        "dropout": 0.2,
        "classes": ("no", "größer"),
        "positive_class": "größer",
        "preprocessing": Preprocessing(size=SIZE),
        "size": SIZE,
        "fit": "pad",
        "symmetries": FLIPS,
        "temperature": 1.7,
        "threshold": 0.4,
        "split_hash": "s1",
        "data_fingerprint": "d1",
        "data_licence": "CC BY-NC 4.0",
        "weights_licence": "Apache-2.0",
    }
    return ModelCard.model_validate(facts | changes)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    save_checkpoint(folder, classifier().eval(), card())
    return folder


@pytest.fixture(scope="module")
def exported(saved: Path) -> ShippedGraph:
    return open_shipped(export_shipped(*load_shipped(saved), saved / "model.onnx"))


def test_views_share_their_weights(exported: ShippedGraph, saved: Path) -> None:
    stored = (saved / "model.safetensors").stat().st_size
    assert Path(exported.origin).stat().st_size < 1.5 * stored < (1 + len(FLIPS)) * stored


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(1, 9), seed=st.integers(0, 2**16), flat=st.booleans())
def test_the_graph_gives_the_probabilities_of_torch(exported: ShippedGraph, saved: Path, n: int, seed: int, flat: bool):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)
    if flat:
        images[:] = rng.integers(0, 256)
    with torch.inference_mode():
        expected = load_shipped(saved)[0](torch.from_numpy(images)).numpy()
    found = exported.probabilities(images)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_they_are_those_of_the_predictions_table(exported: ShippedGraph) -> None:
    """Mirror images, temperature and normalisation are inside: the house computes the same in other steps."""
    images, slots_n = pixels(70, seed=3)[0], np.arange(70)
    logits_NC = predict_logits(classifier(), images, slots_n, FLIPS)
    expected = apply_temperature(logits_NC, 1.7)
    np.testing.assert_allclose(exported.probabilities(images), expected, atol=2e-5)
    for other in (
        apply_temperature(logits_NC, 1.0),
        apply_temperature(predict_logits(classifier(), images, slots_n), 1.7),
    ):
        assert np.abs(exported.probabilities(images) - other).max() > 1e-2


def test_very_sure_networks_keep_their_digits(tmp_path: Path) -> None:
    network = classifier()
    with torch.no_grad():
        network.halves[1][-1].weight.mul_(400)
    shipped = Shipped(network.eval(), temperature=50.0, symmetries=("left_right",))
    graph = open_shipped(export_shipped(shipped, graph_card(card()), tmp_path / "x.onnx"))
    images = pixels(8, seed=4)[0]
    expected = apply_temperature(predict_logits(network, images, np.arange(8), ("left_right",)), 50.0)
    assert 0 < expected.min() < 0.01
    np.testing.assert_allclose(graph.probabilities(images), expected, atol=1e-3)


def test_all_that_it_takes_stands_in_the_file(exported: ShippedGraph, saved: Path) -> None:
    texts = onnxruntime.InferenceSession(exported.origin).get_modelmeta().custom_metadata_map
    told = {name: json.loads(text) for name, text in texts.items()}
    trained = json.loads((saved / "model.json").read_text(encoding="utf-8"))
    for name in (
        "classes",
        "positive_class",
        "threshold",
        "temperature",
        "symmetries",
        "split_hash",
        "versions",
        "kind",
    ):
        assert told[name] == trained[name], name
    assert told["normalisation"] == trained["preprocessing"]
    assert told["licences"] == {"data": "CC BY-NC 4.0", "weights": "Apache-2.0"}
    assert (told["model_sha256"], told["precision"]) == (trained["sha256"], "float32")
    picture = told["input"]
    assert (picture["size"], picture["fit"], picture["dtype"], picture["channels"]) == (SIZE, "pad", "uint8", "RGB")
    assert exported.card == GraphCard.model_validate(told)


def test_a_card_is_replaced_and_other_notes_stay(exported: ShippedGraph, tmp_path: Path) -> None:
    path = tmp_path / "again.onnx"
    graph = onnx.load(exported.origin)
    onnx.helper.set_model_props(graph, {"maker": "someone"})
    onnx.save(graph, path)
    with pytest.raises(UserError, match=r"again\.onnx does not say what it is .*no 'format'.* Export the model again"):
        open_shipped(path)
    put_card(path, exported.card)
    assert open_shipped(path).card == exported.card
    assert onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map["maker"] == "someone"
    broken = exported.card.model_copy(update={"threshold": "half"})
    with pytest.warns(UserWarning, match="Pydantic serializer"):
        put_card(path, broken)
    with pytest.raises(UserError, match="threshold: Input should be a valid number"):
        open_shipped(path)


def test_a_file_that_is_missing_or_no_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    with pytest.raises(UserError, match="missing"):
        open_shipped(path)
    path.write_bytes(b"not a graph")
    with pytest.raises(UserError, match=r"x\.onnx is no readable ONNX graph"):
        open_shipped(path)


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize("precision", ["onnx", "int8"])
def test_a_prediction_does_not_hang_on_cores_or_on_what_is_asked_beside_it(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, cores: int, precision: str
) -> None:
    origin = Path(request.getfixturevalue("int8" if precision == "int8" else "exported").origin)
    monkeypatch.setattr(every_core, "cores", lambda: cores)
    graph, images = open_shipped(origin), pixels(7, seed=8)[0]
    session = onnxruntime.InferenceSession(str(origin))
    alone = [session.run(["probabilities"], {"pixels": image[None]})[0][0] for image in images]
    assert np.ptp([row[0] for row in alone]) > 1e-3
    np.testing.assert_allclose(graph.probabilities(images), alone, atol=1e-6)
    np.testing.assert_allclose(graph.probabilities(images[:2]), alone[:2], atol=1e-6)


def test_each_core_takes_images_by_itself(exported: ShippedGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every_core, "cores", lambda: 3)
    graph, calls = open_shipped(Path(exported.origin)), []
    run = graph.graph.alone.run
    monkeypatch.setattr(
        graph.graph.alone, "run", lambda names, feed: calls.append(len(feed["pixels"])) or run(names, feed)
    )
    graph.probabilities(pixels(7, seed=9)[0])
    assert sorted(calls) == [1, 3, 3]
    assert graph.graph.alone.get_session_options().intra_op_num_threads == 1


def test_pixels_of_another_kind_are_refused(exported: ShippedGraph) -> None:
    for wrong in (np.zeros((1, 3, SIZE, SIZE), np.uint8), np.zeros((1, SIZE, SIZE, 3), np.float32)):
        with pytest.raises(UserError, match=r"takes uint8 pixels of shape \(N, 16, 16, 3\)"):
            exported.probabilities(wrong)
    assert exported.probabilities(np.zeros((0, SIZE, SIZE, 3), np.uint8)).shape == (0, 2)


class Whirl(nn.Module):
    """Something that no ONNX operation says."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(images.mean(dim=1))


def test_an_operation_that_onnx_does_not_have_is_named_and_no_file_stays(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Whirl cannot be written as ONNX .*svd.* Choose a network without that"):
        write_graph(Whirl().train(), torch.zeros(2, 3, 4, 4), tmp_path / "x.onnx", given="images", outputs=("y",))
    assert list(tmp_path.iterdir()) == []


def test_a_model_on_a_bare_graph_is_refused(tmp_path: Path) -> None:
    path = export(Tiny(), tmp_path / "tiny.onnx")
    trunk = read_graph(Graph(path, None, "pooled"), side=SIDE)
    model = build_classifier(trunk, Preprocessing(size=SIDE), head="linear", dropout=0.0, classes=2, seed=0)
    save_checkpoint(tmp_path, model, card(architecture="onnx", source="tiny", size=SIDE))
    with pytest.raises(UserError, match=r"stands on tiny, of which torch has no layers.* distil it into a student"):
        load_shipped(tmp_path)


# --- int8 -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def int8(exported: ShippedGraph) -> ShippedGraph:
    path = Path(exported.origin)
    return open_shipped(
        quantise(path, path.with_name("q.onnx"), exported.card, pixels(48, seed=5)[0], convolutions_in_floats=3)
    )


def test_eight_bits_are_close_smaller_and_say_so(exported: ShippedGraph, int8: ShippedGraph) -> None:
    images = pixels(64, seed=6)[0]
    gap = np.abs(int8.probabilities(images) - exported.probabilities(images))
    assert 0 < gap.max() < 0.1
    assert Path(int8.origin).stat().st_size < 0.5 * Path(exported.origin).stat().st_size
    assert int8.card == exported.card.model_copy(update={"precision": "int8"})
    assert int8.probabilities(images[:1]).shape == (1, 2)  # N stays free


def weights_of(path: str) -> list[NDArray[np.int8]]:
    """The quantised weights of convolutions, (out, in, k, k)."""
    found = [numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer]
    return [each for each in found if each.dtype == np.int8 and each.ndim == 4]


def test_the_ends_stay_in_floats_and_each_channel_between_has_its_scale(int8: ShippedGraph) -> None:
    weights = weights_of(int8.origin)
    assert len(weights) == 21 - 3  # of a ResNet-20: 19 convolutions and two on its short cuts
    per_channel = [np.abs(each.astype(int)).reshape(len(each), -1).max(axis=1) for each in weights]
    assert all((largest >= 126).all() for largest in per_channel)  # each channel uses its range
    graph = onnx.load(int8.origin)
    floats = {each.name for each in graph.graph.initializer if each.data_type == onnx.TensorProto.FLOAT}
    layers = [node for node in graph.graph.node if node.op_type == "Gemm"]
    assert len(layers) == 1 + len(FLIPS)  # one view after the other
    assert {tuple(node.input[1:]) for node in layers} == {tuple(last_layer(graph).input[1:])}
    assert set(layers[0].input[1:]) <= floats


@pytest.mark.parametrize("number", [0, 12, 99])
def test_as_many_convolutions_stay_in_floats_as_are_asked_for(
    exported: ShippedGraph, tmp_path: Path, number: int
) -> None:
    seen = pixels(16, seed=5)[0]
    path = quantise(Path(exported.origin), tmp_path / "q.onnx", exported.card, seen, convolutions_in_floats=number)
    assert len(weights_of(str(path))) == max(0, 21 - number)


def test_what_rounding_shifts_on_average_is_taken_off(exported: ShippedGraph, int8: ShippedGraph) -> None:
    calibration = pixels(48, seed=5)[0]
    shift_C = logit_shift(
        exported.probabilities(calibration), int8.probabilities(calibration), exported.card.temperature
    )
    raw = Path(int8.origin).with_name("raw.onnx")
    quantised_graph._quantise(Path(exported.origin), raw, calibration, 3)
    put_card(raw, exported.card)
    before_C = logit_shift(
        exported.probabilities(calibration),
        open_shipped(raw).probabilities(calibration),
        exported.card.temperature,
    )
    assert np.abs(shift_C).max() < 0.1 * np.abs(before_C).max()


def test_a_shift_of_the_logits_is_found_again_whatever_the_temperature() -> None:
    rng = np.random.default_rng(0)
    logits_NC, shift_C = rng.normal(size=(50, 3)), np.array([0.7, -0.9, 0.2])
    exact, rounded = (scipy.special.softmax((logits_NC + each) / 1.7, axis=1) for each in (shift_C, 5.0))
    np.testing.assert_allclose(logit_shift(exact, rounded, 1.7), shift_C, atol=1e-9)
    certain = np.array([[1.0, 0.0]])
    assert np.isfinite(logit_shift(certain, certain[:, ::-1], 1.0)).all()


def test_a_graph_without_a_last_layer_is_refused() -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [])
    with pytest.raises(UserError, match="no linear layer with a bias"):
        last_layer(onnx.helper.make_model(graph))


def test_the_softmax_stays_in_floats(int8: ShippedGraph) -> None:
    graph = onnx.load(int8.origin).graph
    made = {name: node.op_type for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type in {"LogSoftmax", "Softmax", "ReduceLogSumExp", "Div"}:
            assert "DequantizeLinear" not in {made.get(name) for name in node.input if node.op_type != "LogSoftmax"}
