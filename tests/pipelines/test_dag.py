"""What depends on what in the main job, what stays in memory, and that every parameter has a type."""

from __future__ import annotations

import graphlib
import os
import pickle
from pathlib import Path

import pandas as pd
import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.validation.type_extractor import TypeExtractor

from medical_transfer.config.base import Block
from medical_transfer.config.split import SplitConfig
from medical_transfer.data.cache import ImageCache
from medical_transfer.hooks.guards import BLOCKS, DECLARED
from medical_transfer.pipelines.split.nodes import group
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.provenance import PROJECT

SNAPSHOTS = {
    name: Path(__file__).with_name(f"{name}.dag.txt")
    for name in ("medical_transfer", "domain_distance", "layer_choice", "predict")
}


@pytest.fixture(scope="module")
def main_job() -> Pipeline:
    bootstrap_project(PROJECT)
    return pipelines["medical_transfer"]


def picture_of(pipeline: Pipeline) -> str:
    """A line per node: function, inputs, outputs."""
    lines = [
        f"{node.func.__module__.removeprefix('medical_transfer.pipelines.')}.{node.func.__name__}"
        f" ({', '.join(sorted(node.inputs))}) -> {', '.join(sorted(node.outputs))}"
        for node in pipeline.nodes
    ]
    return "\n".join(sorted(lines)) + "\n"


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_graph_is_the_one_that_was_agreed_on(name: str, main_job: Pipeline) -> None:
    snapshot, found = SNAPSHOTS[name], picture_of(pipelines[name])
    if os.environ.get("RENEW_SNAPSHOTS"):
        snapshot.write_text(found, encoding="utf-8")
    assert found == snapshot.read_text(encoding="utf-8"), (
        f"The graph of {name} is not the one in {snapshot.name}. If that is meant: "
        f"RENEW_SNAPSHOTS=1 python -m pytest {Path(__file__).relative_to(PROJECT)}, and commit the file."
    )


def test_layers_do_not_run_in_a_circle(main_job: Pipeline) -> None:
    """Where they do, kedro-viz shows no layer at all. It draws each stage as a box too."""
    with KedroSession.create(PROJECT, env="test") as session:
        catalog = DataCatalog.from_config(session.load_context().config_loader["catalog"])
    for name, pipeline in pipelines.items():
        before: dict[str, set[str]] = {}
        for read, made in [*((node.inputs, node.outputs) for node in pipeline.nodes), *boxes_of(pipeline)]:
            ends = [{layer_of(catalog, each) for each in part} - {None} for part in (read, made)]
            for layer in ends[1]:
                before.setdefault(str(layer), set()).update(str(other) for other in ends[0] if other != layer)
        try:
            graphlib.TopologicalSorter(before).prepare()
        except graphlib.CycleError as error:
            pytest.fail(f"{name}: {' -> '.join(error.args[1])}")


def boxes_of(pipeline: Pipeline) -> list[tuple[set[str], set[str]]]:
    """What each namespace takes from outside, and what of the data that it makes is seen outside."""
    boxes = []
    for name in {node.namespace for node in pipeline.nodes} - {None}:
        inside = pipeline.filter(node_namespaces=[name])
        read_outside = {each for node in pipeline.nodes if node.namespace != name for each in node.inputs}
        boxes.append((inside.inputs(), inside.all_outputs() & (read_outside | pipeline.outputs())))
    return boxes


def layer_of(catalog: DataCatalog, dataset: str) -> str | None:
    """The layer that the catalog gives a dataset."""
    metadata = None if dataset.startswith("param") else getattr(catalog.get(dataset), "metadata", None)
    return (metadata or {}).get("kedro-viz", {}).get("layer")


def test_the_main_job_needs_nothing_but_parameters(main_job: Pipeline) -> None:
    assert {name for name in main_job.inputs() if not name.startswith("params:")} == {
        "parameters",
        "timing",
        "record_of_tests",
    }


def test_only_near_duplicates_stay_in_memory(main_job: Pipeline) -> None:
    with KedroSession.create(PROJECT, env="test") as session:
        files = session.load_context().config_loader["catalog"]
    kept = {name for name in main_job.datasets() if not name.startswith("param")}
    assert {name for name in kept if name not in files and not name.endswith("_curve")} == {
        "near_duplicates",
        "target_near_duplicates",
    }


def test_what_stays_in_memory_is_small(finished: Path) -> None:
    pointer = finished / "05_model_input/image_cache.json"
    cache = ImageCache(pointer.parent / read_json(pointer)["folder"])
    audit = pd.read_parquet(finished / "02_intermediate/audit.parquet")
    cache.pixels_NSS3  # noqa: B018 - opened, so that a copy would carry it
    assert len(pickle.dumps(cache)) < 1000
    assert len(pickle.dumps(group(audit, cache, {}, SplitConfig()))) < 100_000


def test_every_parameter_input_has_a_type_that_is_checked() -> None:
    bootstrap_project(PROJECT)
    for name, pipeline in dict(pipelines).items():
        wanted = {each.removeprefix("params:") for each in pipeline.inputs() if each.startswith("params:")}
        types = TypeExtractor({name: pipeline}).extract_types_from_pipelines()
        assert wanted == set(types), f"{name}: no type for {wanted - set(types)}"
        assert all(issubclass(kind, Block) for kind in types.values())
        assert all(BLOCKS[block] is kind for block, kind in types.items())


def test_the_guard_knows_all_parameters_of_the_configuration() -> None:
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env="test") as session:
        parameters = session.load_context().config_loader["parameters"]
    assert set(parameters) == set(DECLARED)
