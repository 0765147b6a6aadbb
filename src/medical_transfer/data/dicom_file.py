"""One DICOM file before its pixels are decoded: its header, and the reasons not to use it.

Reasons are fixed sentences. Nothing that stands in a file is repeated but numbers, and words of the standard's own
lists, since any field may hold a name; pydicom and its decoders are made silent for the same reason.
"""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

from medical_transfer.config.images import Images
from medical_transfer.data.decode import PILLOW_ERRORS, Unreadable, check_size, quiet_decoders
from medical_transfer.data.dicom_bytes import check_fragments, inflated
from medical_transfer.data.folders import BYTES_PER_PIXEL, HEADER_BYTES

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

MODALITIES = (
    "AR BI BMD CR CT DOC DG DX ECG EPS ES GM IO IVOCT IVUS KO LS MG MR NM OAM OCT OP OPM OPT OPV OSS OT PR PT PX RF RG "
    "RTDOSE RTIMAGE RTPLAN RTRECORD RTSTRUCT SC SEG SM SMR SR TG US VA XA XC"
)
"""Words of tag Modality that may be repeated; others could be anything."""
GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
RETIRED = frozenset(["ARGB", "CMYK", "HSV", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "XYB"])
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104."
"""SOP classes of documents inside DICOM: PDF, CDA, STL and their like."""
DIRECTORY = "1.2.840.10008.1.3.10"
DEFLATED = "1.2.840.10008.1.2.1.99"
PIXELS = {(0x7FE0, 0x0010), (0x7FE0, 0x0008), (0x7FE0, 0x0009)}
"""Pixels as integers, as floats, as doubles."""
LARGE_BYTES = 1 << 24
"""Larger elements of a header are left in the file."""


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A file whose header was read and found fit: `stream` holds it (inflated), and its pixels begin at `start`.

    `consistent`: it is written as its transfer syntax says, and not with value representations against it.
    """

    header: FileDataset
    stream: BinaryIO
    start: int
    encapsulated: bool
    frames: int
    consistent: bool


@cache
def silent_pydicom() -> None:
    """Import pydicom so that neither it nor its decoders say anything: their messages quote what stands in files."""
    import pydicom.config  # noqa: PLC0415 - heavy, and needed for this kind only

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    try:
        import gdcm  # noqa: PLC0415
    except ImportError:  # then what only it decodes is refused by name
        return
    for turn_off in (gdcm.Trace.DebugOff, gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff):
        turn_off()


@contextmanager
def telling_nothing(what: str) -> Iterator[None]:
    """Run a step of pydicom's in silence; any failure becomes the sentence `what`.

    Raises:
        Unreadable: the step failed; of the foreign error only its kind is told.
    """
    silent_pydicom()
    from pydicom.errors import InvalidDicomError  # noqa: PLC0415

    try:
        with quiet_decoders:
            yield
    except (*PILLOW_ERRORS, InvalidDicomError) as error:
        raise Unreadable(f"{what} ({type(error).__name__})") from None


def opened(file: BinaryIO, images: Images) -> DicomFile:
    """Read the header and refuse what cannot, or must not, be used.

    Raises:
        Unreadable: with the reason.
    """
    head = file.read(132)
    if not head:
        raise Unreadable("zero bytes")
    if head[128:] != b"DICM":
        raise Unreadable("not a DICOM file")
    with telling_nothing("its DICOM header cannot be read"):
        stream = _inflated_where_deflated(file, images.max_pixels * BYTES_PER_PIXEL + HEADER_BYTES)
        header = _header(stream)
        _refuse_what_is_no_image(header, stream, images)
        _refuse_what_cannot_be_decoded(header)
        _check_size(header, images)
        return _measured(header, stream)


def _inflated_where_deflated(file: BinaryIO, most_bytes: int) -> BinaryIO:
    """The same file with its data set expanded, where it is deflated (PS3.5 A.5)."""
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415
    from pydicom.filereader import read_dataset  # noqa: PLC0415
    from pydicom.filewriter import write_file_meta_info  # noqa: PLC0415
    from pydicom.uid import ExplicitVRLittleEndian  # noqa: PLC0415

    meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag.group != 2)  # noqa: FBT003 - explicit, little
    if str(meta.get("TransferSyntaxUID", "")) != DEFLATED:
        return file
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain = DicomBytesIO()
    plain.write(bytes(128) + b"DICM")
    write_file_meta_info(plain, FileMetaDataset(meta), enforce_standard=False)
    plain.write(inflated(file, most_bytes).read())
    return io.BytesIO(plain.getvalue())


def _header(stream: BinaryIO) -> FileDataset:
    """The data set before its pixels; the stream stands at them afterwards."""
    from pydicom import dcmread  # noqa: PLC0415

    stream.seek(0)
    return dcmread(stream, defer_size=LARGE_BYTES, stop_before_pixels=True)


def _refuse_what_is_no_image(header: FileDataset, stream: BinaryIO, images: Images) -> None:
    sop_class = str(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID", ""))
    if sop_class == DIRECTORY:
        raise Unreadable("a DICOMDIR, no image")
    if sop_class == PDF:
        raise Unreadable("an encapsulated PDF, no image")
    if sop_class.startswith(DOCUMENTS) or "EncapsulatedDocument" in header:
        raise Unreadable("an encapsulated document, no image")
    modality = modality_of(header)
    if images.dicom.modalities and str(header.get("Modality", "")) not in images.dicom.modalities:
        raise Unreadable(f"its modality, {modality}, is not in images.dicom.modalities={images.dicom.modalities}")
    if images.dicom.burned_in == "quarantine" and header.get("BurnedInAnnotation") == "YES":
        raise Unreadable("says that identifying text is burned into its pixels (images.dicom.burned_in=allow takes it)")
    if _next_tag(header, stream) not in PIXELS:
        raise Unreadable(f"holds no pixels, or ends before them (modality {modality})")


def modality_of(header: FileDataset) -> str:
    """Its modality where that is a word of the standard."""
    found = str(header.get("Modality", ""))
    return found if found in MODALITIES.split() else "unknown"


def _next_tag(header: FileDataset, stream: BinaryIO) -> tuple[int, int]:
    head = stream.read(4)
    stream.seek(-len(head), io.SEEK_CUR)
    group, element = struct.unpack(f"{_order(header)}HH", head) if len(head) == 4 else (0, 0)
    return group, element


def _order(header: FileDataset) -> str:
    return ">" if header.original_encoding[1] is False else "<"


def _refuse_what_cannot_be_decoded(header: FileDataset) -> None:
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415

    if not header.file_meta.get("TransferSyntaxUID"):
        raise Unreadable("names no transfer syntax")
    try:
        available = get_decoder(header.file_meta.TransferSyntaxUID).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise Unreadable(f"compressed as {syntax_of(header)}, for which there is no decoder here")


def syntax_of(header: FileDataset) -> str:
    """Name of its transfer syntax where that is one of the standard."""
    syntax = header.file_meta.TransferSyntaxUID
    return syntax.name if syntax.name != str(syntax) else "a transfer syntax that is not in the standard"


def _check_size(header: FileDataset, images: Images) -> None:
    photometric = str(header.get("PhotometricInterpretation", ""))
    if photometric not in (*GREY, *COLOUR):
        shown = photometric if photometric in RETIRED else "one that is not in the standard"
        raise Unreadable(f"its photometric interpretation is {shown}, expected one of {[*GREY, *COLOUR]}")
    check_size(_whole(header, "Columns"), _whole(header, "Rows"), images)
    samples, allocated, stored = (_whole(header, name) for name in ("SamplesPerPixel", "BitsAllocated", "BitsStored"))
    colours = 1 if photometric in GREY else 3
    if samples != colours or allocated not in (1, 8, 16, 32, 64) or not 1 <= stored <= allocated:
        raise Unreadable(f"has {samples} samples of {stored} bits in {allocated}, which {photometric} cannot be")


def _whole(header: FileDataset, name: str, default: int = 0) -> int:
    value: Any = header.get(name)
    return default if value in (None, "") else int(value)


def _measured(header: FileDataset, stream: BinaryIO) -> DicomFile:
    """Set the promised frames against the bytes that are there.

    Raises:
        Unreadable: there are fewer bytes, or fewer fragments, than frames need.
    """
    frames = max(_whole(header, "NumberOfFrames", 1), 1)
    head = stream.read(8)  # tag, then either two letters (explicit VR; 32 bits of length follow), or the length
    explicit = head[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN")
    start = stream.seek(4 if explicit else 0, io.SEEK_CUR)
    syntax = header.file_meta.TransferSyntaxUID
    encapsulated = bool(syntax.is_encapsulated)
    if encapsulated:
        if check_fragments(stream, little_endian=_order(header) == "<") < frames:
            raise Unreadable(f"truncated: fewer pieces of pixel data than its {frames} frames")
    else:
        needed, there = frames * frame_bits(header) // 8, stream.seek(0, io.SEEK_END) - start
        if there < needed:
            raise Unreadable(f"truncated: {there} bytes of pixels, {needed} were expected")
    return DicomFile(header, stream, start, encapsulated, frames, consistent=explicit != syntax.is_implicit_VR)


def frame_bits(header: FileDataset) -> int:
    """Bits of one frame without compression; YBR_FULL_422 stores two colour samples for two pixels (C.7.6.3.1.2)."""
    samples = 2 if header.PhotometricInterpretation == "YBR_FULL_422" else int(header.SamplesPerPixel)
    return int(header.Rows) * int(header.Columns) * samples * int(header.BitsAllocated)
