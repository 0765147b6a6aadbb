"""The catalog's way to the decoded images: a handle to a memory map, never the pixels themselves."""

from __future__ import annotations

from pathlib import Path

from medical_transfer.data.cache import ImageCache
from medical_transfer.datasets.pointer import PointerDataset


class ImageCacheDataset(PointerDataset[ImageCache]):
    """The current `ImageCache`; loading it reads no pixel."""

    def _open(self, folder: Path) -> ImageCache:
        return ImageCache(folder)
