"""New images through a finished model: every file a row, killed runs go on, and Python does the same in two lines."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import medical_transfer
from medical_transfer.config.predict import Predict
from medical_transfer.data.decode import decode
from medical_transfer.data.new_images import NewImages, find_new_images
from medical_transfer.evaluation import stream
from medical_transfer.evaluation.parts import write_in_parts
from medical_transfer.evaluation.predictor import Predictor, load
from medical_transfer.metrics.calibration import apply_temperature
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.runner import as_images
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import UserError
from small_model import save_small_model, write_pictures
from toy import SIZE, pixels

COLUMNS = ["image_id", "path", "group_id", "site", "split", "label", "predicted", "p_healthy", "p_sick", "decision"]
OF_NEW = ["status", "reason", "novelty", "abstained"]
BROKEN = {
    "empty.png": (b"", "zero bytes"),
    "letter.jpg": (b"Dear colleague,\n", "not an image"),
    "cut.jpg": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "cannot be decoded"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    save_small_model(place, symmetries=("left_right",))
    return place


@pytest.fixture(scope="module")
def model(folder: Path) -> Predictor:
    return load(folder)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("new")
    write_pictures(root, 30)
    for name, (content, _) in BROKEN.items():
        (root / "deep" / name).write_bytes(content)
    deep = np.linspace(0, 60000, SIZE * SIZE).astype(np.uint16).reshape(SIZE, SIZE)
    Image.fromarray(deep).save(root / "deep/deep.png")
    return root


def found(model: Predictor, root: Path, **asked) -> NewImages:
    return find_new_images(
        Predict(images=root, **asked), model.card.wants, packages=root, scratch=None, block="predict"
    )


def test_every_file_is_a_row_and_what_is_read_is_what_the_network_says(
    model: Predictor, folder: Path, pictures: Path
) -> None:
    table = model.predict(pictures, workers=2, part_images=7)
    assert table.columns.tolist() == [*COLUMNS, *OF_NEW]
    assert sorted(table["path"]) == sorted(p.relative_to(pictures).as_posix() for p in pictures.rglob("*.*"))
    read = table[table["status"] == "ok"]
    assert len(read) == 30
    network, card = load_checkpoint(folder)
    expected = []
    for path in read["path"]:
        image = as_images(np.array(Image.open(pictures / path))[None])
        with torch.no_grad():
            views = [network(view).double().softmax(dim=1).numpy() for view in (image, image.flip(3))]
        expected.append(apply_temperature(np.log(np.mean(views, axis=0)), card.temperature)[0])
    np.testing.assert_allclose(read[["p_healthy", "p_sick"]], expected, atol=1e-5)
    sick = (np.array(expected)[:, 1] >= 0.5) & ~read["abstained"].to_numpy(dtype=bool)
    assert (read["decision"] == "sick").fillna(value=False).tolist() == sick.tolist()


def test_what_cannot_be_read_has_its_reason_in_the_words_of_prediction(model: Predictor, pictures: Path) -> None:
    table = model.predict(pictures).set_index("path")
    for name, (_, reason) in BROKEN.items():
        row = table.loc[f"deep/{name}"]
        assert row["status"] == "quarantined"
        assert row["reason"].startswith(reason)
        assert row[["p_sick", "decision", "predicted", "novelty", "abstained"]].isna().all()
    assert "predict.sixteen_bit" in table.loc["deep/deep.png", "reason"]
    assert model.predict(pictures, sixteen_bit="image").set_index("path").loc["deep/deep.png", "status"] == "ok"


def test_paths_pictures_and_arrays_give_the_same_as_a_folder(model: Predictor, pictures: Path) -> None:
    table = model.predict(pictures)
    some = table[table["status"] == "ok"].head(4)
    places = [pictures / path for path in some["path"]]
    opened = [Image.open(place) for place in places]
    arrays = np.stack([np.asarray(Image.open(place)) for place in places])
    for given in (places, [str(place) for place in places], opened, list(arrays), arrays):
        again = model.predict(given)
        np.testing.assert_allclose(again["p_sick"], some["p_sick"], atol=1e-6)
        np.testing.assert_allclose(again["novelty"], some["novelty"], atol=1e-4)
    assert model.predict(arrays)["path"].tolist() == [f"image {number}" for number in range(4)]
    assert len(model.predict(places[0])) == len(model.predict(opened[0])) == len(model.predict(arrays[0])) == 1
    grey = model.predict(arrays[..., 0])  # (N, H, W)
    assert len(grey) == 4


def test_a_turned_photograph_and_a_palette_are_read_alike_as_file_and_as_picture(
    model: Predictor, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8))
    exif = picture.getexif()
    exif[274] = 6  # orientation: turned right
    picture.save(tmp_path / "turned.png", exif=exif)
    picture.quantize(16).save(tmp_path / "palette.png")
    for name in ("turned.png", "palette.png"):
        table = model.predict([tmp_path / name])
        np.testing.assert_allclose(model.predict(Image.open(tmp_path / name))["p_sick"], table["p_sick"], atol=1e-7)


def nearly_black(side: int) -> NDArray[np.uint8]:
    """All black would be refused."""
    picture = np.zeros((side, side), np.uint8)
    picture[0, 0] = 9
    return picture


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((8, 8), np.uint8), "one plain colour at"),
        (np.zeros((8, 8, 4), np.uint8), r"array of shape \(8, 8, 4\), expected .*1 or 3"),
        (np.zeros((8, 8), np.uint16), "more than 8 bits per channel: say by predict.sixteen_bit"),
        (np.array([["a"]]), "expected numbers"),
        (Path("no such file.png"), "file not found"),
    ],
)
def test_one_image_that_cannot_be_used_is_a_row(model: Predictor, image: object, reason: str) -> None:
    table = model.predict([nearly_black(8), image])
    assert table["status"].tolist() == ["ok", "quarantined"]
    assert pd.Series([table["reason"][1]]).str.contains(reason).all()


def test_nothing_or_something_else_is_refused(model: Predictor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no image to predict"):
        model.predict([])
    with pytest.raises(UserError, match="Image 1 is a float, expected a path, a picture of Pillow or an array"):
        model.predict([np.zeros((8, 8), np.uint8), 1.5])
    with pytest.raises(UserError, match="is given twice"):
        model.predict(["a.png", "a.png"])
    with pytest.raises(UserError, match=r"holds no files: set predict\.images to a folder that holds images"):
        model.predict(tmp_path)


def test_on_unlike_images_the_model_abstains_and_decides_nothing(folder: Path) -> None:
    model = load(folder, false_abstain=0.1)
    table = model.predict([nearly_black(SIZE), *_like_training(20)])
    assert table["abstained"].tolist()[0] is True
    assert pd.isna(table["decision"][0])
    assert table["predicted"].notna().all()
    assert table["reason"][0].startswith("unlike the training images: novelty ")
    assert table["abstained"][1:].mean() < 0.5
    assert table.loc[~table["abstained"], "decision"].notna().all()
    never = load(folder, novelty="none").predict([nearly_black(SIZE)])
    assert never["novelty"].isna().all()
    assert never["abstained"].isna().all()
    assert never["decision"].notna().all()


def _like_training(count: int) -> list[np.ndarray]:
    return list(pixels(count, 7)[0])


def test_a_model_that_kept_nothing_of_its_training_predicts_but_does_not_abstain(tmp_path: Path) -> None:
    save_small_model(tmp_path, saw=0)
    assert load(tmp_path).predict(_like_training(2))["abstained"].isna().all()
    with pytest.raises(UserError, match=r"saved without the features .* or set predict\.novelty=none"):
        load(tmp_path, novelty="nearest")


def test_three_classes_have_no_decision_but_a_most_probable_class(tmp_path: Path) -> None:
    save_small_model(tmp_path, classes=("a", "b", "c"))
    table = load(tmp_path).predict(_like_training(3))
    assert table["decision"].isna().all()
    assert set(table["predicted"]) <= {"a", "b", "c"}
    np.testing.assert_allclose(table[["p_a", "p_b", "p_c"]].sum(axis=1), 1)


@pytest.mark.parametrize("file", ["model.json", "model.safetensors", "reference.safetensors"])
def test_an_incomplete_or_tampered_model_is_one_sentence(folder: Path, tmp_path: Path, file: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    content = (copy / file).read_bytes()
    (copy / file).write_bytes(content.replace(b"0.5", b"0.4") if file == "model.json" else content[:-1] + b"\0")
    with pytest.raises(UserError, match=r"was edited since|another sha256"):
        load(copy)
    (copy / file).unlink()
    with pytest.raises(UserError, match=r"is missing|holds no model"):
        load(copy)


# --- killed and gone on -----------------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_after_its_last_part(
    model: Predictor, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, undisturbed, killed = found(model, pictures), tmp_path / "one", tmp_path / "two"
    for place in (undisturbed, killed):
        place.mkdir()
    write_in_parts(undisturbed, model, new, part_images=8)
    calls: list[str] = []

    def dies_at_the_twentieth(raw, images, **options):
        calls.append("")
        if len(calls) == 20:
            raise KeyboardInterrupt
        return decode(raw, images, **options)

    monkeypatch.setattr(stream, "decode", dies_at_the_twentieth)
    monkeypatch.setattr(stream, "PIECE", 1)
    with pytest.raises(KeyboardInterrupt):
        write_in_parts(killed, model, found(model, pictures, workers=1), part_images=8)
    parts = sorted(path.name for path in (killed / "parts").iterdir())
    assert parts == ["000000.parquet", "000001.parquet"]
    written = (killed / "parts" / parts[0]).stat().st_mtime_ns
    seen: list[str] = []
    monkeypatch.setattr(
        stream, "decode", lambda raw, images, **options: seen.append("") or decode(raw, images, **options)
    )
    monkeypatch.setattr("medical_transfer.evaluation.parts.shutil.rmtree", lambda *_, **__: None)
    write_in_parts(killed, model, found(model, pictures, workers=1), part_images=8)
    assert len(seen) == 34 - 16
    assert (killed / "parts" / parts[0]).stat().st_mtime_ns == written
    tables = [pd.read_parquet(place / "predictions.parquet") for place in (undisturbed, killed)]
    pd.testing.assert_frame_equal(*tables)


def test_only_a_few_pictures_are_held_at_a_time(
    model: Predictor, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoding runs ahead of the network by so many pieces per thread and no further, however many images there are."""
    decoded, ahead = [], []
    monkeypatch.setattr(stream, "PIECE", 1)
    monkeypatch.setattr(stream, "CHUNK", 2)
    monkeypatch.setattr(
        stream, "decode", lambda raw, images, **options: decoded.append("") or decode(raw, images, **options)
    )
    seen = 0

    def see(pixels):
        nonlocal seen
        seen += len(pixels)
        ahead.append(len(decoded) - seen)
        return model.see(pixels)

    parts = stream.parts_of(found(model, pictures, workers=1), see, classes=2, part_images=10)
    assert sum(len(part.rows) for part in parts) == 34
    assert max(ahead) <= 4 + len(BROKEN) + 1


def test_importing_the_package_brings_nothing_heavy() -> None:
    code = "import medical_transfer, sys; print(sorted({'torch', 'numpy', 'pandas', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert medical_transfer.load is load
