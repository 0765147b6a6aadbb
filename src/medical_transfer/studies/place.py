"""Where a study runs, and which parameters its sessions have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medical_transfer.config.folders import Folders
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.inner_session import merged
from medical_transfer.studies.trials import Measured
from medical_transfer.types import Split


@dataclass(frozen=True)
class Place:
    """Where a study runs: its name, the session that it was started in, and that session's folders.

    `parameters` hold in all trials of the study, over those of the session; `judged` is the split that trials are
    measured on. `also` measures more of a finished trial, from its folder, what it was handed and its seed; it is a
    function of a module, so that it can be sent to another process.
    """

    name: str
    session: SessionFacts
    folders: Folders
    parameters: dict[str, Any]
    judged: Split = "test"
    also: Callable[[Path, Mapping[str, Any], int], list[Measured]] | None = None

    @property
    def root(self) -> Path:
        """The folder of the study's trials."""
        return self.session.run_root / "studies" / self.name

    def parameters_of(self, root: Path, seed: int, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Parameters of a session of this study that writes below `root`."""
        shared = ("packages", "images", "features", "scores")
        where = {
            "run_root": str(root),
            "folders": {name: str(getattr(self.folders, name)) for name in shared},
            "run": {"seed": seed},
            "tracking": {"parent_run_id": self.session.mlflow_run_id},
        }
        return merged(self.parameters, own or {}, where)
