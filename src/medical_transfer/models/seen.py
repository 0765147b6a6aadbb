"""What a source makes of images, as it is kept: features, and the probabilities of its own classes. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medical_transfer.runtime.files import read_json, write_json

FEATURES, PROBABILITIES, OWN_HEAD = "features.npy", "probabilities.npy", "own_head.json"


class Seen(NamedTuple):
    """What a source makes of N images: features (N, D), and probabilities (N, K) or the reason why there are none."""

    features_ND: NDArray[np.float32]
    probabilities_NK: NDArray[np.float32] | None
    why_none: str | None


def write_seen(folder: Path, seen: Seen) -> None:
    """Write `features.npy`, `probabilities.npy` where there are any, and `own_head.json`: how many classes, or why."""
    np.save(folder / FEATURES, seen.features_ND)
    probabilities_NK = seen.probabilities_NK
    if probabilities_NK is not None:
        np.save(folder / PROBABILITIES, probabilities_NK)
    classes = None if probabilities_NK is None else probabilities_NK.shape[1]
    write_json(folder / OWN_HEAD, {"classes": classes, "why_none": seen.why_none})


def read_seen(folder: Path) -> Seen:
    """Read-only memory maps of what `write_seen` wrote."""
    told = read_json(folder / OWN_HEAD)
    probabilities_NK = None if told["classes"] is None else np.load(folder / PROBABILITIES, mmap_mode="r")
    return Seen(np.load(folder / FEATURES, mmap_mode="r"), probabilities_NK, told["why_none"])
