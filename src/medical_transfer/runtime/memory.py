"""How much memory a stretch of work took at most, as the operating system counts it."""

from __future__ import annotations

from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MEGABYTE = 1024


def start_counting() -> None:
    """Forget the highest use of memory so far; without effect where the system cannot."""
    try:
        RESET.write_text("5")
    except OSError:
        return


def peak_megabytes() -> float | None:
    """The highest use (resident, MiB) of this process since `start_counting`; None where the system does not tell."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return None if found is None else int(found) / MEGABYTE
