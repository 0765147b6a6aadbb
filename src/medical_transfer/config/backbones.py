"""Where pretrained weights that do not come with the project are found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from medical_transfer.config.base import Block, UserPath

Triple = tuple[float, float, float]

JOIN = "+"
"""Joins the names of sources whose features stand side by side as one source."""


class OwnSource(Block):
    """A checkpoint of your own: one entry `name: {path, architecture, ...}`."""

    path: UserPath
    """A `.safetensors` file, a torch file that holds nothing but tensors, or an `.onnx` graph."""
    architecture: str
    """`torchvision/<name>` or `timm/<name>`; `onnx` for a graph, which is built with `model.freeze=all` only."""
    classes: int | None = Field(default=1000, ge=1)
    """Outputs of the checkpoint's own last layer; null: the file ends before the last layer."""
    match: Literal["names", "order", "children"] = "names"
    """Tensors belong to the network's by name; by position where the names are another library's; or by names that
    begin with the number of a child module (`nn.Sequential(*network.children())` was saved)."""
    prefix: str = ""
    """What stands before every name in the file, e.g. `module.`."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Checksum of the file; null: not checked."""
    domain: str = "unknown"
    """What the network was trained on, in words."""
    licence: str = "unknown"
    """Licence of the weights, for the model card."""
    size: int = Field(default=224, ge=16, le=2048)
    """Side in pixels at which the network was trained."""
    mean: Triple = (0.485, 0.456, 0.406)
    """Mean of each channel for pixels in [0, 1], in the order of `channels`."""
    std: Triple = (0.229, 0.224, 0.225)
    """Standard deviation of each channel, likewise."""
    channels: Literal["RGB", "BGR"] = "RGB"
    """Order of the channels that the network was trained on."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """How the images were resized in its training."""
    source_accuracy: float | None = Field(default=None, ge=0, le=1)
    """Accuracy on its own task, if known."""
    output: str = "features"
    """Of an ONNX graph: the output that holds the features, one vector per image."""

    @field_validator("std")
    @classmethod
    def _std_divides(cls, std: Triple) -> Triple:
        if min(std) <= 0:
            raise ValueError(f"std={std} cannot divide: every channel needs a number above 0")
        return std


class Backbones(Block):
    """Folders with weights, and your own checkpoints by name."""

    weights_root: UserPath | None = None
    """A folder of weights with an `index.json`; each file in it becomes a source named like the file."""
    downloads: UserPath | None = None
    """Folder with the files that torchvision, timm and research groups publish; null: torch's own cache."""
    allow_download: bool = False
    """Fetch missing files of these; false: a missing file stops the run with its address."""
    own: dict[str, OwnSource] = Field(default={})
    """Your own checkpoints: name -> file, architecture, preprocessing."""

    @field_validator("own")
    @classmethod
    def _names_are_of_one(cls, own: dict[str, OwnSource]) -> dict[str, OwnSource]:
        joined = [name for name in own if JOIN in name]
        if joined:
            raise ValueError(f"{joined[0]!r} has a {JOIN}, which joins names of sources: name the entry without it")
        return own
