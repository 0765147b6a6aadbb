from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline.node import Node
from kedro_datasets.json import JSONDataset

from medical_transfer.hooks.timing import Timing, stage_of
from medical_transfer.pipelines.ingestion import nodes as ingestion
from medical_transfer.pipelines.reporting import nodes as reporting
from medical_transfer.runtime.stage import once

MB = 2**20


def node_of(function: object) -> Node:
    return Node(function, [f"in{i}" for i in range(function.__code__.co_argcount)], "out")  # type: ignore[arg-type,attr-defined]


QUARANTINED, INGEST, DRAW = map(node_of, (ingestion.quarantined, ingestion.ingest, reporting.draw_split))


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    return DataCatalog({"timing": JSONDataset(filepath=str(tmp_path / "timing.json")), "out": MemoryDataset()})


def watch(timing: Timing, node: Node, catalog: DataCatalog, seconds: float = 0.0) -> None:
    timing.before_node_run(node=node)
    time.sleep(seconds)
    timing.after_node_run(node=node, catalog=catalog)


def test_stage_is_the_folder_of_the_function() -> None:
    assert [stage_of(node) for node in (QUARANTINED, INGEST, DRAW)] == ["ingestion", "ingestion", "reporting"]
    assert stage_of(Node(len, "x", "y", name="elsewhere")) == "builtins"


def test_nodes_of_one_stage_add_up(catalog: DataCatalog) -> None:
    timing = Timing()
    timing.before_pipeline_run(catalog=catalog)
    watch(timing, INGEST, catalog, 0.1)
    watch(timing, QUARANTINED, catalog, 0.15)
    watch(timing, DRAW, catalog)
    table = catalog.load("timing")
    assert set(table) == {"ingestion", "reporting"}
    assert 0.25 <= table["ingestion"]["seconds"] < 2
    assert table["reporting"]["seconds"] < 0.2


def test_table_is_whole_after_every_node_since_the_report_reads_it_before_the_end(catalog: DataCatalog) -> None:
    timing = Timing()
    timing.before_pipeline_run(catalog=catalog)
    assert catalog.load("timing") == {}
    watch(timing, INGEST, catalog)
    assert set(catalog.load("timing")) == {"ingestion"}


def nothing(folder: Path) -> None:
    """Compute a result that leaves no file."""


def test_what_was_ready_is_told_with_what_it_had_cost(catalog: DataCatalog, tmp_path: Path) -> None:
    once(tmp_path, "inner", lambda _: time.sleep(0.1))
    timing = Timing()
    timing.before_pipeline_run(catalog=catalog)
    timing.before_node_run(node=INGEST)
    once(tmp_path, "outer", lambda _: once(tmp_path, "inner", nothing) and None)  # ready within one that is not
    once(tmp_path, "inner", nothing)  # asked for twice
    once(tmp_path, "outer", nothing)  # ready, but of this very run
    timing.after_node_run(node=INGEST, catalog=catalog)
    watch(timing, DRAW, catalog)
    table = catalog.load("timing")
    assert 0.1 <= table["ingestion"]["reused_seconds"] < 0.2
    assert table["ingestion"]["seconds"] < 0.1
    assert table["reporting"]["reused_seconds"] == 0


def test_another_run_of_the_same_process_reuses_too(catalog: DataCatalog, tmp_path: Path) -> None:
    timing = Timing()
    reused = []
    for _ in range(2):
        timing.before_pipeline_run(catalog=catalog)
        timing.before_node_run(node=INGEST)
        once(tmp_path, "key", lambda _: time.sleep(0.1))
        timing.after_node_run(node=INGEST, catalog=catalog)
        reused.append(catalog.load("timing")["ingestion"]["reused_seconds"])
    assert reused[0] == 0
    assert 0.1 <= reused[1] < 0.2


def test_a_run_of_one_stage_keeps_the_rows_of_the_others(catalog: DataCatalog) -> None:
    earlier = {"ingestion": {"seconds": 31.2, "peak_mb": 410}, "reporting": {"seconds": 99.0, "peak_mb": 9999}}
    catalog.save("timing", earlier)
    timing = Timing()
    timing.before_pipeline_run(catalog=catalog)
    assert catalog.load("timing") == earlier
    watch(timing, DRAW, catalog)
    table = catalog.load("timing")
    assert table["ingestion"] == earlier["ingestion"]
    assert table["reporting"]["seconds"] < 0.2  # its own time, not added to that of the run before
    assert table["reporting"]["peak_mb"] < 9999


def test_peak_is_seen_though_it_is_gone_at_the_end(catalog: DataCatalog) -> None:
    timing = Timing()
    watch(timing, DRAW, catalog)
    timing.before_node_run(node=INGEST)
    block = np.ones(200 * MB, dtype=np.uint8)
    time.sleep(0.2)
    del block
    timing.after_node_run(node=INGEST, catalog=catalog)
    assert timing.stages["reporting"]["peak_mb"] > 0
    assert timing.stages["ingestion"]["peak_mb"] >= timing.stages["reporting"]["peak_mb"] + 150


def test_a_failed_node_leaves_no_thread(catalog: DataCatalog) -> None:
    before, timing = threading.active_count(), Timing()
    timing.before_node_run(node=INGEST)
    timing.on_node_error()
    assert threading.active_count() == before
    assert timing.running == {}


def test_a_catalog_without_timing_is_left_alone() -> None:
    empty, timing = DataCatalog({}), Timing()
    timing.before_pipeline_run(catalog=empty)
    watch(timing, INGEST, empty)
    assert list(empty) == []
