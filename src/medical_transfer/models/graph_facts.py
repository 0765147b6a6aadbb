"""What an ONNX graph says of itself, whether it can serve as a trunk, and its features whatever batch it fixes.

Shapes: images (N, 3, S, S) float32, features (N, D).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from medical_transfer.models.every_core import EveryCore
from medical_transfer.types import UserError

_WEIGHTS = {getattr(onnx.TensorProto, name) for name in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "UINT8")}
"""Types of tensors that hold weights; shapes and indices are INT64."""


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """The output that holds the features, D, and the N and S that the graph fixes (null: any)."""

    output: str
    feature_dim: int
    batch: int | None
    side: int | None


def facts_of(graph: EveryCore, *, output: str, side: int, origin: str) -> GraphFacts:
    """Read what a graph takes and gives; where it does not state D, one grey image of `side` pixels is tried.

    Raises:
        UserError: where it does not take images, or has no such output, or that output is no vector per image.
    """
    outputs = {each.name: each.shape for each in graph.alone.get_outputs()}
    if output not in outputs:
        raise UserError(f"{origin} has no output {output!r}: its outputs are {', '.join(outputs)}.")
    batch, fixed = _image_input(graph.alone.get_inputs(), origin)
    stated = outputs[output]
    if len(stated) == 2 and isinstance(stated[1], int):
        return GraphFacts(output, stated[1], batch, fixed)
    images = np.full((1, 3, fixed or side, fixed or side), 0.5, dtype=np.float32)
    found = features_of(graph, images, GraphFacts(output, 0, batch, fixed), origin=origin).shape
    if len(found) != 2:
        raise UserError(
            f"Output {output!r} of {origin} has the shape {found} for one image, expected one vector, (1, D): name "
            "another output, or export the graph with its pooling."
        )
    return GraphFacts(output, int(found[1]), batch, fixed)


def features_of(
    graph: EveryCore, images: NDArray[np.float32], facts: GraphFacts, *, origin: str
) -> NDArray[np.float32]:
    """Features (N, D) of images (N, 3, S, S); a graph that fixes N runs in pieces of N, the last one filled up.

    Raises:
        UserError: where the graph fixes another S, or cannot run on images of this one.
    """
    size = images.shape[-1]
    if facts.side not in (None, size):
        raise UserError(
            f"{origin} takes images of {facts.side} x {facts.side} px only, found {size} x {size}: set "
            f"images.size={facts.side}, or export the graph with free height and width."
        )
    step = facts.batch or len(images)
    starts = range(0, len(images), step)
    try:
        return np.concatenate([_filled(graph, images[s : s + step], step, facts.output) for s in starts])
    except (state.Fail, state.InvalidArgument, state.RuntimeException) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{origin} does not run on images of {size} x {size} px ({reason}): set images.size to the size that the "
            "graph was made for."
        ) from error


def weights_in(content: bytes) -> int:
    """Number of weights of a graph: elements of its constants, those of integer type left out unless quantised."""
    return sum(math.prod(tensor.dims) for tensor in _constants(content) if tensor.data_type in _WEIGHTS)


def check_self_contained(content: bytes, origin: str) -> None:
    """Refuse a graph that keeps tensors in other files: neither its checksum nor a saved model would hold them.

    Raises:
        UserError: says how to make one file of it; also where the bytes are no graph.
    """
    try:
        tensors = _constants(content)
    except DecodeError as error:
        raise UserError(f"{origin} is no readable ONNX graph ({error}): export or fetch it again.") from error
    outside = [tensor for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise UserError(
            f"{origin} keeps {len(outside)} of its tensors in another file, expected all of it in one: export it with "
            "external_data=False, or make one file of it by onnx.save(onnx.load('the graph'), 'one file.onnx')."
        )


def _constants(content: bytes) -> list[onnx.TensorProto]:
    """The tensors that a graph brings along, as initializers or as nodes."""
    graph = onnx.load_model_from_string(content).graph
    nodes = (node for node in graph.node if node.op_type == "Constant")
    return [*graph.initializer, *(each.t for node in nodes for each in node.attribute if each.HasField("t"))]


def _filled(graph: EveryCore, images: NDArray[np.float32], count: int, output: str) -> NDArray[np.float32]:
    """Features of at most `count` images by a call with exactly so many: the last image stands in for absent ones."""
    absent = np.repeat(images[-1:], count - len(images), axis=0)
    (features,) = graph.run(np.concatenate([images, absent]).astype(np.float32, copy=False), [output])
    return features[: len(images)].astype(np.float32, copy=False)


def _image_input(inputs: Sequence[Any], origin: str) -> tuple[int | None, int | None]:
    """N and S of a graph's only input, null where they are free."""
    only = inputs[0] if len(inputs) == 1 else None
    if only is not None and only.type == "tensor(float)" and len(only.shape) == 4:
        batch, channels, height, width = (size if isinstance(size, int) else None for size in only.shape)
        if channels in (None, 3) and height == width:
            return batch, height
    found = "; ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
    raise UserError(
        f"{origin} takes {found or 'nothing'}, expected one input of square RGB images, tensor(float) "
        "['N', 3, 'S', 'S']: export the graph so."
    )
