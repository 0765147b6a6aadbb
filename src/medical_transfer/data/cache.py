"""The image cache: every image decoded once, at training size, in a memory map beside its audit.

A cache is a folder named by what went into it (`runtime.stage`): found rows, content of all files, and the parameters
that shape pixels or rows. Other content or another size is another folder; where images lie is not part of the name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.audit import audit, will_be_read
from medical_transfer.data.manifest import manifest_rows
from medical_transfer.data.readers import Reader, open_reader
from medical_transfer.data.tables import text
from medical_transfer.runtime.files import read_json, reserve, write_json
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.types import UserError

SHAPING = {
    "size",
    "fit",
    "sixteen_bit",
    "min_side",
    "max_pixels",
    "classes",
    "group_pattern",
    "group_block",
    "site",
    "limit",
}
"""Fields of `Images` that shape pixels or rows. Where the files lie and who decodes them does not."""

MODULES = tuple(
    f"medical_transfer.data.{name}"
    for name in (
        "ahead",
        "audit",
        "cache",
        "decode",
        "decoder_apart",
        "dicom",
        "dicom_bytes",
        "dicom_facts",
        "dicom_file",
        "dicom_grey",
        "dicom_pixels",
        "dicom_rows",
        "folders",
        "label_check",
        "manifest",
        "npz",
        "omniglot",
        "pseudonyms",
        "readers",
        "tables",
        "zipped_arrays",
    )
)


@dataclass(frozen=True)
class ImageCache:
    """A handle to one cache; it holds only the folder, so it is cheap to copy and to pickle.

    `meta.json`: size, fit, sixteen_bit, n, key, fingerprint (of the content of the files).
    """

    folder: Path

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Facts about the cache as a whole."""
        content: dict[str, Any] = read_json(self.folder / "meta.json")
        return content

    @property
    def key(self) -> str:
        """Content key."""
        return str(self.meta["key"])

    @cached_property
    def _audit(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "audit.parquet")

    @property
    def audit(self) -> pd.DataFrame:
        """One row per file found (`types.AUDIT_COLUMNS`, then own columns), row i for slot i; a copy."""
        return self._audit.copy()

    @cached_property
    def pixels_NSS3(self) -> NDArray[np.uint8]:  # noqa: N802 - the house's shapes in names
        """Read-only memory map, uint8; slots of images that were not read or are quarantined are black."""
        n, size = self.meta["n"], self.meta["size"]
        if n == 0:
            return np.empty((0, size, size, 3), dtype=np.uint8)
        pixels: NDArray[np.uint8] = np.load(self.folder / "pixels.npy", mmap_mode="r")
        return pixels

    @cached_property
    def _ids_in_order(self) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
        """Identities, sorted, as bytes of one length (a fraction of the memory of as many texts), and their slots."""
        ids_N = _as_bytes(pd.read_parquet(self.folder / "audit.parquet", columns=["image_id"])["image_id"])
        slots_N = np.argsort(ids_N)
        return ids_N[slots_N], slots_N

    def slots(self, image_ids: Iterable[str]) -> NDArray[np.int64]:
        """Slot of each image, shape (N,).

        Raises:
            UserError: an image is not in this cache.
        """
        wanted_N = _as_bytes(image_ids)
        known_M, slots_M = self._ids_in_order
        places_N = np.searchsorted(known_M, wanted_N)
        missing_N = np.ones(len(wanted_N), dtype=bool)
        inside_N = places_N < len(known_M)
        missing_N[inside_N] = known_M[places_N[inside_N]] != wanted_N[inside_N]
        if missing_N.any():
            raise UserError(
                f"{missing_N.sum()} of {len(wanted_N)} images (first: {wanted_N[missing_N][0].decode()}) are not in "
                f"the image cache {self.folder}: manifest and cache are of different data; run the pipeline from "
                "ingestion."
            )
        return slots_M[places_N]

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}


def _as_bytes(image_ids: Iterable[str]) -> NDArray[np.bytes_]:
    return np.array([image_id.encode("utf-8") for image_id in image_ids], dtype=np.bytes_)


def build_image_cache(
    images: Images,
    packages_folder: Path,
    root: Path,
    *,
    seed: int = 0,
    need_labels: bool = True,
    drop_labels: bool = False,
) -> ImageCache:
    """Audit and cache the images below `root`, or return the cache that is there already.

    Args:
        images: which images, and how their pixels are read.
        packages_folder: where the wheels are kept.
        root: where the caches are kept.
        seed: draws the rows of `images.limit`.
        need_labels: quarantine rows without a label or with contradicting ones.
        drop_labels: forget all labels before anything looks at them; then they cannot be needed.

    Raises:
        UserError: the source of the images is not as expected (see the readers), or the disk is full.
    """
    reader = open_reader(images, packages_folder, need_labels=need_labels, scratch_folder=root)
    found = _unlabelled(reader.find()) if drop_labels else reader.find()
    rows = manifest_rows(found, images, seed=seed, need_labels=need_labels)
    fingerprint = reader.fingerprint()
    key = content_key(
        inputs={
            "rows": frame_hash(rows),
            "files": fingerprint,
            "need_labels": need_labels,
            "images": images.model_dump(mode="json", include=SHAPING),
            "pillow": PIL.__version__,
            **_dicom_facts(images),
        },
        parameters=(),
        modules=MODULES,
    )
    write = partial(_write, rows=rows, reader=reader, images=images, facts=(key, fingerprint), need_labels=need_labels)
    return ImageCache(once(root, key, write))


def _dicom_facts(images: Images) -> dict[str, Any]:
    """What shapes the pixels of DICOM files only; where the salt lies does not, and what it is shows in the rows."""
    if images.kind != "dicom":
        return {}
    decoders = {name: version(name) for name in ("pydicom", "python-gdcm")}
    return {"dicom": images.dicom.model_dump(mode="json", exclude={"salt"}), "decoders": decoders}


def _unlabelled(found: pd.DataFrame) -> pd.DataFrame:
    return found.assign(label=text([None] * len(found)))


def _write(
    folder: Path, rows: pd.DataFrame, reader: Reader, images: Images, facts: tuple[str, str], *, need_labels: bool
) -> None:
    pixels_NSS3 = _reserve(folder / "pixels.npy", will_be_read(rows), images.size)
    frame = audit(rows, reader, images, pixels_NSS3, need_labels=need_labels)
    if isinstance(pixels_NSS3, np.memmap):
        pixels_NSS3.flush()
    frame.to_parquet(folder / "audit.parquet", index=False)
    shape = images.model_dump(mode="json", include={"size", "fit", "sixteen_bit"})
    write_json(folder / "meta.json", {**shape, "key": facts[0], "fingerprint": facts[1], "n": len(frame)})


def _reserve(path: Path, used_N: NDArray[np.bool_], size: int) -> NDArray[np.uint8]:
    """A writable map with disk space for the used slots taken now: a disk that fills later would kill the process.

    Slots that are not used take no space.

    Raises:
        OSError: no space left on the disk.
    """
    shape = (len(used_N), size, size, 3)
    if not len(used_N):
        np.save(path, np.empty(shape, dtype=np.uint8))
        return np.empty(shape, dtype=np.uint8)
    slot_bytes = size * size * 3
    if shutil.disk_usage(path.parent).free < int(used_N.sum()) * slot_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    pixels_NSS3 = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    with path.open("r+b") as file:
        for slot in np.flatnonzero(used_N).tolist():
            reserve(file, slot_bytes, pixels_NSS3.offset + slot * slot_bytes)
    return pixels_NSS3


def frame_hash(rows: pd.DataFrame) -> str:
    """Hash of a table's names and values."""
    return hashlib.sha256(rows.to_csv(index=False, na_rep="\0").encode("utf-8")).hexdigest()
