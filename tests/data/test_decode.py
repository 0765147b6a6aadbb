from __future__ import annotations

import io
import struct
import warnings
import zlib

import imagehash
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from medical_transfer.config.images import Images
from medical_transfer.data.decode import FORMATS, Unreadable, decode, eight_bits


def saved(image: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand, byte by byte (Pillow cannot write 16-bit colour or a header that lies)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def halves(mode: str, above, below, side: int = 16) -> Image.Image:
    """Two colours: of one alone there is nothing to see."""
    picture = Image.new(mode, (side, side), above)
    picture.paste(below, (0, side // 2, side, side))
    return picture


SMALL = Images(size=16)
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("image", "form", "expected"),
    [
        (halves("RGB", (10, 20, 30), (9, 9, 9)), "PNG", (10, 20, 30)),
        (halves("L", 77, 9), "PNG", (77, 77, 77)),
        (halves("1", 1, 0), "PNG", (255, 255, 255)),
        (halves("LA", (200, 0), (9, 255)), "PNG", (0, 0, 0)),
        (halves("RGBA", (200, 100, 50, 255), (9, 9, 9, 255)), "PNG", (200, 100, 50)),
        (halves("RGBA", (200, 100, 50, 0), (9, 9, 9, 255)), "PNG", (0, 0, 0)),
        # over black, colour x alpha/255: 200 x 128/255 = 100.4, 100 x 128/255 = 50.2, 50 x 128/255 = 25.1
        (halves("RGBA", (200, 100, 50, 128), (9, 9, 9, 255)), "PNG", (100, 50, 25)),
        # CMYK without black: 255 - ink
        (halves("CMYK", (255, 0, 100, 0), (9, 9, 9, 0)), "TIFF", (0, 255, 155)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_every_mode_becomes_rgb(image, form, expected):
    decoded = decode(saved(image, form), SMALL)
    assert decoded.mode == image.mode
    assert decoded.pixels_SS3.shape == (16, 16, 3)
    assert decoded.pixels_SS3.dtype == np.uint8
    np.testing.assert_array_equal(decoded.pixels_SS3[:8], np.broadcast_to(np.uint8(expected), (8, 16, 3)))
    assert (decoded.pixels_SS3[8:] != np.uint8(expected)).any(axis=2).all()


def test_palette_with_and_without_transparency():
    palette = halves("P", 1, 0)
    palette.putpalette([9, 9, 9, 30, 60, 90])
    assert decode(saved(palette), SMALL).pixels_SS3[0, 0].tolist() == [30, 60, 90]
    assert decode(saved(palette, transparency=1), SMALL).pixels_SS3[0, 0].tolist() == [0, 0, 0]
    assert decode(saved(palette, transparency=b"\xff\x00"), SMALL).pixels_SS3[0, 0].tolist() == [0, 0, 0]
    assert decode(saved(palette), SMALL).mode == "P"


def test_exif_orientation_is_applied():
    upright = np.zeros((32, 16, 3), dtype=np.uint8)
    upright[:16] = (255, 0, 0)  # red above
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned left: show it turned by 90 degrees clockwise
    stored = Image.fromarray(np.rot90(upright).copy())
    decoded = decode(saved(stored, "PNG", exif=exif), SMALL)
    assert (decoded.width, decoded.height) == (16, 32)
    assert decoded.pixels_SS3[0, :, 0].min() > 250
    assert decoded.pixels_SS3[-1, :, 0].max() < 5
    assert decoded.phash == decode(saved(Image.fromarray(upright)), SMALL).phash


def test_squash_fills_and_pad_keeps_the_shape_on_black():
    bright = np.full((16, 64, 3), 255, dtype=np.uint8)
    bright[:, 32:] = 254
    wide = saved(Image.fromarray(bright))
    assert decode(wide, SMALL).pixels_SS3.min() == 254
    padded = decode(wide, Images(size=16, fit="pad")).pixels_SS3
    # 64 x 16 -> 16 x 4, centred: rows 6..9
    assert padded[6:10].min() == 254
    assert padded[:6].max() == padded[10:].max() == 0


@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_grey_that_stays_one_channel_until_it_is_small_has_the_pixels_of_its_rgb(fit):
    grey, images = NOISE.convert("L").resize((90, 70)), Images(size=32, fit=fit)
    first, second = decode(saved(grey), images), decode(saved(grey.convert("RGB")), images)
    np.testing.assert_array_equal(first.pixels_SS3, second.pixels_SS3)
    assert (first.mode, second.mode, first.phash) == ("L", "RGB", second.phash)


def test_down_sampling_is_antialiased():
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    decoded = decode(saved(Image.fromarray(board.astype(np.uint8))), SMALL).pixels_SS3
    assert np.abs(decoded.astype(int) - 127.5).max() < 8, "without antialiasing single pixels would be picked"


def test_phash_is_imagehash_on_the_whole_grey_picture():
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((300, 200))
    decoded = decode(saved(picture), Images(size=16))
    assert decoded.phash == str(imagehash.phash(picture))
    assert len(decoded.phash) == 16


DEEP = np.array([[0, 257], [25700, 65535]], dtype=np.uint16)


@pytest.mark.parametrize(
    ("values", "rule", "expected"),
    [
        (DEEP, "full", [[0, 1], [100, 255]]),  # 65535 = 257 x 255
        (DEEP, (0, 514), [[0, 128], [255, 255]]),  # 257/514 = one half = 127.5, rounded up; above: clipped
        (np.array([[100, 150], [200, 300]], np.uint16), "image", [[0, 64], [128, 255]]),  # 63.75, 127.5
        (np.array([[7, 7]], np.uint16), "image", [[0, 0]]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), "full", [[0, 128, 255]]),
        (np.array([[-1000, 0, 1000]], np.int32), (-1000, 1000), [[0, 128, 255]]),
        (np.array([[2**30, 2**30 + 1, 2**30 + 2]], np.int32), "image", [[0, 128, 255]]),
        (np.array([[0, 1]], np.int16), "full", [[0, 0]]),
    ],
)
def test_deep_pixels_are_scaled_as_told(values, rule, expected):
    assert eight_bits(values, rule).tolist() == expected


@pytest.mark.parametrize(
    ("values", "rule", "words"),
    [
        (DEEP, "quarantine", "images.sixteen_bit"),
        (np.array([[0.0, np.nan]], np.float32), "image", "NaN"),
        (np.array([[0.0, np.inf]], np.float32), "full", "infinite"),
        (np.array([[0.0, 1.5]], np.float32), "full", "outside 0..1"),
        (np.array([[0, 70000]], np.int32), "full", "outside 0..65535"),
        (np.array([[-1, 5]], np.int32), "full", "outside 0..65535"),
        (DEEP, (5, 5), "no range"),
    ],
)
def test_deep_pixels_are_never_guessed(values, rule, words):
    with pytest.raises(Unreadable, match=words):
        eight_bits(values, rule)


def test_sixteen_bit_and_float_files():
    upper = np.arange(16)[:, None].repeat(16, axis=1) < 8
    deep = Image.fromarray(np.where(upper, 25700, 0).astype(np.uint16))
    floats = Image.fromarray(np.where(upper, 0.2, 0).astype(np.float32))
    for raw in (saved(deep), saved(deep, "TIFF"), saved(floats, "TIFF")):
        with pytest.raises(Unreadable, match="more than 8 bits"):
            decode(raw, SMALL)
    full = Images(size=16, sixteen_bit="full")
    assert decode(saved(deep), full).pixels_SS3[0, 0].tolist() == [100, 100, 100]
    assert decode(saved(floats, "TIFF"), full).pixels_SS3[0, 0].tolist() == [51, 51, 51]


def test_sixteen_bit_colour_is_seen_though_pillow_hides_it():
    above, below = (b"\0" + struct.pack(">HHH", *each) * 16 for each in ((0x0AFF, 0x14FF, 0x1EFF), (1, 2, 3)))
    raw, tiny = png(16, 16, depth=16, colour=2, rows=above * 8 + below * 8), Images(size=16, min_side=1)
    with pytest.raises(Unreadable, match="in colour"):
        decode(raw, tiny)
    with pytest.raises(Unreadable, match="in colour"):
        decode(b"P6 1 1 65535\n" + bytes(6), tiny)
    decoded = decode(raw, tiny.model_copy(update={"sixteen_bit": "full"}))
    np.testing.assert_allclose(decoded.pixels_SS3[0, 0], [10, 20, 30], atol=1)


def test_jpeg_2000_says_its_depth_in_the_codestream():
    raw = saved(NOISE, "JPEG2000")
    assert decode(raw, SMALL).mode == "RGB"
    deep = bytearray(raw)
    # SOC (2 bytes), SIZ marker (2), length and capabilities (4), eight 4-byte sizes (32), count (2), then the depth - 1
    depth_at = raw.index(b"\xff\x4f\xff\x51") + 2 + 2 + 4 + 32 + 2
    assert deep[depth_at] == 7
    deep[depth_at] = 15
    with pytest.raises(Unreadable, match="in colour"):
        decode(bytes(deep), SMALL)


@pytest.mark.parametrize(
    ("values", "colour"),
    [
        (np.full((20, 30), 9, np.uint8), 9),
        (np.full((20, 30, 1), 9, np.uint8), 9),
        (np.full((20, 30, 3), 9, np.uint8), 9),
        (np.full((20, 30), True), 255),
    ],
)
def test_arrays_are_pictures(values, colour):
    values[10:] = 0
    decoded = decode(values, SMALL)
    assert (decoded.width, decoded.height) == (30, 20)
    # the filter reaches 2 x 20/16 pixels: rows 6..9 see both halves
    assert (decoded.pixels_SS3[:6] == colour).all()
    assert (decoded.pixels_SS3[10:] == 0).all()


@pytest.mark.parametrize("fit", ["squash", "pad"])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (10, 20, 30)])
def test_one_plain_colour_is_no_picture_and_the_least_of_marks_is_one(fit, colour):
    images = Images(size=16, fit=fit)
    values = np.broadcast_to(np.uint8(colour), (20, 30, 3)).copy()
    for form in (values, Image.fromarray(values), saved(Image.fromarray(values))):
        with pytest.raises(Unreadable, match=r"one plain colour at 16 x 1[16] pixels: there is nothing to see"):
            decode(form, images)
    values[8:12, 8:12, 2] ^= 64
    assert decode(values, images).width == 30


def test_sixteen_bits_of_one_value_are_plain_under_any_rule():
    for rule in ("image", "full", (0, 99)):
        with pytest.raises(Unreadable, match="plain colour"):
            decode(np.full((20, 20), 50, np.uint16), Images(size=16, sixteen_bit=rule))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((4, 4, 4), np.uint8), "shape"),
        (np.zeros((0, 4), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.array([["a"]]), "numbers"),
        (np.zeros((8, 8), np.uint16), "more than 8 bits"),
        (np.zeros((200, 200), np.uint8), "max_pixels"),
    ],
)
def test_arrays_that_are_no_pictures(values, words):
    with pytest.raises(Unreadable, match=words):
        decode(values, Images(size=16, max_pixels=1000))


@pytest.mark.parametrize("side", [(2, 2), (7, 400), (400, 7)])
def test_nothing_can_be_seen_in_a_sliver(side):
    sliver = Image.linear_gradient("L").resize(side)
    for form in (saved(sliver), np.asarray(sliver), sliver):
        with pytest.raises(Unreadable, match=f"has {side[0]} x {side[1]} pixels, .* images.min_side=8"):
            decode(form, SMALL)
    assert decode(sliver.resize((8, 8)), SMALL).width == 8


def test_a_large_header_is_refused_before_decoding():
    lying = png(50_000, 50_000, depth=8, colour=2, rows=b"")
    with pytest.raises(Unreadable, match="header promises"):
        decode(lying, SMALL)
    with pytest.raises(Unreadable, match=r"100 x 100 pixels, more than images\.max_pixels=9999"):
        decode(saved(halves("L", 0, 9, side=100)), Images(size=16, max_pixels=9_999))
    assert decode(saved(halves("L", 0, 9, side=100)), Images(size=16, max_pixels=10_000)).width == 100


def test_pillow_s_warnings_stay_inside_and_the_filters_come_back():
    just_warned_of = png(10_000, 9_000, depth=8, colour=0, rows=b"")  # 90 megapixels: Pillow warns
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True, action="always") as caught:
        for raw in (just_warned_of, b"II*\0" + b"\xff" * 40):
            with pytest.raises(Unreadable):
                decode(raw, SMALL)
    assert caught == []
    assert list(warnings.filters) == before


@pytest.mark.parametrize("raw", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"text", b"\0" * 99])
def test_no_image_and_no_program_started(raw):
    with pytest.raises(Unreadable, match="not an image"):
        decode(raw, SMALL)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    size=st.integers(16, 40),
    fit=st.sampled_from(["squash", "pad"]),
    channels=st.sampled_from([(), (1,), (3,)]),
)
def test_any_shape_becomes_the_square(height, width, size, fit, channels):
    assume(height * width > 1)  # one pixel is one plain colour
    values = np.arange(height * width * int(np.prod(channels)), dtype=np.uint8).reshape(height, width, *channels)
    decoded = decode(values, Images(size=size, fit=fit, min_side=1))
    assert decoded.pixels_SS3.shape == (size, size, 3)
    assert (decoded.width, decoded.height) == (width, height)
    assert int(decoded.phash, 16) < 2**64


WHOLE = [saved(NOISE, form) for form in FORMATS if form != "JPEG2000"]


@settings(max_examples=300, deadline=None)
@given(data=st.data(), raw=st.sampled_from(WHOLE))
def test_hostile_bytes_end_in_pixels_or_a_reason(data, raw):
    broken = bytearray(raw[: data.draw(st.integers(0, len(raw)), label="cut")])
    for _ in range(data.draw(st.integers(0, 4), label="flips")):
        if broken:
            at = data.draw(st.integers(0, min(len(broken), 300) - 1))
            broken[at] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(broken), Images(size=16, max_pixels=100_000))
    except Unreadable as refused:
        assert str(refused)
        assert "\n" not in str(refused)
        assert "0x" not in str(refused)
    else:
        assert decoded.pixels_SS3.shape == (16, 16, 3)
