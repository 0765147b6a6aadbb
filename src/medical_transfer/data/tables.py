"""Tables that name images: read from CSV or Parquet, their known columns typed, all others kept."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medical_transfer.data.label_check import SUPPORTED, finding_columns
from medical_transfer.types import AUDIT_COLUMNS, FOUND_COLUMNS, UserError

TEXT = pd.StringDtype(na_value=np.nan)
"""Column type of text; missing is NaN."""

NO_ROW = "no row in the table"
NO_PATH = "no path in the table"
"""Why a file, or a row, is not read."""

KNOWN_COLUMNS = {"path": "path", "label": "label", "group": "group_id", "split": "split", "site": "site"}
"""Column of a table -> column of the found rows."""

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""How folders, arrays and tables call a split, in any case."""


def found_frame(
    paths: Iterable[str], label: Iterable[str | None] | None = None, split: Iterable[str | None] | None = None
) -> pd.DataFrame:
    """Found rows of a reader that knows paths and perhaps labels and splits."""
    frame = pd.DataFrame({"path": text(paths)})
    for column, values in {"label": label, "group_id": None, "split": split, "site": None}.items():
        frame[column] = text([None] * len(frame) if values is None else values)
    return frame[list(FOUND_COLUMNS)]


def read_table(table: Path, *, need_labels: bool, quote_cells: bool = True) -> pd.DataFrame:
    """Rows of a table as `types.FOUND_COLUMNS` plus its own columns, in its order.

    Numbers as labels or groups become text (`1`, also where missing values made them 1.0). An own column that has a
    name of the audit gets the prefix `table_`. Errors quote the cell in question unless `quote_cells` forbids it.

    Raises:
        UserError: the table is missing or unreadable, lacks a column or has one twice, holds several values in one cell
            of a known column, or has a split of unknown name.
    """
    raw = _load(table)
    _refuse_twice(raw.columns, table)
    needed = ["path", "label"] if need_labels else ["path"]
    for column in needed:
        if column not in raw.columns:
            findings = finding_columns(raw, KNOWN_COLUMNS)
            if column == "label" and len(findings) > 1:
                raise UserError(
                    f"{table} has no column 'label', but {len(findings)} columns of one finding each "
                    f"({', '.join(findings[:3])}, ...); {SUPPORTED}, no multi-label sets. Write a column 'label' that "
                    "says for each image whether the finding that you want is there, and leave uncertain ones empty."
                )
            raise UserError(
                f"{table} has no column {column!r}: found {list(map(str, raw.columns))}, expected path and label "
                "(optional: group, split, site). Rename your columns."
            )
    for column in KNOWN_COLUMNS:
        _refuse_nested(raw.get(column, ()), column, table, quote=quote_cells)
    nothing = [None] * len(raw)
    frame = pd.DataFrame({new: tidy(raw.get(old, nothing)) for old, new in KNOWN_COLUMNS.items()})
    frame["path"] = text(None if pd.isna(path) else str(path) for path in raw["path"])
    frame["split"] = _splits(frame["split"], table)
    own = raw[[column for column in raw.columns if column not in KNOWN_COLUMNS]].convert_dtypes()
    own.columns = [f"table_{name}" if name in (*AUDIT_COLUMNS, "slot") else str(name) for name in own.columns]
    _refuse_twice(own.columns, table)
    return pd.concat([frame[list(FOUND_COLUMNS)], own], axis=1)


def text(values: Iterable[str | None]) -> pd.Series[str]:
    """A text column, every character kept."""
    return pd.Series(list(values), dtype=TEXT)


def tidy(values: Iterable[Any]) -> pd.Series[str]:
    """A text column: whole numbers without decimals, surrounding blanks removed, empty text missing."""
    return text(_as_text(value) for value in values)


def _as_text(value: Any) -> str | None:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def _load(table: Path) -> pd.DataFrame:
    loaders: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": _load_csv,
        ".parquet": _load_parquet,
        ".pq": _load_parquet,
    }
    if table.suffix.lower() not in loaders and not table.is_dir():
        raise UserError(f"images.table is {table}: expected a file that ends with {', '.join(loaders)}.")
    if not table.is_file():
        state = "is a folder" if table.is_dir() else "does not exist"
        raise UserError(f"images.table is {table}, which {state}: set it to your CSV or Parquet file.")
    try:
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            frame = loaders[table.suffix.lower()](table)
        return frame.reset_index(drop=frame.index.name is None)
    except (ValueError, OSError, pd.errors.ParserWarning) as error:  # pandas' and Arrow's parser errors are ValueErrors
        message = " ".join(str(error).split())[:200]
        raise UserError(
            f"{table} cannot be read as {table.suffix} ({message}): save it anew, CSV in UTF-8 with commas."
        ) from error


def _load_csv(table: Path) -> pd.DataFrame:
    as_text: dict[str, Any] = dict.fromkeys(KNOWN_COLUMNS, str)
    header = pd.read_csv(table, header=None, nrows=1, dtype=str, encoding="utf-8-sig").iloc[0]
    _refuse_twice(header.dropna(), table)  # pandas would call the second one `label.1`
    return pd.read_csv(table, dtype=as_text, encoding="utf-8-sig", low_memory=False, index_col=False)


def _load_parquet(table: Path) -> pd.DataFrame:
    from pyarrow.parquet import read_schema  # noqa: PLC0415 - heavy, and needed for this kind of table only

    _refuse_twice(read_schema(table).names, table)
    return pd.read_parquet(table)


def _refuse_twice(names: Iterable[Any], table: Path) -> None:
    times = Counter(map(str, names))
    twice = sorted(name for name, count in times.items() if count > 1)
    if twice:
        raise UserError(
            f"{table} has the columns {twice} more than once (an own column that is called like one of the audit "
            "counts as table_<name>): keep or rename one of each."
        )


def _refuse_nested(values: Iterable[Any], column: str, table: Path, *, quote: bool) -> None:
    for row, value in enumerate(values, start=1):
        if isinstance(value, list | tuple | set | dict | np.ndarray | bytes):
            kind = "bytes" if isinstance(value, bytes) else "several values in one cell"
            shown = ": " + " ".join(str(value).split())[:60] if quote else ""
            raise UserError(
                f"{table} has {kind} in column {column!r} (row {row}{shown}), expected one text or number per image: "
                "save it so, with one row per image."
            )


def _splits(found: pd.Series[str], table: Path) -> pd.Series[str]:
    known = {**SPLIT_NAMES, "excluded": "excluded"}
    names = found.str.lower()
    unknown = sorted(set(found[names.notna() & ~names.isin(list(known))]))
    if unknown:
        raise UserError(f"{table} has splits {unknown}: expected {sorted(known)} or nothing in column 'split'.")
    return text(None if pd.isna(name) else known[name] for name in names)
