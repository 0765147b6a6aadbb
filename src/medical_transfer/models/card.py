"""The model card: what stands beside the weights of a trained model. Reading it imports no torch.

A card carries a checksum of its own content, so that a threshold or class name that was edited by hand is noticed
wherever the model's folder was copied to.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from medical_transfer.config.augmentation import Symmetry
from medical_transfer.config.base import Block
from medical_transfer.config.dicom import Dicom
from medical_transfer.config.images import SixteenBit
from medical_transfer.data.new_images import Wants
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.source import Fused, Source
from medical_transfer.runtime.files import read_json, sha256_of, write_json
from medical_transfer.runtime.stage import MARK
from medical_transfer.types import UserError

CARD_FILE = "model.json"
EPOCHS = "epochs"
"""Folder beside a model that holds the network of every epoch, where `training.keep_epochs` asks for them."""
WEIGHTS_FILE = "model.safetensors"
CHECKSUM = "card_sha256"


def current_versions() -> dict[str, str]:
    """Versions of this package and of the libraries that rebuild a network."""
    libraries = {name: version(name) for name in ("torch", "torchvision", "timm", "onnxruntime")}
    return {"medical_transfer": version("medical-transfer"), **libraries}


class MemberCard(Block):
    """One of the sources that stand side by side in a model."""

    source: str
    """Name in the registry."""
    source_domain: str
    """What it was trained on, in words."""
    source_fingerprint: str
    """What identifies its tensors."""
    source_parameters: int | None = None
    """Number of parameters as published, with its own head."""
    architecture: str
    """Name that rebuilds its trunk; `onnx` where it is a graph."""
    graph_output: str | None = None
    """Of a graph: the output that holds the features."""
    preprocessing: Preprocessing
    """What it expects; the model does it itself."""
    weights_licence: str


class ModelCard(Block):
    """Everything needed to rebuild, apply and judge a trained model, beside its tensors."""

    kind: str
    """Kind of training: finetune, dann, distill, ..."""
    selection: str = "source"
    """What picked the epoch: `source` is the validation AUROC, the others are scores without labels of the target."""
    source: str
    """Name of the pretrained source in the registry."""
    source_domain: str = "unknown"
    """What it was trained on, in words."""
    source_parameters: int | None = None
    """Number of its parameters as published, with its own head."""
    source_fingerprint: str
    """What identifies the source's tensors."""
    architecture: str
    """Name that rebuilds the trunk without the source's weights; `onnx` where it is a graph, `fused` where several
    stand side by side."""
    members: tuple[MemberCard, ...] = ()
    """The sources that stand side by side, in the order of their features; of one source none."""
    features: int | None = None
    """Length of a feature vector. Filled in when the model is saved."""
    head: str
    dropout: float = Field(ge=0, lt=1)
    classes: tuple[str, ...] = Field(min_length=2)
    """Class names in the order of the logits."""
    positive_class: str | None = None
    """Of two classes, the one whose probability the threshold is for."""
    preprocessing: Preprocessing
    """What the source expects; the model does it itself."""
    size: int = Field(ge=1)
    """Side in pixels of the images that it was trained on."""
    fit: Literal["squash", "pad"]
    """How an oblong image became square."""
    sixteen_bit: SixteenBit = "quarantine"
    """How more than 8 bits became 8."""
    dicom: Dicom = Dicom()
    """How DICOM files were read, where it was trained on such; the salt is no part of it."""
    symmetries: tuple[Symmetry, ...] = ()
    """Mirror images over which a prediction is averaged, beside the image itself."""
    temperature: float = Field(default=1.0, gt=0)
    """Logits are divided by it before the softmax; fitted on validation."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """Decision threshold on the calibrated probability of the positive class; fitted on validation."""
    split_hash: str
    """Identity of the split: models are only compared on the same one."""
    data_fingerprint: str
    """Identity of the images."""
    data_licence: str
    weights_licence: str
    number_formats: dict[str, str] = Field(default={})
    """Phase of training -> number and memory format that it ran in."""
    versions: dict[str, str] = Field(default_factory=current_versions)
    """Versions of this package and of the libraries that rebuild the network."""
    graph_output: str | None = None
    """Of a trunk that is an ONNX graph (architecture `onnx`; its bytes are among the tensors): the output that holds
    the features. Filled in when the model is saved."""
    sha256: str = ""
    """Checksum of the tensors' file; filled in when the model is saved."""
    reference_sha256: str = ""
    """Checksum of the file of features that the model saw; empty where there is none."""
    card_sha256: str = ""
    """Checksum of everything else in the card; filled in when it is written."""

    @property
    def wants(self) -> Wants:
        """How images become the model's pixels."""
        return Wants(self.size, self.fit, self.sixteen_bit, self.dicom)

    @model_validator(mode="after")
    def _classes_are_told_apart(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes={self.classes} has a name twice")
        if self.positive_class is not None and self.positive_class not in self.classes:
            raise ValueError(f"positive_class={self.positive_class!r} is none of {self.classes}")
        return self

    @model_validator(mode="after")
    def _members_stand_side_by_side(self) -> Self:
        fewest = 2 if self.architecture == Fused.architecture else 0
        if len(self.members) < fewest or (self.members and not fewest):
            raise ValueError(f"architecture={self.architecture} with {len(self.members)} members")
        return self


def source_facts(source: Source) -> dict[str, Any]:
    """What a card says of the source that a model stands on, by the names of its fields."""
    members = source.parts if isinstance(source.weights, Fused) else ()
    outputs = [getattr(member.weights, "output", None) for member in members]
    cards = [MemberCard(**_facts_of(m), graph_output=output) for m, output in zip(members, outputs, strict=True)]
    return {**_facts_of(source), "members": tuple(cards)}


def write_card(folder: Path, card: ModelCard) -> ModelCard:
    """Write a card with the checksum of its content, whole or not at all; return it as written."""
    content = card.model_dump(mode="json")
    content[CHECKSUM] = _checksum(content)
    write_json(folder / CARD_FILE, content)
    return card.model_copy(update={CHECKSUM: content[CHECKSUM]})


def read_card(folder: Path) -> ModelCard:
    """Read the card of the model in a folder.

    Raises:
        UserError: where there is no model, or its card is not one or was edited since it was written.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        raise UserError(f"{folder} holds no model: expected {CARD_FILE} and {WEIGHTS_FILE} in it. Correct the path.")
    try:
        content = read_json(path)
        card = ModelCard.model_validate(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no readable JSON ({error}): {remedy(folder)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the card"
        raise UserError(
            f"{path} is no card of this version ({where}: {first['msg']}): if another version wrote it, use that one, "
            f"else {remedy(folder)}"
        ) from error
    if card.card_sha256 != _checksum(content):
        raise UserError(
            f"{path} was edited since it was written (its content has another checksum than its {CHECKSUM}): undo "
            f"the edit, or {remedy(folder)} Thresholds and class names are set by the parameters of a run."
        )
    return card


def read_card_of_whole(folder: Path) -> ModelCard:
    """Read the card of a model whose tensors are there and as they were saved.

    Raises:
        UserError: as `read_card`, and where the tensors' file is missing or was changed since it was saved.
    """
    card, path = read_card(folder), folder / WEIGHTS_FILE
    if not path.is_file():
        raise UserError(f"{path} is missing: {remedy(folder)}")
    if sha256_of(path) != card.sha256:
        raise UserError(f"{path} has another sha256 than {CARD_FILE} says, so it is damaged: {remedy(folder)}")
    return card


def remedy(folder: Path) -> str:
    """What to do where the model in a folder is damaged: a run's own result is made again, a copy is copied again."""
    if (folder / MARK).exists():
        return f"delete the folder {folder} and give the same command again, which trains this model again."
    return f"copy the whole model again to {folder} from where it was trained."


def _facts_of(source: Source) -> dict[str, Any]:
    return {
        "source": source.name,
        "source_domain": source.domain,
        "source_fingerprint": source.fingerprint,
        "source_parameters": source.parameters,
        "architecture": source.architecture,
        "preprocessing": source.preprocessing,
        "weights_licence": source.licence,
    }


def _checksum(content: dict[str, Any]) -> str:
    """Checksum of a card's content, whatever the order and layout of its file."""
    facts = {name: value for name, value in content.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class TrainedModel:
    """Handle to a trained model's folder; it holds only the path, so it is cheap to copy and to pickle."""

    folder: Path

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return read_card(self.folder)
