"""One run at a time in a run_root: two would read each other's manifest and train on each other's images."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from medical_transfer.runtime.provenance import PROJECT, in_project
from medical_transfer.types import UserError


class OneRun:
    """Holds a lock on the run's root; the system releases it when a run is killed."""

    def __init__(self) -> None:
        self.root = PROJECT
        self.lock: FileLock | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the run writes."""
        self.root = in_project(str(context.config_loader["parameters"]["run_root"]))

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Take the lock; one that an interrupted run of this process has left is let go.

        Raises:
            UserError: where another run has it, or the root cannot be written.
        """
        self._release()
        self.lock = lock_root(self.root)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Let the next run begin."""
        self._release()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Let the next run begin."""
        self._release()

    def _release(self) -> None:
        if self.lock is not None:
            self.lock.release()
            self.lock = None


def lock_root(root: Path) -> FileLock:
    """Take the lock of a run_root, or say who has it.

    Raises:
        UserError: where another run has it, or the root cannot be written.
    """
    lock = FileLock(root / ".run.lock", timeout=0, is_singleton=False, thread_local=False)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"Another run is writing to {root}: wait for it, or give this one its own place with --params=run_root=..."
        ) from error
    except OSError as error:
        raise UserError(
            f"run_root is {root}, which cannot be written ({error.strerror}): set run_root to a folder of yours."
        ) from error
    return lock
