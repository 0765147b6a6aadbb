"""What the summaries of all studies say alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medical_transfer import __version__
from medical_transfer.config.blocks import changed


def command(name: str, parameters: Mapping[str, Any]) -> str:
    """How to get study `name` again: the command, and the parameters that were not at their defaults, as Markdown."""
    lines = [f"`kedro run --pipeline=study_{name}` (version {__version__})"]
    mine = {block: value for block, value in parameters.items() if block == f"study_{name}" or not _of_a_study(block)}
    if others := changed(mine):
        lines += ["", "with these settings, all others at their defaults:", ""]
        lines += [f"- `{parameter}: {value}`" for parameter, value in others.items()]
    return "\n".join(lines)


def _of_a_study(block: str) -> bool:
    """Whether a block of parameters is that of one study: other studies do not read it."""
    return block.startswith("study_")


def on_what(trials: int, parameters: Mapping[str, Any], *, source: str | None, image_size: int | None) -> str:
    """How many trials on which images under which source, in a sentence; None: as the run's parameters say."""
    images = parameters["images"]
    return (
        f"{trials} trials on images of kind `{images['kind']}` at {image_size or images['size']} px; source: "
        f"{source or 'as scores choose'}."
    )


def ends(low: float, high: float) -> str:
    """An interval over seeds; NaN where there was only one."""
    return "one seed" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def failed(failures: Sequence[Mapping[str, Any]]) -> list[str]:
    """The section on trials that failed; nothing where none did."""
    if not failures:
        return []
    return ["## Trials that failed", "\n".join(f"- {each['trial']}: {each['sentence']}" for each in failures)]
