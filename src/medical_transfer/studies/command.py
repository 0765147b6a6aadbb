"""How to get the same study again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medical_transfer import __version__
from medical_transfer.config.blocks import changed


def command(name: str, parameters: Mapping[str, Any]) -> str:
    """The command of study `name`, and the parameters that were not at their defaults, as Markdown."""
    lines = [f"`kedro run --pipeline=study_{name}` (version {__version__})"]
    if others := changed(parameters):
        lines += ["", "with these settings, all others at their defaults:", ""]
        lines += [f"- `{parameter}: {value}`" for parameter, value in others.items()]
    return "\n".join(lines)
