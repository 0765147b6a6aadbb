"""A dataset that stores which content-addressed folder is the current one; what is large stays where it is."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset

from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.stage import MARK
from medical_transfer.types import UserError

Handle = TypeVar("Handle")


class PointerDataset(AbstractDataset[Handle, Handle], Generic[Handle]):
    """Saves a handle as the path of its folder, relative to the pointer's own place where it lies below it."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    @abstractmethod
    def _open(self, folder: Path) -> Handle:
        """The handle of a folder; each kind of content says how."""

    def save(self, data: Handle) -> None:
        """Point to the folder of `data`."""
        folder = Path(data.folder)  # type: ignore[attr-defined]
        base = self._filepath.parent.resolve()
        inside = folder.resolve().is_relative_to(base)
        write_json(self._filepath, {"folder": str(folder.resolve().relative_to(base) if inside else folder.resolve())})

    def load(self) -> Handle:
        """Open the current folder.

        Raises:
            UserError: where the folder was removed or is incomplete.
        """
        folder = self._filepath.parent / read_json(self._filepath)["folder"]
        if not (folder / MARK).exists():
            raise UserError(
                f"{self._filepath} points to {folder}, which is missing or incomplete: run its stage again."
            )
        return self._open(folder)

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
