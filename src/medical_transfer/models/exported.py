"""Handle to an exported model's folder: two graphs and what was found when they were made. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medical_transfer.runtime.files import read_json, sha256_of
from medical_transfer.types import UserError

Engine = Literal["onnx", "int8"]
FACTS_FILE = "export.json"
GRAPH_FILES: dict[Engine, str] = {"onnx": "model.onnx", "int8": "model_int8.onnx"}


@dataclass(frozen=True)
class ExportedModel:
    """It holds only the path, so it is cheap to copy and to pickle."""

    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """Content of `export.json`."""
        facts: dict[str, Any] = read_json(self.folder / FACTS_FILE)
        return facts

    def graph(self, engine: Engine) -> Path:
        """The file of one graph, which is as it was written.

        Raises:
            UserError: where it was changed since.
        """
        path = self.folder / GRAPH_FILES[engine]
        if not path.is_file() or sha256_of(path) != self.facts["files"][engine]["sha256"]:
            raise UserError(
                f"{path} is missing or was changed since it was exported (another sha256 than {FACTS_FILE} says): "
                f"delete the folder {self.folder} and give the same command again, which exports it again."
            )
        return path
