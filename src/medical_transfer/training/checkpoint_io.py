"""How Lightning's checkpoints reach the disk: whole or not at all.

Lightning's own way writes into the system's folder for temporary files and moves from there. Where that is another disk
the move is a copy, so a run killed in it would leave half a checkpoint, and each kill leaves a temporary file.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from medical_transfer.runtime.files import atomic_path


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint to a neighbour of its final name and renames it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:  # noqa: ARG002 - lightning's signature
        """Save a checkpoint.

        Raises:
            UserError: where the disk is full.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())
