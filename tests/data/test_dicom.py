from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut
from pydicom.pixels.processing import convert_color_space

from dicom_files import data_set, put_dicom, written
from medical_transfer.config.images import Images, TargetImages
from medical_transfer.data.audit import audit
from medical_transfer.data.cache import build_image_cache
from medical_transfer.data.decode import Unreadable
from medical_transfer.data.decoder_apart import decoder_apart
from medical_transfer.data.dicom import DicomReader
from medical_transfer.data.dicom_bytes import check_fragments, encoded_size, inflated
from medical_transfer.data.dicom_facts import orientation
from medical_transfer.data.dicom_file import opened
from medical_transfer.data.dicom_pixels import frame_pixels
from medical_transfer.data.manifest import manifest_rows
from medical_transfer.data.readers import open_reader
from medical_transfer.types import UserError

NOWHERE = Path("packages")
GREY = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)


def settings(root: Path, table: str | None = None, **dicom: Any) -> Images:
    """Parameters of a folder whose salt lies outside of it."""
    given = None
    if table is not None:
        given = root.parent / "table.csv"
        given.write_text(table, encoding="utf-8")
    return Images(
        kind="dicom", root=root, table=given, size=16, workers=2, dicom={"salt": root.parent / "salt", **dicom}
    )


def audited(images: Images, *, need_labels: bool = False) -> pd.DataFrame:
    """Audit of all files, with the name of each in clear as index."""
    reader = DicomReader(images, NOWHERE, need_labels)
    rows = manifest_rows(reader.find(), images, need_labels=need_labels)
    pixels = np.zeros((len(rows), 16, 16, 3), np.uint8)
    frame = audit(rows, reader, images, pixels, need_labels=need_labels)
    names = reader.originals()
    known = [path.partition("/")[0] for path in frame["path"]]
    return frame.set_index(pd.Index([names.get(head, head) for head in known]))


def read(content: bytes, images: Images | None = None, frame: int = 0) -> np.ndarray:
    images = images or Images(kind="dicom", root="/there")
    return frame_pixels(opened(io.BytesIO(content), images), frame, images)


def reason(content: bytes, **fields: Any) -> str:
    with pytest.raises(Unreadable) as refused:
        read(content, Images(kind="dicom", root="/there", **fields))
    return str(refused.value)


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def compressed(frames: list[bytes], syntax: str, pixels: np.ndarray = GREY, **tags: Any) -> Dataset:
    made = data_set(pixels, **tags)
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate(frames)
    made["PixelData"].VR = "OB"
    return made


PDF = data_set(None, SOPClassUID=uid.EncapsulatedPDFStorage, EncapsulatedDocument=b"%PDF", Modality="DOC")
DIRECTORY = data_set(None, SOPClassUID="1.2.840.10008.1.3.10")
BOMB = jpeg(np.zeros((3000, 3000), np.uint8))
DOOR: dict[str, tuple[bytes, str | None]] = {
    # file: content, reason or none
    "good.dcm": (written(data_set(GREY)), None),
    "IM0001": (written(data_set(GREY)), None),
    "jpeg.dcm": (written(compressed([jpeg(GREY)], uid.JPEGBaseline8Bit)), None),
    "no pixels.dcm": (written(data_set(None, Modality="SR")), "holds no pixels, or ends before them (modality SR)"),
    "report.dcm": (written(PDF), "an encapsulated PDF, no image"),
    "DICOMDIR": (written(DIRECTORY), "a DICOMDIR, no image"),
    "cut.dcm": (written(data_set(GREY))[:-40], "truncated: 200 bytes of pixels, 240 were expected"),
    "cut jpeg.dcm": (written(compressed([jpeg(GREY)], uid.JPEGBaseline8Bit))[:-60], "truncated: the pixel data end"),
    "cut header.dcm": (written(data_set(GREY))[:200], "ends before them (modality unknown)"),
    "htj2k.dcm": (
        written(compressed([b"\xff\x4f"], uid.HTJ2KLossless)),
        "compressed as High-Throughput JPEG 2000 Image Compression (Lossless Only), for which there is no decoder",
    ),
    "film.dcm": (written(compressed([b"\0\0"], uid.MPEG2MPML)), "compressed as MPEG2 Main Profile"),
    "private.dcm": (written(compressed([b"\0\0"], "1.2.3.4.5.6")), "a transfer syntax that is not in the standard"),
    "bomb.dcm": (
        written(compressed([BOMB], uid.JPEGBaseline8Bit)),
        "compressed frame is 3000 x 3000, its header says 20 x 12",
    ),
    "many frames.dcm": (written(data_set(GREY, NumberOfFrames="1000000000")), "truncated: 240 bytes of pixels"),
    "burned.dcm": (written(data_set(GREY, BurnedInAnnotation="YES")), "burned into its pixels"),
    "sixteen.dcm": (written(data_set(GREY.astype(np.uint16))), "no window in the file"),
    "notes.txt": (b"call Mr Doe\n" * 40, "not a DICOM file"),
    "empty.dcm": (b"", "zero bytes"),
    "cmyk.dcm": (written(data_set(GREY, PhotometricInterpretation="CMYK")), "photometric interpretation is CMYK"),
    "four.dcm": (written(data_set(GREY, SamplesPerPixel=4)), "has 4 samples of 8 bits in 8"),
    "flat.dcm": (written(data_set(GREY, Rows=0)), "has 20 x 0 pixels"),
}


def test_the_door_every_file_is_a_row_with_its_reason(tmp_path):
    root = tmp_path / "files"
    root.mkdir()
    for name, (content, _) in DOOR.items():
        (root / name).write_bytes(content)
    frame = audited(settings(root))
    assert set(frame.index) == set(DOOR)
    for name, (_, words) in DOOR.items():
        row = frame.loc[name]
        assert (row["status"] == "ok") == (words is None), (name, row["reason"])
        assert words is None or words in row["reason"], (name, row["reason"])
    assert frame["group_id"].isna().all()


def test_what_is_too_large_or_of_another_kind_is_refused():
    assert "header promises 20 x 12 pixels" in reason(written(data_set(GREY)), max_pixels=200)
    ct = written(data_set(GREY, Modality="CT"))
    assert "its modality, CT, is not in images.dicom.modalities=['MR', 'DX']" in reason(
        ct, dicom={"modalities": ["MR", "DX"]}
    )
    read(ct, Images(kind="dicom", root="/there", dicom={"modalities": ["MR", "CT"]}))
    read(DOOR["burned.dcm"][0], Images(kind="dicom", root="/there", dicom={"burned_in": "allow"}))
    long = written(compressed([jpeg(GREY) + bytes(1 << 21)], uid.JPEGBaseline8Bit))
    assert "bytes for one frame, more than 20 x 12 pixels need" in reason(long)


def deflated(content: bytes) -> bytes:
    made = pydicom.dcmread(io.BytesIO(content))
    made.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    return written(made)


def test_deflated_files_are_expanded_up_to_a_bound():
    np.testing.assert_array_equal(read(deflated(written(data_set(GREY)))), GREY)
    bomb = deflated(written(data_set(np.zeros((4000, 4000), np.uint8))))
    assert len(bomb) < 100_000
    assert "expands to more bytes" in reason(bomb, max_pixels=10_000)
    assert "truncated: its deflated content" in reason(deflated(written(data_set(GREY)))[:-30])
    with pytest.raises(Unreadable, match="damaged: its deflated content"):
        inflated(io.BytesIO(b"\xff" * 40), 1000)


GREY_3 = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def test_colour():
    np.testing.assert_array_equal(read(written(data_set(GREY_3, photometric="RGB"))), GREY_3)
    planes = data_set(GREY_3, photometric="RGB", PlanarConfiguration=1)
    planes.PixelData = GREY_3.transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(read(written(planes)), GREY_3)
    ybr = read(written(data_set(GREY_3, photometric="YBR_FULL")))
    np.testing.assert_array_equal(ybr, convert_color_space(GREY_3, "YBR_FULL", "RGB"))
    y, b, r = GREY_3[3, 4].astype(float)  # C.7.6.3.1.2, solved for RGB
    by_hand = [y + 1.402 * (r - 128), y - 0.344136 * (b - 128) - 0.714136 * (r - 128), y + 1.772 * (b - 128)]
    np.testing.assert_allclose(ybr[3, 4], np.clip(by_hand, 0, 255), atol=1)
    deep = written(data_set(GREY_3.astype(np.uint16) * 257, photometric="RGB"))
    assert "only images.sixteen_bit=full" in reason(deep)
    full = Images(kind="dicom", root="/there", sixteen_bit="full")
    np.testing.assert_array_equal(read(deep, full), GREY_3)


def palette(bits: int, first: int = 0) -> dict[str, Any]:
    words = {8: np.arange(0, 256, 51, dtype=np.uint8), 16: np.arange(0, 65536, 13107, dtype=np.uint16)}[bits]
    tags: dict[str, Any] = {}
    for number, name in enumerate(("Red", "Green", "Blue")):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [6, first, bits]
        tags[f"{name}PaletteColorLookupTableData"] = np.roll(words, number).tobytes()
    return tags


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes(bits):
    indices = np.array([[2, 3, 4, 5], [6, 7, 8, 200]], np.uint8)
    made = data_set(indices, photometric="PALETTE COLOR", **palette(bits, first=2))
    ramp = np.array([0, 51, 102, 153, 204, 255])
    colours = np.stack([np.roll(ramp, number) for number in range(3)], axis=-1)
    found = read(written(made), Images(kind="dicom", root="/there", min_side=1))
    np.testing.assert_array_equal(found, colours[np.clip(indices.astype(int) - 2, 0, 5)])
    made.set_original_encoding(False, True)
    np.testing.assert_array_equal(found, apply_color_lut(indices, made) // (1 if bits == 8 else 257))


def test_a_sliver_is_refused_before_its_pixels_are_decoded():
    assert "has 4 x 2 pixels, a side of less than images.min_side=8" in reason(written(data_set(GREY[:2, :4])))


def test_monochrome1_is_inverted_after_the_window():
    tags = {"WindowCenter": 100, "WindowWidth": 51}
    dark = read(written(data_set(GREY, **tags)))
    np.testing.assert_array_equal(read(written(data_set(GREY, photometric="MONOCHROME1", **tags))), 255 - dark)
    np.testing.assert_array_equal(read(written(data_set(GREY, PresentationLUTShape="INVERSE", **tags))), 255 - dark)
    both = data_set(GREY, photometric="MONOCHROME1", PresentationLUTShape="INVERSE", **tags)
    np.testing.assert_array_equal(read(written(both)), 255 - dark)


@pytest.mark.parametrize(("kind", "bits"), [("u1", 8), ("u2", 10), ("u2", 12), ("u2", 16), ("i2", 12), ("i2", 16)])
def test_bit_depths_signed_and_unsigned(kind, bits):
    low = -(2 ** (bits - 1)) if kind[0] == "i" else 0
    values = np.linspace(low, low + 2**bits - 1, 256).round().astype(kind).reshape(8, 32)
    full = Images(kind="dicom", root="/there", sixteen_bit="full")
    expected = np.floor((values.astype(float) - low) / (2**bits - 1) * 255 + 0.5)
    np.testing.assert_array_equal(read(written(data_set(values, bits=bits)), full), expected)
    windowed = data_set(values, bits=bits, WindowCenter=low + 2 ** (bits - 1), WindowWidth=2**bits)
    np.testing.assert_array_equal(read(written(windowed)), expected)


def item(**tags: Any) -> Dataset:
    made = Dataset()
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def test_an_enhanced_image_has_a_transformation_for_each_frame():
    stored = np.stack([GREY, GREY]).astype(np.uint16)
    windows = [item(WindowCenter=c, WindowWidth=w) for c, w in ((100, 101), (50, 21))]
    own = [item(FrameVOILUTSequence=[window]) for window in windows]
    shared = item(PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=-50)])
    made = data_set(stored, PerFrameFunctionalGroupsSequence=own, SharedFunctionalGroupsSequence=[shared])
    for frame, (center, width) in enumerate(((100, 101), (50, 21))):
        share = np.clip((2.0 * GREY - 50 - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
        np.testing.assert_array_equal(read(written(made), frame=frame), np.floor(share * 255 + 0.5))


BUNDLED = {
    # pydicom's own files: (name, largest difference to the same picture without compression, that picture)
    "MR_small_RLE.dcm": (0, "MR_small.dcm"),
    "MR_small_bigendian.dcm": (0, "MR_small.dcm"),
    "MR_small_implicit.dcm": (0, "MR_small.dcm"),
    "MR_small_jp2klossless.dcm": (0, "MR_small.dcm"),
    "MR_small_jpeg_ls_lossless.dcm": (0, "MR_small.dcm"),
    "SC_rgb_rle.dcm": (0, "SC_rgb_jpeg_gdcm.dcm"),
    "SC_rgb_jpeg.dcm": (0, "SC_rgb_jpeg_dcmd.dcm"),
    "SC_rgb_dcmtk_+eb+cy+np.dcm": (4, "SC_rgb_rle.dcm"),
    "SC_rgb_dcmtk_+eb+cr.dcm": (4, "SC_rgb_rle.dcm"),
    "SC_rgb_gdcm_KY.dcm": (4, "SC_rgb_rle.dcm"),
    "SC_ybr_full_422_uncompressed.dcm": (4, "SC_rgb_rle.dcm"),
    "liver_expb_1frame.dcm": (0, "liver_1frame.dcm"),
}


def bundled(name: str) -> bytes:
    place = get_testdata_file(name, download=False)
    if place is None:
        pytest.skip(f"this pydicom has no {name}")
    return Path(str(place)).read_bytes()


@pytest.mark.parametrize("name", BUNDLED)
def test_files_that_come_with_pydicom_in_many_transfer_syntaxes(name):
    tolerance, plain = BUNDLED[name]
    found, expected = read(bundled(name)), read(bundled(plain))
    middle = np.abs(found.astype(int) - expected.astype(int))
    assert found.std() > 0.5
    assert middle.mean() <= tolerance  # subsampled colour bleeds over edges


def test_frames_that_come_with_pydicom():
    film = bundled("examples_ybr_color.dcm")
    images = Images(kind="dicom", root="/there")
    assert opened(io.BytesIO(film), images).frames == 30
    theirs = pydicom.dcmread(io.BytesIO(film)).pixel_array[17]
    np.testing.assert_array_equal(read(film, frame=17), theirs)
    dose = bundled("rtdose.dcm")
    window = Images(kind="dicom", root="/there", sixteen_bit="image")
    raw = pydicom.dcmread(io.BytesIO(dose)).pixel_array[3].astype(float)
    expected = np.floor((raw - raw.min()) / (raw.max() - raw.min()) * 255 + 0.5)
    np.testing.assert_array_equal(read(dose, window, frame=3), expected)
    assert "truncated: 8130 bytes" in reason(bundled("MR_truncated.dcm"))


def test_nothing_is_said_about_any_file_that_comes_with_pydicom(tmp_path, caplog, capfd, recwarn):
    names = ("badVR.dcm", "UN_sequence.dcm", "JPGExtended.dcm", "reportsi.dcm", "SC_rgb_jpeg.dcm", "rtplan.dcm")
    for name in names:
        (tmp_path / "files" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "files" / name).write_bytes(bundled(name))
    with caplog.at_level(logging.DEBUG):
        frame = audited(settings(tmp_path / "files"))
    assert frame.loc["JPGExtended.dcm", "reason"].startswith("its pixels (JPEG Extended (Process 2 and 4)) are")
    assert not [record for record in caplog.records if record.name.startswith("pydicom")]
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_the_size_that_a_compressed_frame_gives_for_itself():
    wide = np.zeros((12, 20, 3), np.uint8)
    assert encoded_size(jpeg(wide)) == (20, 12)
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "JPEG", progressive=True, comment=b"\xff\xc0 looks like a frame")
    assert encoded_size(buffer.getvalue()) == (20, 12)
    for form in ({"no_jp2": True}, {}):
        buffer = io.BytesIO()
        Image.fromarray(wide).save(buffer, "JPEG2000", **form)
        assert encoded_size(buffer.getvalue()) == (20, 12)
    assert encoded_size(b"\xff\xd8\xff\xf7\x00\x0b\x08\x00\x0c\x00\x14\x01\x01\x11\x00") == (20, 12)  # JPEG-LS
    for nothing in (b"", b"\xff\xd8", b"\xff\xd8\x00" + bytes(20), b"\xff\x4f\xff\x51\x00", jpeg(wide)[:40]):
        assert encoded_size(nothing) is None


def test_fragments_are_counted_and_followed_to_their_end():
    whole = encapsulate([b"one!", b"two!"]) + b"\xfe\xff\xdd\xe0" + bytes(4)
    stream = io.BytesIO(b"head" + whole)
    stream.seek(4)
    assert check_fragments(stream, little_endian=True) == 2
    assert stream.tell() == 4
    broken = bytearray(whole)
    broken[16:20] = b"JUNK"  # where the first fragment begins
    for damaged in (whole[:-8], whole[:-9], bytes(broken)):
        with pytest.raises(Unreadable, match=r"truncated|damaged"):
            check_fragments(io.BytesIO(damaged), little_endian=True)
    two_frames = compressed([jpeg(GREY)], uid.JPEGBaseline8Bit, NumberOfFrames=2)
    assert "fewer pieces of pixel data than its 2 frames" in reason(written(two_frames))


def test_each_frame_is_a_row_and_a_patient_is_a_group(tmp_path):
    root = tmp_path / "files"
    frames = np.stack([GREY, GREY // 2, GREY // 3])
    put_dicom(root / "a/one", GREY, PatientID="7", StudyInstanceUID="1.1")
    put_dicom(root / "a/film", frames, PatientID=" 7 ", StudyInstanceUID="1.2")
    put_dicom(root / "b/x.dcm", GREY[::-1], PatientName="Doe^Jane", StudyInstanceUID="1.3")
    put_dicom(root / "b/y.dcm", GREY[:, ::-1], PatientName="DOE^JANE", StudyInstanceUID="1.4")
    put_dicom(root / "c.dcm", GREY.T, StudyInstanceUID="1.5", PatientID="")
    put_dicom(root / "d.dcm", frames)
    put_dicom(root / "e.dcm", GREY)
    listed = ["a,sick,40", "b/x.dcm,well,50", "b\\y.dcm,well,50", "c.dcm,well,1", "d.dcm,sick,3", "gone.dcm,sick,1"]
    labels = "\n".join(["path,label,age", *listed, ",sick,2"])
    frame = audited(settings(root, labels), need_labels=True)
    assert frame.index.tolist() == [
        *["a/film"] * 3, "a/one", "b/x.dcm", "b/y.dcm", "c.dcm", *["d.dcm"] * 3, "gone.dcm", "row 7 of the table",
        "e.dcm",
    ]  # fmt: skip
    assert frame.loc["a/film", "label"].tolist() == ["sick"] * 3
    assert frame.loc["a/film", "age"].tolist() == [40] * 3
    assert frame["reason"].dropna().to_dict() == {
        "gone.dcm": "file not found",
        "row 7 of the table": "no path in the table",
        "e.dcm": "no row in the table",
    }
    paths = frame.loc["a/film", "path"].tolist()
    assert [path.split("/")[1] for path in paths] == ["1", "2", "3"]
    assert frame.loc["a/film", "sha256"].nunique() == 3
    group = frame.groupby(level=0)["group_id"].first()
    assert group["a/one"] == group["a/film"]
    assert group["b/x.dcm"] == group["b/y.dcm"] != group["a/one"]
    assert group["c.dcm"].startswith("study-")
    assert group["d.dcm"].startswith("file-")
    assert len(set(frame.loc["d.dcm", "group_id"])) == 1
    assert frame["dicom_modality"].dropna().unique().tolist() == ["OT"]


@pytest.mark.parametrize(("kind", "groups"), [("patient", 1), ("study", 2), ("series", 3)])
def test_what_a_group_is(tmp_path, kind, groups):
    root = tmp_path / "files"
    for number, (study, series) in enumerate([("1.1", "1.1.1"), ("1.1", "1.1.2"), ("1.2", "1.2.1")]):
        put_dicom(root / f"{number}", GREY, PatientID="ANON", StudyInstanceUID=study, SeriesInstanceUID=series)
    found = DicomReader(settings(root, group=kind), NOWHERE, need_labels=False).find()
    assert found["group_id"].nunique() == groups
    assert found["group_id"].str.startswith(f"{kind}-").all()


def test_groups_of_the_table_win_as_pseudonyms_and_the_log_says_what_they_divide(tmp_path, caplog):
    root = tmp_path / "files"
    for name, patient in (("a", "MRN-1"), ("b", "MRN-1"), ("c", "MRN-2")):
        put_dicom(root / name, GREY, PatientID=patient)
    labels = "path,label,group\na,x,lesion 1\nb,x,lesion 2\nc,y,\n"
    with caplog.at_level(logging.WARNING):
        found = DicomReader(settings(root, labels), NOWHERE).find()
    assert [group.split("-")[0] for group in found["group_id"]] == ["table", "table", "patient"]
    assert found["group_id"].nunique() == 3
    assert "divides 1 group(s)" in caplog.text
    assert "lesion" not in found.to_csv() + caplog.text


def test_columns_that_repeat_identifiers_are_left_out(tmp_path, caplog):
    root = tmp_path / "files"
    for number in range(12):
        tags = {"PatientID": f"MRN00{number}", "PatientName": f"Doe{number}^John Jim", "PatientBirthDate": "19480713"}
        put_dicom(root / f"f{number}", GREY, AccessionNumber=str(number), **tags)
    own = "mrn,called,born,nr,age,sex,remark"
    rows = [
        f"f{n},x,see mrn00{n},john jim DOE{n},1948-07-13,{n},{60 + n},M,{'also Doe5 John Jim' if n == 5 else ''}"
        for n in range(12)
    ]
    with caplog.at_level(logging.WARNING):
        found = DicomReader(settings(root, "\n".join([f"path,label,{own}", *rows])), NOWHERE).find()
    assert [name for name in own.split(",") if name in found.columns] == ["age", "sex"]
    assert "5 column(s) of the table" in caplog.text
    assert "number 1, 2, 3, 4, 7" in caplog.text


def test_the_log_wonders_at_one_patient_and_at_many_orientations(tmp_path, caplog):
    root = tmp_path / "files"
    for number in range(10):
        turned = [1, 0, 0, 0, 1, 0] if number else [0.9, 0.1, 0, 0, 0.1, -0.9]
        put_dicom(root / f"{number}", GREY, PatientID="ANON", ImageOrientationPatient=turned)
    with caplog.at_level(logging.WARNING):
        found = DicomReader(settings(root), NOWHERE, need_labels=False).find()
    assert "All 10 DICOM files have one patient id" in caplog.text
    assert "(9 x L/P, 1 x L/F)" in caplog.text
    assert found["dicom_orientation"].value_counts().to_dict() == {"L/P": 9, "L/F": 1}


def test_how_an_image_lies():
    assert orientation(data_set(GREY, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])) == "P/F"
    assert orientation(data_set(GREY, ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])) == "R/A"
    plane = item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    shared = item(PlaneOrientationSequence=[plane])
    assert orientation(data_set(GREY, SharedFunctionalGroupsSequence=[shared])) == "L/P"
    assert orientation(data_set(GREY, PatientOrientation=["L", "FA"])) == "L/FA"
    for odd in (["DOE", "JOHN"], ["L"], ["L", ""], None):
        assert orientation(data_set(GREY, PatientOrientation=odd)) is None


def test_words_that_are_not_in_the_standard_are_not_repeated(tmp_path):
    root = tmp_path / "files"
    put_dicom(root / "a", GREY, Modality="DOE", ViewPosition="JOHN", PatientOrientation=["DOE", "X"])
    put_dicom(root / "b", GREY, Modality="DX", ViewPosition="PA")
    found = DicomReader(settings(root), NOWHERE, need_labels=False).find()
    assert sorted(found["dicom_modality"]) == ["DX", "unknown"]
    assert found["dicom_view"].dropna().tolist() == ["PA"]
    assert "DOE" not in found.to_csv()
    text = reason(written(data_set(GREY, photometric="MONOCHROME2", PhotometricInterpretation="DOE")))
    assert text.startswith("its photometric interpretation is one that is not in the standard")


def test_links_lead_nowhere_and_names_stay_hidden(tmp_path):
    root = tmp_path / "files"
    put_dicom(root / "DOE_JOHN/1", GREY)
    put_dicom(tmp_path / "elsewhere/1", GREY)
    (root / "DOE_JOHN/2").symlink_to(tmp_path / "elsewhere/1")
    images = settings(root)
    frame = audited(images)
    assert frame["reason"].to_dict()["DOE_JOHN/2"] == "leads out of the root folder"
    assert "DOE" not in frame.reset_index(drop=True).to_csv()
    reader = DicomReader(images, NOWHERE, need_labels=False)
    assert "DOE" not in reader.find().to_csv()
    with pytest.raises(Unreadable):
        reader.read("DOE_JOHN/1")
    with pytest.raises(Unreadable, match="no such frame"):
        reader.read(f"{reader.find()['path'].iloc[0]}/2")


def test_a_source_that_is_not_as_expected_is_one_sentence(tmp_path):
    put_dicom(tmp_path / "files/a", GREY)
    (tmp_path / "empty").mkdir()
    cases = {
        "no table": ("files", None, r"needs images\.table"),
        "no label": ("files", "path,age\na,3\n", "no column 'label'"),
        "no files": ("empty", "path,label\n", "holds no files"),
        "no root": ("gone", "path,label\n", "does not exist"),
    }
    for root, table, words in cases.values():
        with pytest.raises(UserError, match=words):
            open_reader(settings(tmp_path / root, table), NOWHERE).find()
    pd.DataFrame({"path": [["DOE_JOHN"]], "label": ["x"]}).to_parquet(tmp_path / "t.parquet")
    nested = settings(tmp_path / "files").model_copy(update={"table": tmp_path / "t.parquet"})
    with pytest.raises(UserError, match="several values") as refused:
        open_reader(nested, NOWHERE).find()
    assert "DOE" not in str(refused.value)


def test_what_parameters_must_not_say():
    with pytest.raises(ValueError, match=r"images\.kind=dicom needs images\.root"):
        Images(kind="dicom")
    with pytest.raises(ValueError, match=r"images\.dicom\.group"):
        Images(kind="dicom", root="/there", group_pattern="p(.)")
    with pytest.raises(ValueError, match="give both"):
        Images(kind="dicom", root="/there", dicom={"window_center": 3})
    first = Images(dicom={"window_center": 40, "window_width": 400})
    assert TargetImages(kind="dicom", root="/there").beside(first).dicom.window == (40, 400)


def test_the_cache_follows_the_window_and_the_salt_but_not_the_salt_s_place(tmp_path):
    root = tmp_path / "files"
    put_dicom(root / "a", GREY)
    images = settings(root)

    def key(given: Images) -> str:
        return build_image_cache(given, NOWHERE, tmp_path / "caches", need_labels=False).key

    first = key(images)
    moved = images.dicom.model_copy(update={"salt": tmp_path / "moved"})
    (tmp_path / "moved").write_bytes((tmp_path / "salt").read_bytes())
    (tmp_path / "moved").chmod(0o600)
    assert key(images.model_copy(update={"dicom": moved})) == first
    assert key(settings(root, window_center=40, window_width=9)) != first
    assert key(settings(root, salt=tmp_path / "new")) != first
    put_dicom(root / "a", GREY[::-1])
    assert key(images) != first


def test_a_decoder_that_dies_takes_one_image_along_and_no_more():
    lossless = bundled("SC_rgb_jpeg_gdcm.dcm")  # GDCM alone decodes it
    whole = read(lossless)
    first = decoder_apart._process
    assert first is not None
    with pytest.raises(Unreadable, match="the decoder died"):
        first.kill()
        first.wait()
        first.poll = lambda: None  # it dies while it is asked
        read(lossless)
    np.testing.assert_array_equal(read(lossless), whole)
    assert decoder_apart._process is not first


@pytest.mark.parametrize("seed", range(2))
def test_damaged_bytes_are_reasons_and_never_errors(seed):
    rng = np.random.default_rng(seed)
    sources = [bundled("SC_rgb_jpeg_gdcm.dcm"), bundled("MR_small_jpeg_ls_lossless.dcm")]
    sources += [DOOR["good.dcm"][0], DOOR["jpeg.dcm"][0], written(data_set(np.stack([GREY, GREY]), PatientID="DOE"))]
    for _ in range(50):
        content = bytearray(sources[rng.integers(len(sources))])
        for place in rng.integers(132, len(content), size=rng.integers(1, 6)):
            content[place] = rng.integers(256)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                assert read(bytes(content)).dtype == np.uint8
            except Unreadable as refused:
                assert "DOE" not in str(refused)
