"""Guards at the door of a run: words on the command line that nobody reads are refused."""

from __future__ import annotations

import difflib
from typing import Any

from kedro.framework.hooks import hook_impl

from medical_transfer.types import UserError

DECLARED = (
    "run_root",
    "cache_root",
    "run",
    "tracking",
    "folders",
    "images",
    "split",
    "augmentation",
    "transferability",
    "backbones",
    "model",
    "training",
    "evaluation",
)
"""Top-level parameters that something reads; Kedro itself ignores any other without a word."""


class Guards:
    """Refuses unknown top-level parameters."""

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Check what was given with `--params`.

        Raises:
            UserError: a name that no part of the project reads.
        """
        for name in run_params.get("runtime_params") or {}:
            if name not in DECLARED:
                near = difflib.get_close_matches(name, DECLARED, n=1)
                meant = f" Did you mean '{near[0]}'?" if near else ""
                raise UserError(f"Unknown parameter '{name}': known are {', '.join(DECLARED)}.{meant}")
