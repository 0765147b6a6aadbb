"""Where the record of runs lies: its settings, its address, and that it can be written. Knows no mlflow."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import ValidationError

from medical_transfer.config.tracking import TrackingConfig
from medical_transfer.runtime.provenance import in_project
from medical_transfer.types import UserError

SQLITE = "sqlite:///"
DATABASE_WAIT_S = 20
"""So long another run may hold the database before this one gives up."""
LONGEST_LINE = 300


def tracking_config(content: dict[str, Any]) -> TrackingConfig:
    """The settings of the record.

    Raises:
        UserError: names the first that is missing, unknown or of another type.
    """
    try:
        return TrackingConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        found = "missing" if first["type"] == "missing" else repr(masked(first["input"]))  # there the whole block
        raise UserError(
            f"tracking.yml: `{'.'.join(map(str, first['loc']))}` is {found} ({first['msg']}): expected "
            f"{', '.join(TrackingConfig.model_fields)} as in conf/base/tracking.yml."
        ) from error


def masked(value: Any) -> Any:
    """A value, or the values in it, without the user and the password of an address."""
    if isinstance(value, dict):
        return {masked(name): masked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return re.sub(r"://.*@", "://***@", value, flags=re.DOTALL) if isinstance(value, str) else value


def absolute(uri: str) -> str:
    """A sqlite file or a folder stands relative to the project; any other address is left alone.

    Raises:
        UserError: where it begins at the home folder of nobody.
    """
    scheme, sqlite, path = uri.partition(SQLITE)
    try:
        if sqlite and not scheme:
            return f"{SQLITE}{in_project(path)}"
        return uri if "://" in uri else in_project(uri).as_uri()
    except ValueError as error:
        raise UserError(f"tracking.yml: {error}.") from error


def check_database(uri: str) -> None:
    """Open the sqlite file of a record, since mlflow retries a broken one for many minutes; other addresses pass.

    Raises:
        UserError: where the file cannot be written, is locked by another program, or is no database.
    """
    if not uri.startswith(SQLITE):
        return
    path = Path(uri.removeprefix(SQLITE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=DATABASE_WAIT_S)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("SELECT name FROM sqlite_master").fetchall()
            database.rollback()
    except (OSError, sqlite3.Error) as error:
        raise UserError(no_record(error, str(path))) from error


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """Runs that begin at the same time on a new sqlite file make its tables and the experiment one after the other."""
    if not uri.startswith(SQLITE):
        yield
        return
    with FileLock(f"{uri.removeprefix(SQLITE)}.lock"):
        yield


def no_record(error: Exception, *places: str) -> str:
    """What to say where the record cannot be written."""
    place = " or ".join(masked(each) for each in places)
    return (
        f"The record of runs cannot be written to {place} ({one_line(error)}): correct `uri` or "
        "`artifacts` in conf/base/tracking.yml, free the file or some space, or set `enabled: false` there "
        "to run without a record."
    )


def one_line(error: Exception) -> str:
    """What an error of many lines says, not at length and without passwords."""
    return " ".join(masked(str(error)).split())[:LONGEST_LINE]
