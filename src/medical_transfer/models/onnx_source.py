"""ONNX: a network exported for fast frozen features on a CPU, and graphs opened and run.

Shapes: images (N, 3, S, S) float32, features (N, D) float32; N is free, S is fixed by an export.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as state
from torch import Tensor, nn
from torch.jit._trace import TracerWarning
from torch.overrides import TorchFunctionMode

from medical_transfer.runtime.files import atomic_path
from medical_transfer.types import UserError

INPUT, OUTPUT = "images", "features"
OPSET = 17

_NO_GRAPH = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NotImplemented,
    state.RuntimeException,
)
"""What ONNX Runtime raises on bytes that it cannot run (its errors have no common base)."""


def export_trunk(module: nn.Module, *, size: int, path: Path, outputs: tuple[str, ...] = (OUTPUT,)) -> Path:
    """Write a module as an ONNX graph, atomically; its mode and device are left as they were.

    Args:
        module: a trunk, or a normalisation and a trunk in sequence.
        size: S in pixels.
        path: file to write.
        outputs: names of what the module gives, in its order.

    The TorchScript exporter is used: 3.7 s where the newer one takes 16.7 s for the same graph.

    Raises:
        UserError: where a part of the module is no network of torch alone, or ONNX has no such operation.
    """
    if not exportable(module):
        raise UserError(
            "A network on a source that exists only as a graph, or on several side by side, is not exported to ONNX: "
            "expected a source of torch layers. Take the graphs as they are, or export each source by itself."
        )
    example = torch.zeros(2, 3, size, size, device=next(module.parameters()).device)
    return write_graph(module, example, path, given=INPUT, outputs=outputs)


def write_graph(module: nn.Module, example: Tensor, path: Path, *, given: str, outputs: Sequence[str]) -> Path:
    """Write a module in eval mode as an ONNX graph, atomically; N is free, and its modes are left as they were.

    Args:
        module: takes one tensor.
        example: of the shape and type that it takes; N of it is free in the graph.
        path: file to write.
        given: name of the input.
        outputs: names of what it gives, in its order.

    Raises:
        UserError: where ONNX has no such operation; it names it.
    """
    modes = [(part, part.training) for part in module.modules()]
    with atomic_path(path) as temporary, warnings.catch_warnings(), _FixedMaps():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)  # shapes are read as constants; only N is free
        warnings.filterwarnings("ignore", message="Constant folding")  # sums that are done at every run, no less true
        try:
            torch.onnx.export(
                module.eval(),
                (example,),
                str(temporary),
                input_names=[given],
                output_names=list(outputs),
                dynamic_axes={name: {0: "N"} for name in (given, *outputs)},
                opset_version=OPSET,
                dynamo=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise UserError(
                f"{type(module).__name__} cannot be written as ONNX (opset {OPSET}): {_first_line(error)} Choose a "
                "network without that operation, or keep the model in torch."
            ) from error
        finally:
            for part, mode in modes:
                part.training = mode
    return path


class _FixedMaps(TorchFunctionMode):
    """Heights and widths of maps (N, K, H, W) are plain numbers while a graph is traced; N stays free.

    A network that pads by them ('same', as EfficientNet-lite does) would write the arithmetic into its graph, where it
    is done again for every image and keeps ONNX Runtime from joining the padding with the convolution behind it.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func in _SIZES and isinstance(found, tuple) and len(found) == 4:
            return (*found[:2], int(found[2]), int(found[3]))
        return found


_SIZES = (Tensor.size, Tensor.shape.__get__)  # type: ignore[attr-defined]  # a descriptor of C


def _first_line(error: Exception) -> str:
    """What torch says of an operation, without its advice to open an issue there."""
    return str(error).strip().splitlines()[0].partition(" Please feel free")[0].rstrip(".") + "."


def exportable(module: nn.Module) -> bool:
    """Whether torch can export a module: no part of it says that it cannot."""
    return all(getattr(part, "exportable", True) for part in module.modules())


def graph_session(content: bytes, *, origin: str, threads: int) -> onnxruntime.InferenceSession:
    """Open a graph from its bytes on the CPU with so many threads; `origin` is what an error calls it.

    Raises:
        UserError: where the bytes are no readable graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait in a loop for their next piece keep the cores from whoever has work: without it two processes on
    # two cores made 1.36 times the images per second (lite0@160, batches of 64), and one on a busy machine 1.27 times.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what fails is raised; hints about folded constants are of no use to anyone
    try:
        return onnxruntime.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"])
    except _NO_GRAPH as error:
        raise UserError(f"{origin} is no readable ONNX graph ({error}): export or fetch it again.") from error
