"""An image beside itself under each of its maps, as one strip of pixels.

Where a part speaks for the decided class it is orange, where it speaks against it blue; the stronger, the more opaque.
Shapes: images (S, S, 3) uint8, maps (g, g), P pixels of a panel's side.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from medical_transfer.reporting.explained_names import METHODS
from medical_transfer.reporting.style import PALETTE

PANEL: Final = 288
"""P: a third of it is lost again where many pictures share a page."""
GAP: Final = 6
OPAQUE: Final = 0.7
FOR, AGAINST = PALETTE[1], PALETTE[0]


@dataclass(frozen=True, eq=False)
class Strip:
    """Panels side by side, and what each of them shows."""

    pixels: NDArray[np.uint8]
    panels: tuple[str, ...]

    def png(self) -> bytes:
        """The strip as PNG."""
        memory = io.BytesIO()
        Image.fromarray(self.pixels).save(memory, "PNG")
        return memory.getvalue()


def strips(
    pixels: Sequence[NDArray[np.uint8]],
    maps: pd.DataFrame,
    image_ids: Iterable[str],
    methods: Mapping[str, Mapping[str, Any]],
) -> list[Strip]:
    """A strip for each image: as it is, then under the map of each method that has one.

    Args:
        pixels: the images.
        maps: rows `method, image_id, side, cells`.
        image_ids: of the images, in their order.
        methods: content of `methods` in `explanations.json`.
    """
    names = [name for name, facts in methods.items() if facts["reason"] is None]
    found = {(row["method"], row["image_id"]): _grid(row) for row in maps.to_dict("records")}
    return [
        _strip(image, {name: found[name, image_id] for name in names})
        for image, image_id in zip(pixels, image_ids, strict=True)
    ]


def painted(image_PP3: NDArray[np.uint8], map_gg: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The image under its map, which is enlarged to it and divided by its largest absolute value."""
    side = image_PP3.shape[0]
    values_PP = np.asarray(Image.fromarray(map_gg.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR))
    largest = float(np.abs(map_gg).max())
    if not largest:
        return image_PP3
    strength_PP1 = (OPAQUE * np.abs(values_PP) / largest).clip(0, OPAQUE)[..., None]
    colour_PP3 = np.where((values_PP > 0)[..., None], to_rgb(FOR), to_rgb(AGAINST)) * 255
    mixed: NDArray[np.uint8] = ((1 - strength_PP1) * image_PP3 + strength_PP1 * colour_PP3).round().astype(np.uint8)
    return mixed


def _grid(row: Mapping[Any, Any]) -> NDArray[np.float64]:
    return np.asarray(row["cells"], dtype=np.float64).reshape(row["side"], row["side"])


def _strip(image: NDArray[np.uint8], maps: Mapping[str, NDArray[np.float64]]) -> Strip:
    large = np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((PANEL, PANEL), Image.Resampling.BICUBIC))
    gap = np.full((PANEL, GAP, 3), 255, dtype=np.uint8)
    panels = [large, *(piece for map_gg in maps.values() for piece in (gap, painted(large, map_gg)))]
    return Strip(np.concatenate(panels, axis=1), ("Image", *(METHODS[name] for name in maps)))
