"""`python killed_kedro.py MODULE:NAME N before|after COMMAND...`: a `kedro` command that dies like under kill -9.

The process gets SIGKILL at the Nth call of a function, so that the place is exact whatever the machine's speed.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any

from kedro.framework.cli.cli import main


def die_at_call(place: str, number: int, when: str) -> None:
    """Wrap the function (`module:name` or `module:Class.method`)."""
    module, _, path = place.partition(":")
    *holders, name = path.split(".")
    owner: Any = import_module(module)
    for holder in holders:
        owner = getattr(owner, holder)
    inner, calls = getattr(owner, name), []

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if when == "before" and len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = inner(*arguments, **options)
        if when == "after" and len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)


if __name__ == "__main__":
    _, place, number, when, *command = sys.argv
    die_at_call(place, int(number), when)
    sys.argv = ["kedro", *command]
    main()
