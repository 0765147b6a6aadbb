"""Seconds and peak memory of each stage, written after every node so that the report can show them.

A result that is found ready costs next to nothing, so what it had cost when it was computed stands beside it.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline.node import Node

from medical_transfer.runtime.stage import drain_spent

logger = logging.getLogger(__name__)

SAMPLE_S = 0.05


class Timing:
    """Measures nodes; nodes of one stage (one folder of `pipelines`) are added up."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self.running: dict[str, tuple[float, _PeakMemory]] = {}
        self.begun: set[str] = set()
        self.accounted: set[Path] = set()

    @hook_impl
    def before_pipeline_run(self, catalog: DataCatalog) -> None:
        """Start with the table of the last run: not every stage may run again, and the report reads it in between."""
        known = "timing" in catalog and catalog.exists("timing")
        self.stages = catalog.load("timing") if known else {}
        self.running, self.begun, self.accounted = {}, set(), set()
        drain_spent()
        self._save(catalog)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a node."""
        self.running[node.name] = (time.perf_counter(), _PeakMemory())

    @hook_impl
    def after_node_run(self, node: Node, catalog: DataCatalog) -> None:
        """Add the node to its stage."""
        started, memory = self.running.pop(node.name)
        seconds, peak_mb = time.perf_counter() - started, memory.stop()
        logger.info("%-12s %-18s %6.1f s, memory %5.0f MB", stage_of(node), node.func.__name__, seconds, peak_mb)
        row = self._row(stage_of(node))
        row["seconds"] = round(row["seconds"] + seconds, 2)
        row["peak_mb"] = max(row["peak_mb"], round(peak_mb))
        row["reused_seconds"] = round(row["reused_seconds"] + self._reused_seconds(), 2)
        self._save(catalog)

    @hook_impl
    def on_node_error(self) -> None:
        """Stop the clocks; Kedro and the command line say what happened."""
        for _, memory in self.running.values():
            memory.stop()
        self.running.clear()

    def _row(self, stage: str) -> dict[str, float]:
        """The row of a stage, at zero for its first node of this run."""
        if stage not in self.begun:
            self.begun.add(stage)
            self.stages[stage] = {"seconds": 0.0, "peak_mb": 0.0, "reused_seconds": 0.0}
        return self.stages[stage]

    def _reused_seconds(self) -> float:
        """What the results that the last node found ready had cost; each counts once in a run, its own work never."""
        reused = 0.0
        for result in drain_spent():
            if result.reused and result.folder not in self.accounted:
                reused += result.seconds
            self.accounted.add(result.folder)
        return reused

    def _save(self, catalog: DataCatalog) -> None:
        if "timing" in catalog:
            catalog.save("timing", self.stages)


def stage_of(node: Node) -> str:
    """The stage that a node belongs to: the folder of its function."""
    parts = node.func.__module__.split(".")
    return parts[2] if len(parts) > 2 else parts[-1]


class _PeakMemory:
    """Largest memory of this process (MB, without file-backed pages where the system tells them apart)."""

    def __init__(self) -> None:
        self.process, self.peak_mb, self.done = psutil.Process(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> float:
        self.done.set()
        self.thread.join()
        return self.peak_mb

    def _watch(self) -> None:
        while True:
            self.peak_mb = max(self.peak_mb, self._now_mb())
            if self.done.wait(SAMPLE_S):
                return

    def _now_mb(self) -> float:
        memory: Any = self.process.memory_info()
        return float(memory.rss - getattr(memory, "shared", 0)) / 2**20
