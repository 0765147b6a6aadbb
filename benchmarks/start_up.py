"""Seconds of `kedro registry list` for this project and for a bare Kedro project, in turn.

    python benchmarks/start_up.py
    python benchmarks/start_up.py --rounds 15

The bare project is what Kedro asks of any: settings and a registry with one pipeline of one node, written into a
temporary folder. What lies between the two is ours. Also told: which heavy libraries the command imports (none).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import kedro
import pandas as pd
from report import Ratio, add_out, interleaved, publish

from medical_transfer.runtime.provenance import PROJECT

HEAVY = ("torch", "torchvision", "timm", "lightning", "mlflow", "sklearn", "onnxruntime", "matplotlib", "ray", "optuna")
BARE_FILES = {
    "pyproject.toml": f"""
[tool.kedro]
package_name = "bare"
project_name = "bare"
kedro_init_version = "{kedro.__version__}"
source_dir = "src"
""",
    ".telemetry": "consent: false\n",
    "conf/base/catalog.yml": "",
    "conf/base/parameters.yml": "",
    "conf/local/.gitkeep": "",
    "src/bare/__init__.py": "",
    "src/bare/settings.py": "",
    "src/bare/pipeline_registry.py": """
from kedro.pipeline import Pipeline, node


def double(number):
    return 2 * number


def register_pipelines():
    return {"__default__": Pipeline([node(double, "params:number", "doubled")])}
""",
}
COMMAND = """
import json, sys
from kedro.framework.cli.cli import main
sys.argv = ["kedro", "registry", "list"]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(json.dumps(sorted(sys.modules)))
"""


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="start_up_") as scratch:
        bare = write_bare_project(Path(scratch))
        places = {"this project": PROJECT, "bare Kedro project": bare}
        modules = {name: list_pipelines(place) for name, place in places.items()}  # warms the disk's cache up
        jobs = {name: lambda place=place: list_pipelines(place) for name, place in places.items()}
        seconds = interleaved(jobs, rounds=arguments.rounds)
    pairs = zip(seconds["this project"], seconds["bare Kedro project"], strict=True)
    ratio = Ratio(
        "seconds of `kedro registry list`, this project / a bare one", [ours / theirs for ours, theirs in pairs]
    )
    publish("start_up", summary(seconds, modules), arguments=arguments, ratios=[ratio])


def write_bare_project(folder: Path) -> Path:
    for name, content in BARE_FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return folder


def list_pipelines(place: Path) -> set[str]:
    """Run the command in a fresh process and say which modules it imported."""
    environment = {**os.environ, "DO_NOT_TRACK": "1"}
    environment["PYTHONPATH"] = str(place / "src")  # Kedro would find it too; so both do the same
    command = [sys.executable, "-c", COMMAND]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"kedro registry list ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return set(json.loads(done.stdout.splitlines()[-1]))


def summary(seconds: dict[str, list[float]], modules: dict[str, set[str]]) -> pd.DataFrame:
    rows = {
        name: {
            "median s": statistics.median(values),
            "fastest s": min(values),
            "modules": len(modules[name]),
            "heavy libraries": ", ".join(sorted(modules[name] & set(HEAVY))) or "none",
        }
        for name, values in seconds.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("project")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    add_out(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
