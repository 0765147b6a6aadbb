"""The table of contents, and that reading it costs nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

from medical_transfer.pipeline_registry import BESIDE, STAGES, STUDIES, register_pipelines
from medical_transfer.runtime.provenance import PROJECT

LIST = """
import json, sys
from kedro.framework.cli.cli import main
sys.argv = ["kedro", "registry", "list"]
try:
    main()
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)))
"""
HEAVY = ("torch", "torchvision", "timm", "lightning", "mlflow", "sklearn", "scipy", "onnxruntime", "matplotlib")


def test_every_stage_is_a_pipeline_and_the_main_job_is_all_of_them() -> None:
    registered = register_pipelines()
    assert set(registered) == {"__default__", "medical_transfer", *STAGES, *BESIDE, *STUDIES}
    together = {node.name for name in STAGES for node in registered[name].nodes}
    assert {node.name for node in registered["medical_transfer"].nodes} == together
    assert registered["__default__"] == registered["medical_transfer"]


def test_what_stands_beside_the_main_job_makes_itself_what_it_reads() -> None:
    registered = register_pipelines()
    for name, (behind, _) in BESIDE.items():
        read = {node.name for stage in behind for node in registered[stage].nodes}
        assert read < {node.name for node in registered[name].nodes}
        assert {each for each in registered[name].inputs() if not each.startswith("params:")} == set()


def test_listing_pipelines_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120
    )
    *listed, modules = done.stdout.splitlines()
    assert "- medical_transfer" in listed
    loaded = set(json.loads(modules))
    assert "medical_transfer.pipeline_registry" in loaded
    assert sorted(loaded & set(HEAVY)) == []
