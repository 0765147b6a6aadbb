"""What can be known of an image without looking at what it shows: size, format, compression, border, metadata.

Shapes: N images, S pixels of one side, F features.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.levels import NO_COLUMNS, NOT_GIVEN

Floats = NDArray[np.float64]

RING = 1 / 20
"""Width of the border as a share of the side."""
BLACK = 8
"""Grey values below this are empty background."""
AT_ONCE = 512


def giveaways(
    rows: pd.DataFrame, bytes_N: Floats, pixels_NSS3: NDArray[np.uint8], slots_N: NDArray[np.int64], config: Evaluation
) -> dict[str, Floats]:
    """Features (N, F) of each family that varies at all.

    Args:
        rows: of the manifest: path, width, height, mode, site and the table's own columns.
        bytes_N: size of each file; NaN where it is not known.
        pixels_NSS3: of the image cache.
        slots_N: where the pixels of each row are.
        config: how many values a column of text may have.
    """
    width_N, height_N = (rows[name].to_numpy(dtype=float, na_value=np.nan) for name in ("width", "height"))
    found = {
        "size": _columns(np.log(width_N), np.log(height_N), np.log(width_N / height_N)),
        "format": _indicators(rows["mode"], rows["path"].map(lambda path: PurePosixPath(str(path)).suffix.lower())),
        "compression": _columns(np.log(bytes_N), np.log(bytes_N / (width_N * height_N))),
        "border": borders(pixels_NSS3, slots_N),
        "metadata": _metadata(rows, config),
    }
    varying = {name: features[:, np.ptp(features, axis=0) > 0] for name, features in found.items() if features.size}
    return {name: features for name, features in varying.items() if features.shape[1]}


def borders(pixels_NSS3: NDArray[np.uint8], slots_N: NDArray[np.int64]) -> Floats:
    """Mean, deviation and share of black of the outermost ring at each of the four sides (N, 12), in grey values."""
    side = pixels_NSS3.shape[1]
    ring = max(2, round(side * RING))
    parts = []
    for start in range(0, len(slots_N), AT_ONCE):
        grey_nSS = pixels_NSS3[slots_N[start : start + AT_ONCE]].mean(axis=3)
        strips = (grey_nSS[:, :ring], grey_nSS[:, -ring:], grey_nSS[:, :, :ring], grey_nSS[:, :, -ring:])
        flat = [strip.reshape(len(grey_nSS), -1) for strip in strips]
        columns = [f(each) for each in flat for f in (_mean, _deviation, _black)]
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts) if parts else np.empty((0, 12))


def _mean(strip_nP: Floats) -> Floats:
    return np.asarray(strip_nP.mean(axis=1))


def _deviation(strip_nP: Floats) -> Floats:
    return np.asarray(strip_nP.std(axis=1))


def _black(strip_nP: Floats) -> Floats:
    return np.asarray((strip_nP < BLACK).mean(axis=1))


def _columns(*features: Floats) -> Floats:
    """Numbers side by side; a missing one becomes the mean, and that it is missing a feature of its own."""
    found: list[Floats] = []
    for feature_N in features:
        missing_N = ~np.isfinite(feature_N)
        if missing_N.all():
            continue
        found.append(np.where(missing_N, feature_N[~missing_N].mean(), feature_N))
        if missing_N.any():
            found.append(missing_N.astype(float))
    return np.stack(found, axis=1) if found else np.empty((len(features[0]), 0))


def _indicators(*columns: pd.Series) -> Floats:
    tables = [pd.get_dummies(column.astype("string").fillna(NOT_GIVEN)).to_numpy(dtype=float) for column in columns]
    return np.concatenate(tables, axis=1)


def _metadata(rows: pd.DataFrame, config: Evaluation) -> Floats:
    """The site and the table's own columns: numbers as they are, text of few values as indicators."""
    tables = [np.empty((len(rows), 0))]
    for name in ["site", *(column for column in rows.columns if column not in NO_COLUMNS)]:
        numbers = pd.to_numeric(rows[name], errors="coerce")
        if rows[name].notna().any() and numbers.notna().eq(rows[name].notna()).all():
            tables.append(_columns(numbers.to_numpy(dtype=float, na_value=np.nan)))
        elif rows[name].nunique() <= config.most_levels:
            tables.append(_indicators(rows[name]))
    return np.concatenate(tables, axis=1)
