"""Sources of a weights folder: its `index.json` says in words what each file is, this file understands the words.

An entry has `file, sha256, architecture, source_domain, preprocessing, licence, params, input_size`. The words are
matched against the few forms known here, never evaluated.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from medical_transfer.config.backbones import JOIN
from medical_transfer.models.preprocessing import Preprocessing, Triple
from medical_transfer.models.source import Source
from medical_transfer.models.weights import Graph, TensorFile
from medical_transfer.runtime.files import read_json
from medical_transfer.types import UserError

INDEX = "index.json"

_TORCHVISION = re.compile(r"torchvision\.models\.(\w+)\(num_classes=(\d+)\)(.*)")
_LEAKY = " with every nn.ReLU replaced by nn.LeakyReLU(0.55)"
_CIFAR_RESNET = (
    "timm.models.resnet.ResNet(timm.models.resnet.BasicBlock, layers=({n},{n},{n}), channels=(16,32,64), "
    "num_classes={classes}, stem_type='deep', stem_width=8) then conv1=nn.Conv2d(3,16,3,1,1,bias=False), "
    "bn1=nn.BatchNorm2d(16), maxpool=nn.Identity(), layer4=nn.Identity()"
)
_NUMBER = r"(\[[-\d., ]+\]|[\d.]+)"


def read_index(weights_root: Path) -> dict[str, Source]:
    """Sources of a folder by the stems of their files, in the order of its index.

    Raises:
        UserError: where the index is missing, is no such list, or describes a file in words unknown here.
    """
    path = weights_root / INDEX
    if not path.is_file():
        raise UserError(f"{path} is missing: backbones.weights_root must be a folder of weights with an {INDEX}.")
    try:
        sources = [_source(weights_root, entry) for entry in read_json(path)]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no list of weights ({error!r}): see {__name__} for the fields.") from error
    return {source.name: source for source in sources}


def _source(folder: Path, entry: dict[str, Any]) -> Source:
    file = Path(entry["file"])
    if file.name != entry["file"]:
        raise UserError(f"{folder / INDEX} names {entry['file']!r}: expected a file in the folder itself.")
    if JOIN in file.stem:
        raise UserError(f"{folder / INDEX} names {file}: a {JOIN} joins names of sources, so rename the file there.")
    path, sha256 = folder / file, entry["sha256"]
    if file.suffix == ".onnx":
        architecture, classes = Graph.architecture, 0
        weights: Graph | TensorFile = Graph(path=path, sha256=sha256)
    else:
        architecture, classes = _architecture(entry["architecture"], path)
        weights = TensorFile(path=path, sha256=sha256)
    return Source(
        name=file.stem,
        domain=entry["source_domain"],
        architecture=architecture,
        weights=weights,
        preprocessing=_preprocessing(entry["preprocessing"], entry["input_size"], path),
        licence=entry["licence"],
        classes=classes,
        parameters=entry["params"],
    )


def _architecture(words: str, path: Path) -> tuple[str, int]:
    """Name of the architecture and number of classes that the words of an index mean."""
    if found := _TORCHVISION.fullmatch(words):
        name, classes, rest = found[1], int(found[2]), found[3]
        if not rest:
            return f"torchvision/{name}", classes
        if (name, rest) == ("squeezenet1_1", _LEAKY):
            return "house/squeezenet1_1_leaky", classes
    numbers = re.search(r"layers=\((\d+),.*num_classes=(\d+)", words)
    if numbers and words == _CIFAR_RESNET.format(n=numbers[1], classes=numbers[2]):
        return f"house/resnet{6 * int(numbers[1]) + 2}_cifar", int(numbers[2])  # He et al. 2016: 6n + 2 layers
    raise UserError(
        f"The architecture of {path} is described as {words!r}, which is unknown here: "
        "expected torchvision.models.<name>(num_classes=<n>). Name it as an entry of backbones.own instead."
    )


def _preprocessing(words: str, size: int, path: Path) -> Preprocessing:
    channels = words[:3]
    mean, std = _statistic("mean", words), _statistic("std", words)
    if channels not in ("RGB", "BGR") or "[0,1]" not in words or mean is None or std is None:
        raise UserError(
            f"The preprocessing of {path} is described as {words!r}: expected RGB or BGR, [0,1], and a mean and std "
            "(or 'no mean', 'no std')."
        )
    return Preprocessing(
        mean=mean,
        std=std,
        channels="BGR" if channels == "BGR" else "RGB",
        size=size,
        interpolation="bicubic" if "bicubic" in words else "bilinear",
    )


def _statistic(name: str, words: str) -> Triple | None:
    """`mean .5`, `std [a,b,c]`, or `no mean` (0) and `no std` (1)."""
    if f"no {name}" in words:
        return (0.0, 0.0, 0.0) if name == "mean" else (1.0, 1.0, 1.0)
    if not (found := re.search(rf"\b{name} {_NUMBER}", words)):
        return None
    values = [float(number) for number in found[1].strip("[]").split(",")]
    if len(values) == 1:
        values *= 3
    return (values[0], values[1], values[2]) if len(values) == 3 else None
