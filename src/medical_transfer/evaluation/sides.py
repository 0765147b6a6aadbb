"""The two sides of a comparison: a path becomes predictions, with what is known of the model behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.compare import Compare
from medical_transfer.evaluation.compare import check_same_split
from medical_transfer.evaluation.kept import find_kept
from medical_transfer.models.card import CARD_FILE, ModelCard, read_card
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.provenance import in_project
from medical_transfer.types import UserError

TABLES = (".parquet", ".pq")


@dataclass(frozen=True)
class Side:
    """One of the two; `card` is null where only a table was given."""

    name: str
    classes: tuple[str, ...]
    table: pd.DataFrame
    card: ModelCard | None

    def described(self) -> dict[str, Any]:
        """What the page says of it; no path, which would tell of the machine."""
        facts = ("kind", "source", "architecture", "head", "size", "threshold", "temperature", "split_hash")
        return {"name": self.name, **({name: getattr(self.card, name) for name in facts} if self.card else {})}


def both_sides(compare: Compare, predictions_folder: Path) -> tuple[Side, Side]:
    """Read both.

    Raises:
        UserError: one is missing or unreadable, or they cannot be compared: other classes or another split.
    """
    a, b = (open_side(name, getattr(compare, name), predictions_folder) for name in ("a", "b"))
    if set(a.classes) != set(b.classes):
        raise UserError(
            f"compare.a knows the classes {', '.join(sorted(a.classes))}, compare.b {', '.join(sorted(b.classes))}: "
            "only models of the same classes can be compared."
        )
    if a.card and b.card:
        check_same_split(a.card.split_hash, b.card.split_hash)
    return a, b


def open_side(parameter: str, path: Path | None, predictions_folder: Path) -> Side:
    """Read one side from a folder of a model, the pointer to one, or a table of predictions.

    Raises:
        UserError: says what was found there and what was expected.
    """
    place = place_of(parameter, path)
    if place.suffix.lower() in TABLES:
        return _from_table(parameter, place)
    folder = place.parent / read_json(place)["folder"] if place.is_file() else place
    card = read_card(folder)
    table = find_kept(folder, card, predictions_folder)
    if table is None:
        raise UserError(
            f"compare.{parameter} is the model {folder.name}, but no predictions of it were kept: run `kedro run "
            "--pipeline=evaluation` in the run_root where it is the current model, or name a Parquet file of its "
            "predictions."
        )
    return Side(f"{card.kind} of {card.source} ({folder.name[:8]})", card.classes, table, card)


def place_of(parameter: str, path: Path | None) -> Path:
    """The absolute place of one side.

    Raises:
        UserError: it is not set, is not there, or is neither a model nor a table.
    """
    expected = "a folder of a model (data/06_models/finetuned/<key>), data/06_models/finetuned.json or a .parquet file"
    if path is None:
        raise UserError(f"compare.{parameter} is not set: name {expected}.")
    place = in_project(path)
    if not place.exists():
        raise UserError(f"compare.{parameter} is {path}, which does not exist: name {expected}.")
    if place.is_file() and place.suffix.lower() not in (*TABLES, ".json"):
        raise UserError(f"compare.{parameter} is {path}: expected {expected}.")
    if place.is_dir() and not (place / CARD_FILE).is_file():
        raise UserError(f"compare.{parameter} is {path}, a folder without {CARD_FILE}: name {expected}.")
    if place.suffix == ".json" and "folder" not in read_json(place):
        raise UserError(f"compare.{parameter} is {path}, which points to no model: name {expected}.")
    return place


def common_positive(a: Side, b: Side, compare: Compare) -> str | None:
    """The positive class that the comparison asks for, or that of the models.

    Raises:
        UserError: the models have different ones.
    """
    if compare.positive_class is not None:
        return compare.positive_class
    known = {side.card.positive_class for side in (a, b) if side.card and side.card.positive_class}
    if len(known) > 1:
        raise UserError(
            f"the positive classes of the two models differ ({' and '.join(sorted(known))}): set "
            "compare.positive_class to one of them."
        )
    return next(iter(known), None)


def _from_table(parameter: str, place: Path) -> Side:
    try:
        table = pd.read_parquet(place)
    except (OSError, ValueError) as error:
        raise UserError(f"compare.{parameter}: {place} cannot be read as Parquet ({error}).") from error
    classes = tuple(name.removeprefix("p_") for name in table.columns if str(name).startswith("p_"))
    if len(classes) < 2:
        raise UserError(
            f"compare.{parameter}: {place} has no columns p_<class> of two classes: expected a table of predictions."
        )
    return Side(f"predictions {place.stem}", classes, table, None)
