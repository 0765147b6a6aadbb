"""Images per second of ingestion (read, decode, audit, hash, cache) beside one thread of PIL, in turn.

    python benchmarks/audit.py                       # 600 images of the built-in sample, under a minute
    python benchmarks/audit.py --images 3000

Theirs: in one thread, file by file, sha256 of the bytes, PIL's decoding to RGB, imagehash's phash. Ours: the whole of
ingestion, which does that and more (the content key reads each file once more; EXIF, transparency and bit depth are
looked at; pixels are brought to size and cached; the audit is written), with one thread per core and with one.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import statistics
import tempfile
from pathlib import Path

import imagehash
import pandas as pd
from pictures import PACKAGES, add_pictures, write_pictures
from PIL import Image
from report import Ratio, add_out, interleaved, publish

from medical_transfer.config.images import Images
from medical_transfer.data.cache import build_image_cache
from medical_transfer.runtime.cores import cores

THEIRS, OURS, ONE_THREAD = "PIL, one thread", "ours", "ours, one thread"


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="audit_") as name:
        scratch = Path(name)
        root = scratch / "images"
        write_pictures(root, arguments.images, drawn=arguments.drawn)
        jobs = {
            THEIRS: lambda: read_by_pil(root),
            OURS: lambda: ingest(root, scratch / "caches", workers=None),
            ONE_THREAD: lambda: ingest(root, scratch / "caches", workers=1),
        }
        told, kept = jobs[THEIRS](), jobs[OURS]()  # warms the disk's cache up
        check_same(told, kept)
        seconds = interleaved(jobs, rounds=arguments.rounds)
    publish("audit", summary(seconds, arguments.images), arguments=arguments, ratios=ratios(seconds))


def read_by_pil(root: Path) -> pd.DataFrame:
    """sha256 and perceptual hash of each file."""
    rows = []
    for file in sorted(root.glob("*/*.jpg")):
        raw = file.read_bytes()
        with Image.open(io.BytesIO(raw)) as image:
            seen = imagehash.phash(image.convert("RGB"))
        rows.append((file.relative_to(root).as_posix(), hashlib.sha256(raw).hexdigest(), str(seen)))
    return pd.DataFrame(rows, columns=["path", "sha256", "phash"])


def ingest(root: Path, caches: Path, *, workers: int | None) -> pd.DataFrame:
    """The audit of a fresh cache."""
    shutil.rmtree(caches, ignore_errors=True)
    images = Images(kind="folder", root=root, workers=workers)
    return build_image_cache(images, PACKAGES, caches).audit


def check_same(theirs: pd.DataFrame, ours: pd.DataFrame) -> None:
    """Both must have done the same work: as many files, the same sums."""
    names = ["path", "sha256"]
    both = theirs[names].merge(ours[names].astype(str), on=names)
    if not len(both) == len(theirs) == len(ours):
        raise SystemExit(f"{len(theirs)} files by PIL, {len(ours)} by ours, {len(both)} alike: not the same work.")


def summary(seconds: dict[str, list[float]], images: int) -> pd.DataFrame:
    rows = {name: {"images/s": images / statistics.median(values)} for name, values in seconds.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("way")
    table["threads"] = [1, cores(), 1]
    return table


def ratios(seconds: dict[str, list[float]]) -> list[Ratio]:
    return [
        Ratio(
            f"images/s of ingestion, {name} / {THEIRS}",
            [theirs / ours for theirs, ours in zip(seconds[THEIRS], seconds[name], strict=True)],
        )
        for name in (OURS, ONE_THREAD)
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    add_pictures(parser, images=600)
    add_out(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
