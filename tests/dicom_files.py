"""DICOM files made for a test, through pydicom."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from medical_transfer.data.dicom_file import silent_pydicom


def data_set(pixels: np.ndarray | None, *, bits: int | None = None, photometric: str | None = None, **tags: Any):
    """A data set in memory; pixels are (H, W), under `RGB` (H, W, 3), or with frames before, unsigned or signed."""
    silent_pydicom()  # else it refuses to write what hostile files hold
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    made.set_original_encoding(False, True)
    made.SOPClassUID = SecondaryCaptureImageStorage
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    made.Modality = "OT"
    if pixels is not None:
        colour = photometric in ("RGB", "YBR_FULL")
        rows_columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
        made.Rows, made.Columns = rows_columns
        made.SamplesPerPixel = 3 if colour else 1
        if colour:
            made.PlanarConfiguration = 0
        made.PhotometricInterpretation = photometric or "MONOCHROME2"
        made.BitsAllocated = 8 * pixels.dtype.itemsize
        made.BitsStored = bits or made.BitsAllocated
        made.HighBit = made.BitsStored - 1
        made.PixelRepresentation = int(pixels.dtype.kind == "i")
        if pixels.ndim > 2 + colour:
            made.NumberOfFrames = len(pixels)
        raw = pixels.tobytes()
        made.add_new("PixelData", "OW" if pixels.dtype.itemsize > 1 else "OB", raw + bytes(len(raw) % 2))
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def written(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=False)
    return buffer.getvalue()


def put_dicom(path: Path, pixels: np.ndarray | None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written(data_set(pixels, **options)))
    return path
