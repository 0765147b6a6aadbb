"""The catalog's way to the decoded images: a handle to a memory map, never the pixels themselves."""

from __future__ import annotations

from pathlib import Path

from medical_transfer.data.cache import ImageCache
from medical_transfer.datasets.pointer import PointerDataset
from medical_transfer.runtime.files import read_json, write_json

NO_CACHE = ImageCache(Path())
"""The handle of a site that is absent; nothing can be read through it."""


class ImageCacheDataset(PointerDataset[ImageCache]):
    """The current `ImageCache`; loading it reads no pixel."""

    def _open(self, folder: Path) -> ImageCache:
        return ImageCache(folder)


class TargetImageCacheDataset(ImageCacheDataset):
    """The `ImageCache` of a second site, or `NO_CACHE` where there is none."""

    def save(self, data: ImageCache) -> None:
        """Point to the folder of `data`, or to nothing."""
        if data == NO_CACHE:
            write_json(self._filepath, {"folder": None})
        else:
            super().save(data)

    def load(self) -> ImageCache:
        """Open the current folder, if any.

        Raises:
            UserError: where the folder was removed or is incomplete.
        """
        return NO_CACHE if read_json(self._filepath)["folder"] is None else super().load()
