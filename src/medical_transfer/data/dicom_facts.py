"""What the rows of a DICOM file take from its header: the group as a pseudonym, how it lies, what to keep back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from medical_transfer.config.dicom import Dicom
from medical_transfer.data.dicom_file import DicomFile, modality_of, telling_nothing
from medical_transfer.data.dicom_pixels import functional_group
from medical_transfer.data.pseudonyms import pseudonym

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

VIEWS = ("AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "ML", "MLO", "LM", "LMO", "CC", "XCCL", "XCCM")
"""View positions that may be repeated; other text could be anything."""
IDENTIFIERS = ("PatientID", "PatientName", "AccessionNumber", "PatientBirthDate", "OtherPatientIDs", "StudyID")
"""Tags whose content a table must not bring in by another way."""
COARSER = {
    "patient": (("patient", "PatientID"), ("name", "PatientName"), ("study", "StudyInstanceUID")),
    "study": (("study", "StudyInstanceUID"),),
    "series": (),
}
"""What makes a group, in turn, before the series and the file itself."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Of one file: its frames, the pseudonym of its group, columns for its rows, and its identifiers in clear.

    A file that cannot be used has one row, and tells nothing.
    """

    frames: int = 1
    group: str | None = None
    columns: dict[str, str | None] = field(default_factory=dict)
    identifiers: tuple[str, ...] = field(default=(), repr=False)


def facts_of(file: DicomFile, key: bytes, dicom: Dicom) -> FileFacts:
    """Facts of a file that was found fit."""
    with telling_nothing("its DICOM header cannot be read"):
        header = file.header
        columns = {
            "dicom_modality": modality_of(header),
            "dicom_view": view if (view := str(header.get("ViewPosition", ""))) in VIEWS else None,
            "dicom_orientation": orientation(header),
        }
        identifiers = tuple(text for name in IDENTIFIERS for text in _words(header.get(name)))
        return FileFacts(file.frames, _group(header, key, dicom, file.frames), columns, identifiers)


def _group(header: FileDataset, key: bytes, dicom: Dicom, frames: int) -> str | None:
    """Pseudonym of the patient, study or series; of several frames without any of these, of the file."""
    tags = [*COARSER[dicom.group], ("series", "SeriesInstanceUID")]
    if frames > 1:
        tags.append(("file", "SOPInstanceUID"))
    for kind, tag in tags:
        text = str(header.get(tag) or "").strip().casefold()
        if text.strip("^ "):
            return f"{kind}-{pseudonym(key, kind, text)}"
    return None


def orientation(header: FileDataset) -> str | None:
    """Where the rows and the columns of an image lead, for example `L/P` (to the patient's left, to the back).

    From Image Orientation (Patient), the nearest axis of each direction (C.7.6.2.1.1: x to the left, y to the back, z
    to the head), else from Patient Orientation where it holds nothing but letters of the standard.
    """
    found = functional_group(header, 0, "PlaneOrientationSequence").get("ImageOrientationPatient")
    if found is not None and len(found) == 6:
        cosines_23 = np.array([float(value) for value in found]).reshape(2, 3)
        axes_2 = np.abs(cosines_23).argmax(axis=1)
        return "/".join(
            "LPH"[axis] if row[axis] > 0 else "RAF"[axis] for row, axis in zip(cosines_23, axes_2, strict=True)
        )
    letters = header.get("PatientOrientation")
    words = [str(word) for word in letters] if letters is not None and not isinstance(letters, str) else []
    return "/".join(words) if len(words) == 2 and all(word and set(word) <= set("LRAPHF") for word in words) else None


def _words(value: Any) -> list[str]:
    """An identifier as it may be written: as it stands, and a name also with blanks, in both orders."""
    if value is None:
        return []
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    words = []
    for each in values:
        parts = [part for part in str(each).replace("=", "^").split("^") if part.strip()]
        words += [str(each), " ".join(parts), " ".join(reversed(parts)), *(part for part in parts if len(part) > 4)]
    return sorted({word.strip().casefold() for word in words if word.strip()})
