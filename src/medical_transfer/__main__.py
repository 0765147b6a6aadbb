"""`python -m medical_transfer`."""

from __future__ import annotations

from kedro.framework.project import configure_project

from medical_transfer.cli import cli

if __name__ == "__main__":
    configure_project("medical_transfer")
    cli(prog_name="python -m medical_transfer")
