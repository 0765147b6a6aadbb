"""New images for a finished model: what kind of source a path is, and how a model wants it read.

A new kind of source is its line in `KINDS` and its name in `config.predict.NewKind`, beside what `data/readers.py` asks
for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from medical_transfer.config.dicom import Dicom
from medical_transfer.config.images import Images, SixteenBit
from medical_transfer.config.predict import Predict
from medical_transfer.config.validate import Validate
from medical_transfer.data.manifest import manifest_rows
from medical_transfer.data.readers import open_reader
from medical_transfer.data.tables import text
from medical_transfer.types import UserError


@dataclass(frozen=True)
class Kind:
    """How one kind of source is known by its path, and which field of `Images` takes the path."""

    fits: Callable[[Path], bool]
    place: str = "root"


KINDS: Mapping[str, Kind] = {
    "npz": Kind(lambda path: path.suffix.lower() == ".npz"),
    "table": Kind(lambda path: path.suffix.lower() in {".csv", ".parquet", ".pq"}, place="table"),
    "dicom": Kind(lambda path: path.is_dir() and any(each.suffix.lower() == ".dcm" for each in path.rglob("*.*"))),
    "folder": Kind(Path.is_dir),
}
"""Kind of a source -> how it is known; the first that fits is taken."""

READING = ("sixteen_bit", "dicom")
"""What is as in the model's training, unless it is asked for."""

_FIELD = re.compile(
    r"(?<![\w./\\-])images\.(kind|root|table|group_pattern|group_block|sixteen_bit|dicom|min_side|max_pixels|workers|classes)\b"
)


class Wants(NamedTuple):
    """How a model wants its images: side in pixels, how an oblong one becomes square, how more than 8 bits become 8."""

    size: int
    fit: Literal["squash", "pad"]
    sixteen_bit: SixteenBit
    dicom: Dicom = Dicom()


class Pictures(Protocol):
    """What prediction asks of a source of images: any reader has it."""

    def read(self, path: str) -> bytes | NDArray[Any] | Image.Image:
        """One image, as `Reader.read` or opened by Pillow."""
        ...

    def fingerprint(self) -> str:
        """Hash of the content of all images."""
        ...


@dataclass(frozen=True)
class NewImages:
    """Rows of new images in the order found, and what reads their pixels; `block` is the block of parameters."""

    rows: pd.DataFrame
    reader: Pictures
    images: Images
    block: str = "predict"


def find_new_images(asked: Predict, wants: Wants, *, packages: Path, scratch: Path | None, block: str) -> NewImages:
    """Find new images, to be read as a model wants them unless another rule for 16 bits is asked for.

    Sub-folders of a folder are places, not classes, unless labels are asked for (`Validate`).

    Raises:
        UserError: there is nothing to read, its kind is not known, or a table or archive is not as expected.
    """
    kind, path = kind_of(asked, block)
    place = "table" if kind == "dicom" and KINDS["table"].fits(path) else KINDS[kind].place
    with naming_parameters_of(block, place):
        images = Images.model_validate(
            {
                "kind": kind,
                "root": asked.root,
                place: path,
                **asked.model_dump(include={"group_pattern", "group_block", "min_side", "max_pixels", "workers"}),
                **asked.model_dump(include={"classes"}),
                **wants._asdict(),
                **{name: value for name in READING if (value := getattr(asked, name)) is not None},
            }
        )
        reader = open_reader(images, packages, need_labels=False, scratch_folder=scratch)
        found = reader.find()
        if kind == "folder" and not isinstance(asked, Validate):
            found = found.assign(label=text([None] * len(found)), split=text([None] * len(found)))
        return NewImages(manifest_rows(found, images, need_labels=False), reader, images, block)


def kind_of(asked: Predict, block: str) -> tuple[str, Path]:
    """The kind of source that is asked for, or that the path tells; and the path.

    Raises:
        UserError: there is no path, nothing is there, or it tells no kind.
    """
    path = asked.images
    if path is None:
        raise UserError(f"{block}.images is not set: name a folder, a table or an npz file of new images.")
    if not path.exists():
        raise UserError(
            f"{block}.images is {path}, which does not exist: name a folder, a table or an npz file (a comma in "
            "--params ends a value: write such a path in quotes into conf/local/parameters.yml)."
        )
    if asked.kind is not None:
        return asked.kind, path
    kind = next((name for name, kind in KINDS.items() if kind.fits(path)), None)
    if kind is None:
        raise UserError(
            f"{block}.images is {path}, expected a folder, a table (.csv, .parquet) or an .npz file: put single images "
            f"into a folder, or say by {block}.kind what it is ({', '.join(KINDS)})."
        )
    return kind, path


def in_words_of(block: str, sentence: str, place: str = "root") -> str:
    """A sentence that speaks of `images.<field>`, with the parameters of a block of new images.

    `place` is the field that `<block>.images` stands for.
    """
    return _FIELD.sub(lambda found: f"{block}.{'images' if found.group(1) == place else found.group(1)}", sentence)


@contextmanager
def naming_parameters_of(block: str, place: str = "root") -> Iterator[None]:
    """Errors of the readers speak of `images.<field>`; let them name the block of new images.

    Raises:
        UserError: the one that was raised inside, in the words of the block.
    """
    try:
        yield
    except UserError as error:
        raise UserError(in_words_of(block, str(error), place)) from error
    except ValidationError as error:
        fault = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(in_words_of(block, f"{fault}.", place)) from error
