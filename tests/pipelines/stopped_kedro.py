"""`python stopped_kedro.py NUMBER COMMAND...`: a `kedro` command that gets a signal while its images are checked."""

from __future__ import annotations

import signal
import sys

from kedro.framework.cli.cli import main

from medical_transfer.pipelines.ingestion import nodes

if __name__ == "__main__":
    number = int(sys.argv.pop(1))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
    nodes.check_trainable = lambda *_: signal.raise_signal(number)
    main()
