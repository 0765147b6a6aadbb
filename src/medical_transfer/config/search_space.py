"""What a search may vary: parameters of the main job by their full names, each with a range or with choices.

A space is checked against the typed blocks of these parameters, so that no trial is needed to find a misspelt one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.base import Block
from medical_transfer.config.model import Model
from medical_transfer.config.training import Training

Value = bool | int | float | str | None

SEARCHED: dict[str, type[Block]] = {"model": Model, "training": Training, "augmentation": Augmentation}
"""Blocks that shape how a network is trained; others would change the images, the split or the measure."""
WORDS = frozenset({"low", "high", "log", "choices"})


class Axis(Block):
    """One parameter of a search: `low` and `high`, or `choices`."""

    low: int | float | None = None
    """Least value that is tried."""
    high: int | float | None = None
    """Largest value that is tried."""
    log: bool = False
    """Steps are even in the logarithm, for rates and penalties."""
    choices: list[Value] | None = Field(default=None, min_length=2)
    """Values to choose from, in place of a range."""


def axes_by_name(space: Any) -> Any:
    """A space whose names are nested, as `--params` writes them, with full names; null takes a parameter out.

    What is no mapping is left to be refused.
    """
    if not isinstance(space, Mapping):
        return space
    found: dict[str, Any] = {}
    for name, axis in _leaves(space, ""):
        before = found.get(name)
        both = isinstance(before, Mapping) and isinstance(axis, Mapping)
        found[name] = {**(before or {}), **axis} if both else axis
    return {name: axis for name, axis in found.items() if axis is not None}


def _leaves(space: Mapping[Any, Any], prefix: str) -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for name, value in space.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and not value.keys() & WORDS:
            leaves += _leaves(value, f"{full}.")
        else:
            leaves.append((full, value))
    return leaves


def check_axis(name: str, axis: Axis) -> None:
    """Check one parameter of a space.

    Raises:
        ValueError: it is no parameter of these blocks, or a value of it is none that it can have.
    """
    field = field_of(name)
    if (axis.choices is None) == (axis.low is None and axis.high is None):
        told = {word: getattr(axis, word) for word in ("low", "high", "choices")}
        raise ValueError(f"{name} has {told}: give low and high, or choices, and null for the other")
    if axis.choices is None:
        _check_range(name, field, axis)
    elif len({(type(value), value) for value in axis.choices}) < len(axis.choices):
        raise ValueError(f"{name} has the choices {axis.choices}: name each once")
    for value in axis.choices or (axis.low, axis.high):
        if (fault := _fault(field, value)) is not None:
            raise ValueError(f"{name} cannot be {value!r}: it {fault}")


def field_of(name: str) -> FieldInfo:
    """The typed field that a full name stands for.

    Raises:
        ValueError: where there is none, or it cannot be searched.
    """
    first, *rest = name.split(".")
    block: Any = SEARCHED.get(first)
    if block is None:
        raise ValueError(f"{name} cannot be searched: expected a parameter of {', '.join(SEARCHED)}")
    field: FieldInfo | None = None
    for part in rest:
        field = block.model_fields.get(part) if _is_block(block) else None
        if field is None:
            break
        block = field.annotation
    if field is None or _is_block(block):
        near = [known for known in searchable() if known.startswith(f"{first}.")]
        raise ValueError(f"{name} is no parameter: expected one of {', '.join(near)}")
    return field


def searchable() -> list[str]:
    """Full names of all parameters that a space may hold."""
    return [name for block, kind in SEARCHED.items() for name in _names(kind, f"{block}.")]


def is_whole(field: FieldInfo) -> bool:
    """Whether a field takes whole numbers and no fractions."""
    return int in _kinds(field.annotation) and float not in _kinds(field.annotation)


def _names(block: type[Block], prefix: str) -> list[str]:
    found: list[str] = []
    for name, field in block.model_fields.items():
        inner: Any = field.annotation
        found += _names(inner, f"{prefix}{name}.") if _is_block(inner) else [f"{prefix}{name}"]
    return found


def _is_block(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Block)


def _kinds(annotation: Any) -> set[Any]:
    """Types that a field may have, without null; `Literal` stands for its values."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return set().union(*(_kinds(each) for each in get_args(annotation)))
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    return {Literal} if origin is Literal else {annotation} - {NoneType}


def _fault(field: FieldInfo, value: Value) -> str | None:
    """Why a field cannot have a value; types are taken at their word, so that no text is read as a number."""
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Input ")
    return None


def _check_range(name: str, field: FieldInfo, axis: Axis) -> None:
    if not _kinds(field.annotation) & {int, float}:
        raise ValueError(f"{name} is no number: give choices in place of low and high")
    if axis.low is None or axis.high is None:
        raise ValueError(f"{name} has low={axis.low} and high={axis.high}: give both")
    if axis.low >= axis.high:
        raise ValueError(f"{name} has low={axis.low} and high={axis.high}: low must be below high")
    if axis.log and axis.low <= 0:
        raise ValueError(f"{name} has low={axis.low}, which has no logarithm: give one above 0, or log: false")
