"""`python -m medical_transfer`."""

from __future__ import annotations

import os

from medical_transfer.runtime.provenance import PROJECT


def main() -> None:
    """Give the commands, wherever they are started from."""
    logging = PROJECT / "conf/logging.yml"
    if logging.is_file():  # Kedro looks for it where it is started, and as soon as it is imported
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(logging))
    from kedro.framework.project import configure_project  # noqa: PLC0415

    from medical_transfer.cli import cli  # noqa: PLC0415

    configure_project("medical_transfer")
    cli(prog_name="python -m medical_transfer")


if __name__ == "__main__":
    main()
