"""How time is taken, not how long anything takes."""

from __future__ import annotations

import numpy as np
import pytest

from medical_transfer.evaluation import speed
from medical_transfer.evaluation.speed import time_in_turn


def test_engines_are_timed_in_turn_after_one_call_each(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = [0.0], []
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])

    def engine(name: str, costs_s: list[float]):
        left = iter(costs_s)

        def predict(images: np.ndarray) -> None:
            calls.append((name, len(images)))
            clock[0] += next(left)

        return predict

    slow = engine("slow", [9, 1, 3, 2, 99, 40, 20, 30])
    quick = engine("quick", [9, 0.1, 0.1, 0.1, 9, 4, 4, 4])
    images = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)
    found = time_in_turn({"slow": slow, "quick": quick}, images, rounds=3)
    assert calls == [("slow", 1), ("quick", 1)] * 4 + [("slow", 32), ("quick", 32)] * 4
    alone, batch = found["slow"]
    assert (alone["median_s"], alone["low_s"], alone["high_s"], alone["images_per_s"]) == pytest.approx(
        (2, 1.5, 2.5, 0.5)
    )
    assert (batch["batch"], batch["median_s"], batch["images_per_s"]) == (32, 30, pytest.approx(32 / 30))
    assert found["quick"][1]["images_per_s"] == pytest.approx(8)
