"""Kedro's files, whole or absent: each is written beside its place and takes its name when it is complete."""

from __future__ import annotations

from copy import copy
from pathlib import Path, PurePosixPath
from typing import Any

from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import ParquetDataset
from kedro_datasets.text import TextDataset

from medical_transfer.runtime.files import atomic_path


class _WholeFile:
    """Saves through a neighbour of the file; loading and previews are those of the class beside it."""

    _filepath: PurePosixPath

    def save(self, data: Any) -> None:
        """Write the file, atomically."""
        with atomic_path(Path(self._filepath)) as temporary:
            writer = copy(self)
            writer._filepath = PurePosixPath(temporary)
            super(_WholeFile, writer).save(data)  # type: ignore[misc]  # of the dataset beside it


class WholeParquetDataset(_WholeFile, ParquetDataset):  # type: ignore[misc]  # untyped base
    """A pandas table."""


class WholeJSONDataset(_WholeFile, JSONDataset):  # type: ignore[misc]
    """Facts as JSON."""


class WholeTextDataset(_WholeFile, TextDataset):  # type: ignore[misc]
    """A text, for example the report."""
