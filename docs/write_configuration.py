"""Write docs/configuration.md from the typed parameter blocks: `python docs/write_configuration.py`."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from medical_transfer.config.base import Block
from medical_transfer.hooks.guards import BLOCKS

PAGE = Path(__file__).with_name("configuration.md")
OUTSIDE = ("folders",)  # filled in by the project, not by the user
BOUNDS = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<")}

HEAD = """# Parameters

Written by `python docs/write_configuration.py` from `src/medical_transfer/config`; a test compares. Set a parameter in
`conf/base/parameters/<block>.yml`, in `conf/local/parameters.yml` (yours, ignored by git), or for one run by
`--params=<block>.<name>=<value>`. Unknown names and impossible values stop a run before its first node.

`conf/base` says the defaults below; `conf/local` (or another environment) and `--params` change only what they name.
"""


def page() -> str:
    """The whole page."""
    sections = [_section(name, block) for name, block in BLOCKS.items() if name not in OUTSIDE]
    return "\n".join([HEAD, *sections])


def _section(name: str, block: type[Block]) -> str:
    first = (block.__doc__ or "").strip().splitlines()[0]
    table = ["| parameter | default | values | |", "|---|---|---|---|", *_rows(name, block)]
    return f"## `{name}`\n\n{first}\n\n" + "\n".join(table) + "\n"


def _rows(prefix: str, block: type[Block]) -> Iterator[str]:
    for name, field in block.model_fields.items():
        inner = _inner_block(field.annotation)
        if inner is not None:
            between = f"{name}.<name>" if typing.get_origin(field.annotation) is dict else name
            yield from _rows(f"{prefix}.{between}", inner)
            continue
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        yield f"| `{prefix}.{name}` | {_default(field)} | {_values(field)} | {meaning} |"


def _inner_block(annotation: Any) -> type[Block] | None:
    inside = typing.get_args(annotation)
    kinds = [annotation, *inside, *(kind for each in inside for kind in typing.get_args(each))]  # also `Block | None`
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Block)), None)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        return "required"
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    return f"`{list(value) if isinstance(value, tuple) else value}`" if value != "" else "empty"


def _values(field: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(bound, attribute):g}"
        for bound in field.metadata
        for kind, (attribute, sign) in BOUNDS.items()
        if isinstance(bound, kind)
    ]
    return ", ".join([_kind(field.annotation), *limits])


def _kind(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(inner[0])
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(each) for each in inner)
    if origin is tuple:
        return f"list of {len(inner)} numbers"
    if origin in (list, dict):
        return {list: "list", dict: "mapping"}[origin]
    names = {
        types.NoneType: "null",
        bool: "true, false",
        int: "whole number",
        float: "number",
        str: "text",
        Path: "path",
    }
    return names[annotation]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
