"""The same graph in 8-bit integers: a quarter of the bytes, and on processors with the units for it faster.

Static quantisation by ONNX Runtime: weights per output channel, activations with ranges seen on training images,
quantise-dequantise pairs around each operation (QDQ), which every runtime reads. The first convolutions and the last
layer stay in floats: they have few weights, and what they round goes through everything behind them, or straight into
the logits. What rounding shifts on average is taken off (`bias_correction.py`).
Source: Nagel et al. 2021, "A White Paper on Neural Network Quantization", sections 2 and 3.

Weights have all 8 bits. AVX2 without VNNI adds pairs of products in 16 bits, which large ones overflow; with 7 bits
(`reduce_range`) they cannot, but on the default student 7 bits cost far more (docs/distillation.md), and what this
machine makes of the file is measured before it is shipped.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from medical_transfer.models.bias_correction import add_to_bias, last_layer, logit_shift
from medical_transfer.models.classifier_graph import put_card
from medical_transfer.models.graph_card import PIXELS, GraphCard
from medical_transfer.models.shipped_graph import open_shipped
from medical_transfer.runtime.files import atomic_path

QUANTISED = ("Conv", "Gemm", "MatMul", "Add", "Mul", "Clip", "Relu", "MaxPool", "GlobalAveragePool")
"""Operations of the network; the calibrated softmax behind them stays in floats."""


def quantise(
    graph: Path, path: Path, card: GraphCard, pixels_NSS3: NDArray[np.uint8], *, convolutions_in_floats: int
) -> Path:
    """Write the int8 twin of an exported graph, with its card.

    Args:
        graph: exported in floats.
        path: file to write.
        card: what the float graph says.
        pixels_NSS3: training images on which ranges of activations and the shift of the logits are measured.
        convolutions_in_floats: so many of the first ones are not rounded.

    Raises:
        UserError: where the graph is no classifier with a linear last layer.
    """
    with atomic_path(path) as temporary:
        _quantise(graph, temporary, pixels_NSS3, convolutions_in_floats)
        put_card(temporary, card.model_copy(update={"precision": "int8"}))
        exact_NC, rounded_NC = (open_shipped(each).probabilities(pixels_NSS3) for each in (graph, temporary))
        add_to_bias(temporary, logit_shift(exact_NC, rounded_NC, card.temperature))
    return path


def _quantise(graph: Path, path: Path, pixels_NSS3: NDArray[np.uint8], convolutions_in_floats: int) -> None:
    from onnxruntime import quantization  # noqa: PLC0415 - a second that only this should pay
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch, _quiet():
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(path),
            _reader(pixels_NSS3),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=False,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=_in_floats(prepared, convolutions_in_floats),
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )


def _in_floats(prepared: Path, first: int) -> list[str]:
    """Names of the nodes that are not rounded: the `first` convolutions and the last layer, once for each view."""
    graph = onnx.load(prepared)
    weights = dict.fromkeys(node.input[1] for node in graph.graph.node if node.op_type == "Conv")
    kept = {*list(weights)[:first], last_layer(graph).input[1]}
    return [str(node.name) for node in graph.graph.node if not kept.isdisjoint(node.input)]


def _reader(pixels_NSS3: NDArray[np.uint8]) -> Any:
    """The images one by one, as ONNX Runtime asks for them: it holds all that each leaves between the layers."""
    from onnxruntime.quantization import CalibrationDataReader  # noqa: PLC0415

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped base
        def __init__(self) -> None:
            self.images = ({PIXELS: pixels_SS3[None]} for pixels_SS3 in pixels_NSS3)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            return next(self.images, None)

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Its hints go to the root logger: they speak of steps that are taken here, or of tools that are not."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
