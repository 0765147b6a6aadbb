"""Where the tensors of a source come from: one type per kind of place. `weight_files.py` reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from medical_transfer.data.packages import Package
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError

Match = Literal["names", "order", "children"]
"""How a file's tensors find those of the network: by name; by position where the names are another library's; or by
names that begin with the number of a child module, as `nn.Sequential(*network.children())` makes them."""

NO_CHECKSUM = "its checksum is not published"


@dataclass(frozen=True, slots=True)
class WheelMember:
    """A torch file inside a pinned wheel; its tensors fit by position."""

    package: Package
    member: str
    match: ClassVar[Match] = "order"
    has_head: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A file in a folder of the user's: safetensors, or a torch file of tensors."""

    path: Path
    sha256: str | None = None
    match: Match = "names"
    prefix: str = ""
    has_head: bool = True


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file that torchvision publishes; its name ends with the first digits of its sha256."""

    url: str
    match: ClassVar[Match] = "names"
    has_head: ClassVar[bool] = True

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]

    @property
    def sha256_prefix(self) -> str:
        """First digits of the checksum, which the name ends with; empty where it does not."""
        found = re.search(r"-([0-9a-f]{8,})\.pth$", self.file)
        return found.group(1) if found else ""

    @property
    def checksum(self) -> str:
        """What is known of the checksum, in words."""
        return f"its sha256 begins with {self.sha256_prefix}" if self.sha256_prefix else NO_CHECKSUM


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """A torch file that a research group released; `file` is its path in the folder of downloads.

    `sha256` is stated for it where it can be fetched, or was recorded by others who did; null: neither. `prefix` stands
    before every name in it.
    """

    file: str
    url: str
    sha256: str | None = None
    match: Match = "names"
    prefix: str = ""
    has_head: bool = True

    @property
    def sha256_prefix(self) -> str:
        """The checksum; empty where there is none."""
        return self.sha256 or ""

    @property
    def checksum(self) -> str:
        """What is known of the checksum, in words."""
        return f"its sha256 is {self.sha256}" if self.sha256 else NO_CHECKSUM


@dataclass(frozen=True, slots=True)
class TimmFile:
    """Weights that timm publishes under the name of a network; the hub states no checksum."""

    name: str
    match: ClassVar[Match] = "names"
    has_head: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Untrained:
    """No weights: the network as it was initialised by the stream of this name."""

    stream: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A source that exists only as an ONNX graph: frozen features at a named output."""

    architecture: ClassVar[str] = "onnx"
    """Stands where other sources and models name the network that rebuilds them."""
    path: Path
    sha256: str | None = None
    output: str = "features"


Weights = WheelMember | TensorFile | PublishedFile | ReleasedFile | TimmFile | Untrained | Graph


def fingerprint(weights: Weights) -> str:
    """What identifies the tensors, for content keys and model cards; hashes a file that states no checksum."""
    match weights:
        case WheelMember(package=package, member=member):
            return f"sha256:{package.sha256}/{member}"
        case TensorFile() | Graph():
            return f"sha256:{weights.sha256 or sha256_of(existing(weights.path))}"
        case PublishedFile():
            return weights.file
        case ReleasedFile():
            return f"sha256:{weights.sha256}" if weights.sha256 else weights.url
        case TimmFile(name=name):
            return f"timm:{name}"
        case Untrained(stream=stream):
            return f"untrained:{stream}"


def checked(path: Path, sha256: str | None) -> Path:
    """Return `path` after comparing its checksum; null: only that it exists.

    Raises:
        UserError: where the file is missing or its checksum differs.
    """
    existing(path)
    if sha256 is not None and (found := sha256_of(path)) != sha256:
        raise UserError(
            f"{path} has sha256 {found}, expected {sha256}: the file is damaged or another one. Fetch it again."
        )
    return path


def existing(path: Path) -> Path:
    """Return `path` where it is a file.

    Raises:
        UserError: where it is not.
    """
    if not path.is_file():
        raise UserError(f"Weights {path.name} are missing: expected the file {path}. Put it there or correct the path.")
    return path
