"""One frame of a DICOM file as 8-bit grey or RGB.

Shapes: H rows, W columns as they are stored; nothing is turned or mirrored (`dicom_facts` says how an image lies).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.decode import PILLOW_ERRORS, Unreadable
from medical_transfer.data.decoder_apart import decoder_apart
from medical_transfer.data.dicom_bytes import encoded_size
from medical_transfer.data.dicom_file import DicomFile, syntax_of, telling_nothing
from medical_transfer.data.dicom_grey import shown, to_eight_bits
from medical_transfer.data.folders import BYTES_PER_PIXEL, HEADER_BYTES

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

PIXEL_TAGS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)


def frame_pixels(file: DicomFile, frame: int, images: Images) -> NDArray[np.uint8]:
    """Frame number `frame` (from 0), shape (H, W) or (H, W, 3).

    Grey values pass the modality transformation and the values of interest (`dicom_grey.shown`); MONOCHROME1, and a
    presentation table of shape INVERSE, are inverted, so that large is bright. YBR becomes RGB; palettes are looked up.

    Raises:
        Unreadable: with the reason.
    """
    with telling_nothing(f"its pixels ({syntax_of(file.header)}) cannot be decoded"):
        if not 0 <= frame < file.frames:
            raise Unreadable("has no such frame")
        stored = _decoded(file, frame)
        photometric = str(file.header.PhotometricInterpretation)
        if photometric == "PALETTE COLOR":
            return _from_palette(stored, file.header)
        if photometric.startswith("MONOCHROME"):
            return _from_grey(stored, file.header, frame, images)
        return _from_colour(stored, file.header, images)


def functional_group(header: Dataset, frame: int, name: str) -> Dataset:
    """The item of an enhanced image's macro that holds for a frame: its own, else the shared one, else the header."""
    per_frame, shared = header.get("PerFrameFunctionalGroupsSequence"), header.get("SharedFunctionalGroupsSequence")
    own = per_frame[frame] if per_frame and frame < len(per_frame) else None
    for groups in (own, shared[0] if shared else None):
        found: Any = groups.get(name) if groups is not None else None
        if found:
            return found[0]  # type: ignore[no-any-return]
    return header


def _decoded(file: DicomFile, frame: int) -> NDArray[Any]:
    """Stored values of one frame, unpacked; colour that is stored as YBR_FULL is RGB afterwards.

    Compressed frames go to pydicom's or Pillow's decoder first; GDCM, which can abort, works in a process of its own.
    """
    from pydicom import dcmread  # noqa: PLC0415 - heavy
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415
    from pydicom.pixels.utils import pixel_array  # noqa: PLC0415

    if not file.encapsulated:
        file.stream.seek(0)
        return pixel_array(file.stream if file.consistent else dcmread(file.stream), index=frame)
    alone = _one_frame(file.header, _encoded(file, frame))
    plugins = get_decoder(file.header.file_meta.TransferSyntaxUID).available_plugins
    for plugin in sorted(set(plugins) - {"gdcm"}):
        try:
            return pixel_array(alone, decoding_plugin=plugin)
        except PILLOW_ERRORS:
            if "gdcm" not in plugins:
                raise
    content = io.BytesIO()
    alone.save_as(content, enforce_file_format=False)
    return decoder_apart.decode(content.getvalue(), syntax_of(file.header))


def _encoded(file: DicomFile, frame: int) -> bytes:
    """A compressed frame; it is refused where it is another size than the header says, before it is expanded."""
    from pydicom.encaps import get_frame  # noqa: PLC0415 - heavy

    file.stream.seek(file.start)
    encoded = get_frame(file.stream, frame, number_of_frames=file.frames)
    width, height = int(file.header.Columns), int(file.header.Rows)
    if len(encoded) > width * height * BYTES_PER_PIXEL + HEADER_BYTES:
        raise Unreadable(f"{len(encoded)} bytes for one frame, more than {width} x {height} pixels need")
    size = encoded_size(encoded)
    if size is not None and size != (width, height):
        raise Unreadable(f"its compressed frame is {size[0]} x {size[1]}, its header says {width} x {height}")
    return encoded


def _one_frame(header: FileDataset, encoded: bytes) -> FileDataset:
    """A data set of a single compressed frame: tags of its pixels (group 0028) and nothing of the patient."""
    from pydicom.dataset import FileDataset, FileMetaDataset  # noqa: PLC0415
    from pydicom.encaps import encapsulate  # noqa: PLC0415

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = header.file_meta.TransferSyntaxUID
    alone = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    alone.set_original_encoding(*header.original_encoding)
    for name in PIXEL_TAGS:
        if name in header:
            alone[name] = header[name]
    alone.add_new("PixelData", "OB", encapsulate([encoded]))
    return alone


def _from_grey(stored_HW: NDArray[Any], header: FileDataset, frame: int, images: Images) -> NDArray[np.uint8]:
    modality = functional_group(header, frame, "PixelValueTransformationSequence")
    voi = functional_group(header, frame, "FrameVOILUTSequence")
    share_HW = shown(stored_HW, header, modality, voi, images)
    inverse = header.PhotometricInterpretation == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE"
    return to_eight_bits(1 - share_HW if inverse else share_HW)


def _from_palette(stored_HW: NDArray[Any], header: FileDataset) -> NDArray[np.uint8]:
    """Colours of a palette (C.7.6.3.1.5, C.7.9); values beyond its ends have its end colours; transparency is left."""
    from pydicom.pixels.processing import apply_color_lut  # noqa: PLC0415 - heavy

    count, first, bits = (int(value) for value in header.RedPaletteColorLookupTableDescriptor)
    count = count or 2**16
    if bits == 8 and count > 256:  # pydicom would look such places up modulo 256
        raise Unreadable(f"its palette has {count} entries of 8 bits, expected at most 256")
    inside_HW = np.clip(stored_HW.astype(np.int64), first, first + count - 1)
    colours_HWC = apply_color_lut(inside_HW, header)[:, :, :3]
    top = 255 if colours_HWC.dtype == np.uint8 else 2**bits - 1
    return to_eight_bits(colours_HWC / float(top))


def _from_colour(stored_HW3: NDArray[Any], header: FileDataset, images: Images) -> NDArray[np.uint8]:
    if stored_HW3.dtype == np.uint8:
        return np.asarray(stored_HW3)
    if images.sixteen_bit != "full":
        raise Unreadable("more than 8 bits per channel in colour: only images.sixteen_bit=full applies")
    return to_eight_bits(stored_HW3 / (2.0 ** int(header.BitsStored) - 1))
