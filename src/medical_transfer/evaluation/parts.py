"""Predictions written as they come: a run that was killed goes on after the last part that is on disk."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

from medical_transfer.data.new_images import NewImages
from medical_transfer.evaluation.predictor import Predictor
from medical_transfer.runtime.files import atomic_path

PREDICTIONS_FILE = "predictions.parquet"


def write_in_parts(folder: Path, predictor: Predictor, new: NewImages, *, part_images: int) -> None:
    """Write the predictions table of new images to `folder`, in which a killed run may have left parts."""
    whole, parts = folder / PREDICTIONS_FILE, folder / "parts"
    if not whole.exists():
        first = next(number for number in count() if not _place(parts, number).exists())
        for number, table in enumerate(predictor.tables(new, part_images=part_images, first=first), start=first):
            with atomic_path(_place(parts, number)) as temporary:
                table.to_parquet(temporary, index=False)
        _join(parts, whole)
    shutil.rmtree(parts, ignore_errors=True)


def _place(parts: Path, number: int) -> Path:
    return parts / f"{number:06d}.parquet"


def _join(parts: Path, whole: Path) -> None:
    """One file of all parts, read one by one."""
    from pyarrow.parquet import ParquetWriter, read_schema, read_table  # noqa: PLC0415 - heavy

    places = sorted(parts.glob("*.parquet"))
    with atomic_path(whole) as temporary, ParquetWriter(temporary, read_schema(places[0])) as writer:
        for place in places:
            writer.write_table(read_table(place))
