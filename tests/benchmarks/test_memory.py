"""The benchmark of memory runs, and its table says what it should."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medical_transfer.pipeline_registry import STAGES


@pytest.fixture(scope="module")
def memory(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("memory")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_every_stage_of_the_main_job_has_its_row(run_script: Callable[..., str]) -> None:
    told = run_script("memory", "--images", "40")
    found = dict(re.findall(r"^(\w+) +([\d.]+)", told, flags=re.MULTILINE))
    stages = {name for name in STAGES if not name.startswith("target_")}  # a second site's nodes are of the same rooms
    assert stages | {"highest"} <= set(found)
    assert float(found["highest"]) == max(map(float, found.values()))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_held_in_memory_is_seen_and_what_is_mapped_is_not(memory: ModuleType, tmp_path: Path) -> None:
    np.save(tmp_path / "mapped.npy", np.ones(40 * 2**20, dtype=np.uint8))
    said = "import sys, time; time.sleep(0.2); print('INFO    {} node 1.0 s, memory 1 MB', file=sys.stderr, flush=True)"
    code = f"""
import numpy as np
{said.format("before")}
mapped = np.load({str(tmp_path / "mapped.npy")!r}, mmap_mode="r"); mapped.sum()
{said.format("mapping")}
held = np.ones(60 * 2**20, dtype=np.uint8)
{said.format("holding")}
"""
    rows = memory.watch([sys.executable, "-c", code]).set_index("stage")["anonymous_mb"]
    assert rows["mapping"] - rows["before"] < 10
    assert rows["holding"] - rows["mapping"] == pytest.approx(60, abs=10)


def test_the_table_compares_the_last_two_numbers_of_images(memory: ModuleType) -> None:
    found = {
        n: pd.DataFrame({"anonymous_mb": peaks, "seconds": [1.0, 2.0]}, index=["one", "two"])
        for n, peaks in {10: [50.0, 70.0], 100: [100.0, 200.0], 1124: [150.0, 201.0]}.items()
    }
    table = memory.compare(found)
    assert table["ratio"].to_dict() == {"one": 1.5, "two": 1.0, "highest": 1.0}
    assert table["bytes per image"].to_dict() == {"one": 51200, "two": 1024, "highest": 1024}  # MiB / 1024 images


def test_images_are_all_different_and_of_two_classes(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    pictures = script("pictures")
    pictures.write_images(tmp_path, 24)
    files = sorted(tmp_path.glob("*/*.jpg"), key=lambda file: file.name)
    assert {file.parent.name for file in files} == set(pictures.CLASSES)
    assert len({file.read_bytes() for file in files}) == 24
    pixels = [np.asarray(Image.open(file), dtype=float).ravel() for file in files]
    assert np.corrcoef(pixels[2], pixels[3])[0, 1] > 0.95  # the copy
    assert np.corrcoef(pixels[1], pixels[2])[0, 1] < 0.9
