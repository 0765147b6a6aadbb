"""Pictures as data URIs, so that the page is one file; all of them together stay within a budget of bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from medical_transfer.reporting.style import DOTS_PER_INCH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUDGET_BYTES: Final = 2_700_000
"""Of base64 text, for all pictures of a page (the page itself stays below 3 MB)."""
_SCALES: Final = (1.0, 0.8, 0.65, 0.5, 0.33, 0.22)
_JPEG_QUALITY: Final = 88
_CSS_DOTS_PER_INCH: Final = 96


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture for an `img` element: its data URI and its size in CSS pixels (96 per inch)."""

    uri: str
    width_px: int
    height_px: int


def png_of(figure: Figure) -> bytes:
    """A figure as PNG at the house's resolution; equal figures give equal bytes."""
    memory = io.BytesIO()
    # The software's own name in the file would hold an address and a version, and make equal figures differ.
    figure.savefig(memory, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    return memory.getvalue()


def embed_pictures(pictures: Mapping[str, bytes], *, budget_bytes: int = BUDGET_BYTES) -> dict[str, Embedded]:
    """All PNG pictures at the finest resolution whose sum fits the budget (at the coarsest one if none does)."""
    embedded: dict[str, Embedded] = {}
    for scale in _SCALES:
        embedded = {name: _embed(png, scale) for name, png in pictures.items()}
        if sum(len(one.uri) for one in embedded.values()) <= budget_bytes:
            break
    return embedded


def _embed(png: bytes, scale: float) -> Embedded:
    """Photographs become JPEG where that is smaller; drawings stay PNG."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    smaller = picture if scale == 1 else picture.resize(size, Image.Resampling.LANCZOS)
    as_png = png if scale == 1 else _encoded(smaller, "PNG")
    as_jpeg = _encoded(smaller, "JPEG", quality=_JPEG_QUALITY)
    kind, content = ("jpeg", as_jpeg) if len(as_jpeg) < len(as_png) else ("png", as_png)
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    ratio = _CSS_DOTS_PER_INCH / DOTS_PER_INCH
    return Embedded(uri, round(picture.width * ratio), round(picture.height * ratio))


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    memory = io.BytesIO()
    picture.save(memory, kind, **options)
    return memory.getvalue()
