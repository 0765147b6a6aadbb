"""Maps as rows of a table: one for each method and image, its cells row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def map_table(maps: Mapping[str, NDArray[np.float64]], image_ids: Iterable[str]) -> pd.DataFrame:
    """`method, image_id, side` (g) and `cells` (g x g numbers) of maps (N, g, g) by method."""
    ids = list(image_ids)
    rows = [
        {"method": method, "image_id": image_id, "side": map_gg.shape[0], "cells": map_gg.ravel()}
        for method, maps_Ngg in maps.items()
        for image_id, map_gg in zip(ids, maps_Ngg, strict=True)
    ]
    return pd.DataFrame(rows, columns=["method", "image_id", "side", "cells"])


def maps_of(table: pd.DataFrame, method: str, image_ids: Iterable[str]) -> NDArray[np.float64]:
    """Maps (N, g, g) of one method, in the order of `image_ids`."""
    found = table[table["method"] == method].set_index("image_id").loc[list(image_ids)]
    side = int(found["side"].iloc[0])
    return np.stack([np.asarray(cells, dtype=np.float64).reshape(side, side) for cells in found["cells"]])
