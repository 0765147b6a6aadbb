from __future__ import annotations

import os
import subprocess
import sys

import pytest

from medical_transfer.runtime.cores import cores


def test_cores_that_this_process_may_use_count_not_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert cores() == 3


@pytest.mark.parametrize(("machine", "expected"), [(64, 64), (None, 1)])
def test_where_the_system_does_not_say_it_is_the_machine(
    monkeypatch: pytest.MonkeyPatch, machine: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: machine)
    assert cores() == expected


def test_counting_brings_no_torch() -> None:
    told = "import sys, medical_transfer.runtime.cores; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", told], check=True)
