"""One root seed, one independent stream per name: adding a method moves nobody else's random numbers."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(root_seed: int, name: str) -> int:
    """Seed of the stream called `name`: the first 32 bits of sha256(root_seed/name)."""
    digest = hashlib.sha256(f"{root_seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def generator(root_seed: int, name: str) -> np.random.Generator:
    """NumPy generator of the stream called `name`."""
    return np.random.default_rng(derive_seed(root_seed, name))
