"""`python -m medical_transfer`."""

from __future__ import annotations

from medical_transfer.cli import cli

if __name__ == "__main__":
    cli(prog_name="python -m medical_transfer")
