"""From the bytes of one file (or one array of an archive) to a square picture of 8-bit RGB.

Every image of the house passes here, so that training, scoring and prediction see the same pixels. What cannot be
read without guessing is refused with a reason that stands in the audit.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
import zlib
from dataclasses import dataclass
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from medical_transfer.config.images import Images

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000")
"""What is tried, by content and not by suffix. Others of Pillow's formats start programs (EPS) or are rare."""

DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")

PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    RuntimeError,
    MemoryError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders were seen to raise on hostile bytes."""


class Unreadable(Exception):  # noqa: N818 - a fact about a file, not a fault of the program
    """One image cannot be used; the message is the reason that stands in its audit row."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image as it is cached: pixels, and facts about the original (its size as displayed, its mode in the file)."""

    pixels_SS3: NDArray[np.uint8]
    width: int
    height: int
    mode: str
    phash: str


def decode(raw: bytes | NDArray[Any] | Image.Image, images: Images, *, hashed: bool = True) -> Decoded:
    """Decode one image and bring it to `images.size` by `images.fit`, bicubic with antialiasing.

    EXIF orientation is applied; palette, CMYK, grey and one-bit pictures become RGB; transparency is laid on black.
    A picture of one plain colour is refused: a network would answer it like any other.
    More than 8 bits become 8 as `images.sixteen_bit` says. An array is (H, W), (H, W, 1) or (H, W, 3). A picture that
    Pillow has opened already is taken as it is there: 16-bit colour was cut to 8 bits then.

    `phash` is the 64-bit perceptual hash (DCT) of the whole picture's grey, 16 hexadecimal digits, by imagehash; empty
    where it is not wanted.

    Raises:
        Unreadable: with the reason.
    """
    with quiet_decoders:
        try:
            if isinstance(raw, np.ndarray):
                picture, mode = _from_array(raw, images)
            elif isinstance(raw, Image.Image):
                picture, mode = _from_picture(raw, images)
            else:
                picture, mode = _from_bytes(raw, images)
            pixels_SS3 = np.asarray(_square(picture, images).convert("RGB"))
            phash = str(imagehash.phash(picture)) if hashed else ""
            return Decoded(pixels_SS3, picture.width, picture.height, mode, phash)
        except UnidentifiedImageError as error:
            raise Unreadable("not an image") from error
        except Image.DecompressionBombError as error:
            raise Unreadable(f"header promises too many pixels: {one_line(error)}") from error
        except PILLOW_ERRORS as error:
            raise Unreadable(f"cannot be decoded: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """Message of a foreign error as one short line that is the same in every run (no addresses, no line breaks)."""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", str(error) or type(error).__name__)
    return " ".join(text.split())[:200]


def eight_bits(values: NDArray[Any], rule: str | tuple[float, float]) -> NDArray[np.uint8]:
    """Scale integers of more than 8 bits, or floats, of any shape to 0..255 by `images.sixteen_bit`.

    `full`: 0..65535 (floats: 0..1), and values outside are refused; `image`: own minimum..maximum; (low, high): values
    outside are clipped.

    Raises:
        Unreadable: the rule is `quarantine`, or the values do not fit the rule.
    """
    low, high = _range(values, rule)
    exact: NDArray[Any] = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    share = np.clip((exact - low) / ((high - low) or 1.0), 0, 1)
    scaled: NDArray[np.uint8] = np.floor(share * 255 + 0.5).astype(np.uint8)
    return scaled


def _range(values: NDArray[Any], rule: str | tuple[float, float]) -> tuple[float, float]:
    if rule == "quarantine":
        raise Unreadable("more than 8 bits per channel: say by images.sixteen_bit how they become 8")
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low + high):
        raise Unreadable("holds NaN or infinite values")
    if rule == "image":
        return low, high
    if rule == "full":
        top = 1.0 if values.dtype.kind == "f" else 65535.0
        if low < 0 or high > top:
            raise Unreadable(f"values {low:g}..{high:g} lie outside 0..{top:g}: give images.sixteen_bit as [low, high]")
        return 0.0, top
    low, high = float(rule[0]), float(rule[1])
    if not low < high:
        raise Unreadable(f"images.sixteen_bit = [{low:g}, {high:g}] is no range: low must be below high")
    return low, high


def _from_bytes(raw: bytes, images: Images) -> tuple[Image.Image, str]:
    if not raw:
        raise Unreadable("zero bytes")
    with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
        _check_single(image, images)
        mode = image.mode
        if mode not in DEEP_MODES and _is_deep_colour(image, raw) and images.sixteen_bit != "full":
            raise Unreadable("more than 8 bits per channel in colour: only images.sixteen_bit=full applies")
        ImageOps.exif_transpose(image, in_place=True)
        return _grey_or_rgb(image, images), mode


def _from_picture(image: Image.Image, images: Images) -> tuple[Image.Image, str]:
    _check_single(image, images)
    return _grey_or_rgb(ImageOps.exif_transpose(image), images), image.mode


def _check_single(image: Image.Image, images: Images) -> None:
    check_size(image.width, image.height, images)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise Unreadable(f"animated or of several pages: {frames} frames, expected one picture")


def _is_deep_colour(image: Image.Image, raw: bytes) -> bool:
    """Whether Pillow would silently keep only the high byte of each colour (it has no 16-bit RGB mode)."""
    tile: Any = getattr(image, "tile", None)
    if tile and tile[0][0] == "ppm":
        return bool(tile[0][3][-1] > 255)
    if image.format == "JPEG2000":
        start = raw.find(b"\xff\x4f\xff\x51")  # start of codestream, then SIZ, whose 43rd byte holds depth - 1
        return start >= 0 and (raw[start + 42] & 0x7F) + 1 > 8
    return bool(tile) and re.search(r";16[BLN]", str(tile[0][3])) is not None


def _grey_or_rgb(image: Image.Image, images: Images) -> Image.Image:
    """8 bits, mode L or RGB: grey stays one channel until it is small, a third of the work with the same result."""
    if image.mode in DEEP_MODES:
        return Image.fromarray(eight_bits(np.asarray(image), images.sixteen_bit))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _from_array(values: NDArray[Any], images: Images) -> tuple[Image.Image, str]:
    mode = "RGB" if values.ndim == 3 and values.shape[2] == 3 else "L"
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 3))) or values.size == 0:
        raise Unreadable(f"array of shape {values.shape}, expected (height, width) or (height, width, 1 or 3)")
    if values.dtype.kind not in "buif":
        raise Unreadable(f"array of {values.dtype}, expected numbers")
    check_size(values.shape[1], values.shape[0], images)
    if values.dtype == np.bool_:
        mode, values = "1", values.astype(np.uint8) * np.uint8(255)
    elif values.dtype != np.uint8:
        mode, values = str(values.dtype), eight_bits(values, images.sixteen_bit)
    if values.shape[2:] == (1,):
        values = values[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(values)), mode


def check_size(width: int, height: int, images: Images) -> None:
    """Refuse what no picture can be seen in, and what would fill memory.

    Raises:
        Unreadable: it has less than `min_side` or more than `max_pixels`.
    """
    if min(width, height) < images.min_side:
        raise Unreadable(f"has {width} x {height} pixels, a side of less than images.min_side={images.min_side}")
    if width * height > images.max_pixels:
        raise Unreadable(f"header promises {width} x {height} pixels, more than images.max_pixels={images.max_pixels}")


def _square(picture: Image.Image, images: Images) -> Image.Image:
    side = images.size
    if images.fit == "squash":
        return _as_seen(picture, side, side)
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    padded = Image.new(picture.mode, (side, side))
    padded.paste(_as_seen(picture, width, height), ((side - width) // 2, (side - height) // 2))
    return padded


def _as_seen(picture: Image.Image, width: int, height: int) -> Image.Image:
    small = picture.resize((width, height), Image.Resampling.BICUBIC)
    if small.getcolors(maxcolors=1):
        raise Unreadable(f"one plain colour at {width} x {height} pixels: there is nothing to see")
    return small


class _QuietDecoders:
    """Silence decoders' warnings while any thread decodes: what they warn of is refused, converted or harmless here.

    Warning filters belong to the process; `catch_warnings` entered by several threads restores them in the wrong
    order. So the first thread in saves them and the last one out restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(None, None, None)


quiet_decoders = _QuietDecoders()
