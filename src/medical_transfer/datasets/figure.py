"""Figures in the catalog: saved as PNG, loaded as the PNG's bytes, shown by kedro-viz."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from kedro_datasets.matplotlib import MatplotlibDataset
from matplotlib.figure import Figure

from medical_transfer.reporting.embedding import png_of
from medical_transfer.runtime.files import atomic_path


class FigureDataset(MatplotlibDataset):  # type: ignore[misc]  # untyped base
    """A matplotlib figure that can be read again, as a picture: a report may be written long after it was drawn."""

    def save(self, data: Figure) -> None:
        """Write the figure as PNG."""
        with atomic_path(Path(str(self._filepath))) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box; the tables have the text
            temporary.write_bytes(png_of(data))

    def load(self) -> Any:
        """The PNG's bytes."""
        return Path(str(self._filepath)).read_bytes()
