"""Rounding shifts what a network says on average: the shift is measured on training images and taken off its last bias.

Eight bits round the same way for every image, and the errors of many layers add up to an offset of the logits: the
order of images is hardly touched, but decisions at a threshold are. No label is read.
Source: Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 3.3 (empirical bias correction).

Shapes: N images, C classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from medical_transfer.types import UserError

SMALLEST = 1e-7
"""Of a probability, before its logarithm is taken."""


def logit_shift(
    exact_NC: NDArray[np.float64], rounded_NC: NDArray[np.float64], temperature: float
) -> NDArray[np.float64]:
    """What has to be added to the logits (C,), so that the means of log-probabilities agree.

    Args:
        exact_NC: calibrated probabilities by the graph in floats.
        rounded_NC: of the same images by the rounded one.
        temperature: by which the logits were divided.

    A softmax doesn't see what is added to all classes alike, so the shift has mean 0.
    """
    logs = [np.log(np.maximum(each, SMALLEST)) for each in (exact_NC, rounded_NC)]
    shift_C = temperature * (logs[0] - logs[1]).mean(axis=0)
    centred_C: NDArray[np.float64] = shift_C - shift_C.mean()
    return centred_C


def last_layer(graph: onnx.ModelProto) -> onnx.NodeProto:
    """The linear layer that gives the logits: the last one of the graph.

    Raises:
        UserError: where the graph ends in none with a bias.
    """
    layers: list[onnx.NodeProto] = [
        node for node in graph.graph.node if node.op_type == "Gemm" and len(node.input) == 3
    ]
    if not layers:
        raise UserError(
            "The exported graph has no linear layer with a bias, whose offset could be corrected after rounding: "
            "expected a classifier with one of the heads of model.head. Export in floats alone."
        )
    return layers[-1]


def add_to_bias(path: Path, shift_C: NDArray[np.float64]) -> None:
    """Add a shift of the logits to the bias of the last layer, which was left in floats, in place."""
    graph = onnx.load(path)
    name = last_layer(graph).input[2]
    for tensor in graph.graph.initializer:
        if tensor.name == name:
            bias_C = onnx.numpy_helper.to_array(tensor) + shift_C.astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(bias_C, name))
    onnx.save(graph, path)
