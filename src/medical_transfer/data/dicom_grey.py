"""From stored grey values to 0..255: modality transformation, then values of interest (DICOM PS3.3 C.11.1, C.11.2).

Shapes: H rows, W columns. `tags` is the data set that holds the transformation: the file's own, or the item of a
functional group of an enhanced multi-frame image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.decode import Unreadable, eight_bits

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Grey = NDArray[np.float64]


def to_eight_bits(share_HW: Grey) -> NDArray[np.uint8]:
    """0..1 becomes 0..255, rounded to nearest; values outside are clipped."""
    return np.floor(np.clip(share_HW, 0, 1) * 255 + 0.5).astype(np.uint8)


def stored_range(header: Dataset) -> tuple[float, float]:
    """Smallest and largest value that the stored bits can hold."""
    bits = int(header.BitsStored)
    if header.get("PixelRepresentation", 0) == 1:
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1


def rescaled(values_HW: NDArray[Any], tags: Dataset, *, little_endian: bool = True) -> Grey:
    """Modality transformation (C.11.1): its table where there is one, else slope * stored + intercept (C.11.1.1.2)."""
    if tags.get("ModalityLUTSequence"):
        return _looked_up(values_HW, tags.ModalityLUTSequence[0], little_endian=little_endian)[0]
    slope, intercept = _number(tags, "RescaleSlope", 1.0), _number(tags, "RescaleIntercept", 0.0)
    if slope == 0:
        raise Unreadable("its rescale slope is 0: all pixels would be equal")
    scaled_HW: Grey = values_HW.astype(np.float64) * slope + intercept
    return scaled_HW


def windowed(values_HW: Grey, center: float, width: float, function: str = "LINEAR") -> Grey:
    """Share of the output range, 0..1, under a window (C.11.2.1.2, C.11.2.1.3).

    LINEAR: (x - (c - 0.5)) / (w - 1) + 0.5; LINEAR_EXACT: (x - c) / w + 0.5; both clipped. SIGMOID:
    1 / (1 + exp(-4 (x - c) / w)).

    Raises:
        Unreadable: the width does not fit the function, or there is no such function.
    """
    least = {"LINEAR": 1.0, "LINEAR_EXACT": 0.0, "SIGMOID": 0.0}
    if function not in least:
        raise Unreadable("has a window of an unknown kind: set images.dicom.window_center and window_width")
    if not np.isfinite(center + width) or width < least[function] or width == 0:
        raise Unreadable(f"has a window {width:g} wide: set images.dicom.window_center and window_width")
    if function == "SIGMOID":
        return np.asarray(0.5 * (1 + np.tanh(2 * (values_HW - center) / width)))  # the same, and never overflows
    if function == "LINEAR_EXACT":
        return np.clip((values_HW - center) / width + 0.5, 0, 1)
    if width == 1:  # the ramp has no length: a step
        return (values_HW > center - 0.5).astype(np.float64)
    return np.clip((values_HW - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def shown(stored_HW: NDArray[Any], header: Dataset, modality: Dataset, voi: Dataset, images: Images) -> Grey:
    """Share of white, 0..1, of each pixel of a MONOCHROME2 image.

    In turn: the one window of the parameters; the file's table of values of interest; its first window; the whole range
    of the stored bits where they are 8 or fewer, or where `images.sixteen_bit` is `full`; else that rule on the
    rescaled values.

    Raises:
        Unreadable: nothing says how the values become 8 bits, or what says it is impossible.
    """
    little_endian = header.original_encoding[1] is not False
    values_HW = rescaled(stored_HW, modality, little_endian=little_endian)
    if images.dicom.window is not None:
        return windowed(values_HW, *images.dicom.window)
    if voi.get("VOILUTSequence"):
        return _values_of_interest(values_HW, voi.VOILUTSequence[0], little_endian=little_endian)
    center, width = _number(voi, "WindowCenter"), _number(voi, "WindowWidth")
    if center is not None and width is not None:
        return windowed(values_HW, center, width, str(voi.get("VOILUTFunction") or "LINEAR").strip())
    whole = stored_HW.dtype.kind in "bui" and not modality.get("ModalityLUTSequence")
    if whole and (int(header.BitsStored) <= 8 or images.sixteen_bit == "full"):
        low, high = sorted(rescaled(np.array(stored_range(header)), modality).tolist())
        share_HW: Grey = (values_HW - low) / (high - low)
        return share_HW
    if images.sixteen_bit == "quarantine":
        raise Unreadable(
            "more than 8 bits and no window in the file: say by images.dicom.window_center and window_width, or by "
            "images.sixteen_bit, how they become 8"
        )
    return np.asarray(eight_bits(values_HW, images.sixteen_bit) / 255.0)


def _values_of_interest(values_HW: Grey, table: Dataset, *, little_endian: bool) -> Grey:
    found_HW, bits = _looked_up(values_HW, table, little_endian=little_endian)
    return np.asarray(found_HW / (2.0**bits - 1))


def _looked_up(values_HW: NDArray[Any], table: Dataset, *, little_endian: bool) -> tuple[Grey, int]:
    """Entries of a table (C.11.1.1, C.11.2.1.1) and their number of bits; beyond its ends stand its end values."""
    count, first, bits = (int(value) for value in table.LUTDescriptor)
    count = count or 2**16
    data = table.LUTData
    if isinstance(data, bytes):
        order = "<" if little_endian else ">"
        data = np.frombuffer(data, dtype=f"{order}u2" if len(data) >= 2 * count else "u1")
    entries_K = np.asarray(data, dtype=np.float64)[:count]
    if len(entries_K) < count or not 1 <= bits <= 16:
        raise Unreadable("its lookup table is incomplete")
    if first >= 2**15 and values_HW.size and values_HW.min() < 0:  # a negative number that was read without its sign
        first -= 2**16
    place_HW = np.clip(np.rint(values_HW) - first, 0, count - 1).astype(np.int64)
    return entries_K[place_HW], bits


def _number(tags: Dataset, name: str, default: Any = None) -> Any:
    """Value of a tag, the first of several; empty counts as missing."""
    value = tags.get(name)
    if value is not None and not isinstance(value, str | int | float):  # several values, or a decimal of pydicom's
        value = next(iter(value), None) if hasattr(value, "__iter__") else value
    return default if value in (None, "") else float(value)
