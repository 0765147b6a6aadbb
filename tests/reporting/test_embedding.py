from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from medical_transfer.reporting.embedding import embed_pictures, png_of
from medical_transfer.reporting.pictures import errors_figure
from medical_transfer.reporting.style import new_figure


def content(uri: str) -> bytes:
    return base64.b64decode(uri.split(",", 1)[1])


def picture(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(content(uri)))


def drawing() -> bytes:
    figure, axes = new_figure(width=4, height=2)
    axes[0, 0].plot([0, 1], [0, 1])
    return png_of(figure)


def noise_sheet() -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    return png_of(errors_figure([noise] * 4, list("abcd")))


def test_a_drawing_is_a_png_without_addresses_and_equal_each_time() -> None:
    assert drawing() == drawing()
    embedded = embed_pictures({"a": drawing()})["a"]
    assert embedded.uri.startswith("data:image/png;base64,")
    assert (embedded.width_px, embedded.height_px) == (384, 192)  # 4 x 2 inches at 96 per inch
    assert picture(embedded.uri).size == (576, 288)  # 144 dots per inch
    assert b"http" not in content(embedded.uri)


def test_photographs_are_jpeg() -> None:
    assert embed_pictures({"a": noise_sheet()})["a"].uri.startswith("data:image/jpeg;base64,")


def test_resolution_falls_until_the_budget_holds_and_the_shown_size_stays() -> None:
    full = embed_pictures({"a": noise_sheet()}, budget_bytes=10**9)["a"]
    small = embed_pictures({"a": noise_sheet()}, budget_bytes=len(full.uri) // 2)["a"]
    assert len(small.uri) <= len(full.uri) // 2
    assert picture(small.uri).width < picture(full.uri).width
    assert (small.width_px, small.height_px) == (full.width_px, full.height_px)


def test_a_budget_that_nothing_fits_still_gives_a_picture() -> None:
    tiny = embed_pictures({"a": noise_sheet()}, budget_bytes=1)["a"]
    assert picture(tiny.uri).width == round(0.22 * 144 * 7)
