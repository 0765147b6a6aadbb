from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medical_transfer.runtime import devices
from medical_transfer.runtime.devices import CANDIDATES, DEFAULT, NumberFormat, fastest_format, kept_formats

LAST, FIRST, BF16 = CANDIDATES


class FakeClock:
    """Time passes only in steps: each takes what the table says of its format; the first of a format takes longer."""

    def __init__(self, seconds: dict[NumberFormat, float], first: float = 1.0) -> None:
        self.seconds, self.first, self.now = seconds, first, 0.0
        self.disturbed: dict[NumberFormat, tuple[int, ...]] = {}
        self.steps: list[NumberFormat] = []

    def step(self, number_format: NumberFormat) -> None:
        factor = 1.0 if number_format in self.steps else self.first
        if self.steps.count(number_format) in self.disturbed.get(number_format, ()):
            factor = 7.0
        self.steps.append(number_format)
        self.now += self.seconds[number_format] * factor

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def choose(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_folder", lambda: tmp_path)

    def run(seconds, *, name="net", first=1.0):
        clock = FakeClock(dict(zip(CANDIDATES, seconds, strict=True)), first)
        monkeypatch.setattr(devices.time, "perf_counter", clock.perf_counter)
        return fastest_format(clock.step, name=name), clock

    return run


def test_the_default_is_fp32_channels_last():
    assert NumberFormat("fp32", channels_last=True) == DEFAULT


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((1.0, 1.5, 5.0), LAST),
        ((1.0, 0.9, 1.0), LAST),  # 11 % faster is not enough
        ((1.15, 1.0, 9.0), FIRST),  # 15 % is
        ((1.0, 0.8, 0.3), BF16),
        ((1.0, 0.3, 0.8), FIRST),
        ((1.0, 1.0, 0.88), LAST),
    ],
)
def test_another_format_must_be_15_percent_faster(choose, seconds, expected):
    assert choose(seconds)[0] == expected


def test_a_slow_first_step_does_not_count(choose):
    chosen, clock = choose((1.0, 2.0, 0.5), first=3.0)
    assert chosen == BF16
    assert [clock.steps.count(candidate) for candidate in CANDIDATES] == [4, 4, 4]


def test_what_else_the_machine_does_in_two_of_three_steps_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_folder", lambda: tmp_path)
    clock = FakeClock({LAST: 1.0, FIRST: 2.0, BF16: 0.5})
    clock.disturbed = {BF16: (1, 3)}
    monkeypatch.setattr(devices.time, "perf_counter", clock.perf_counter)
    assert fastest_format(clock.step, name="net") == BF16


def test_a_hopeless_format_is_tried_once(choose):
    chosen, clock = choose((1.0, 1.2, 9.0))
    assert chosen == LAST
    assert [clock.steps.count(candidate) for candidate in CANDIDATES] == [4, 4, 1]


def test_the_answer_is_kept(choose):
    first, _ = choose((1.0, 0.5, 2.0))
    again, clock = choose((1.0, 2.0, 0.1))
    assert first == again == FIRST
    assert clock.steps == []
    assert kept_formats() == {
        "net": "fp32 taken (fp32 channels_last 1.000 s, fp32 0.500 s, bf16 channels_last 2.000 s)"
    }


@pytest.mark.parametrize(
    ("owner", "fact", "other"),
    [
        (torch, "get_num_threads", 77),
        (devices, "_cpu_flags", "flags: amx_bf16"),
        (devices, "_device_name", "another accelerator"),
        (devices.platform, "machine", "another machine"),
    ],
)
def test_another_machine_is_timed_anew(choose, monkeypatch, owner, fact, other):
    choose((1.0, 0.5, 2.0))
    monkeypatch.setattr(owner, fact, lambda: other)
    chosen, clock = choose((1.0, 2.0, 0.1))
    assert (chosen, len(clock.steps)) == (BF16, 12)


def test_another_step_is_timed_anew(choose):
    choose((1.0, 0.5, 2.0))
    assert choose((1.0, 2.0, 0.1), name="other net")[0] == BF16
    assert choose((1.0, 2.0, 0.1))[0] == FIRST


def test_the_tests_have_a_cache_folder_of_their_own():
    assert Path.home() / ".cache" not in devices._folder().parents


def test_a_device_is_there():
    assert torch.zeros(1, device=devices.device()).sum() == 0


def test_lightnings_names_of_precisions():
    assert [candidate.lightning_precision for candidate in CANDIDATES] == ["32-true", "32-true", "bf16-mixed"]


def test_a_damaged_answer_is_measured_again_and_one_that_cannot_be_kept_is_still_used(choose, tmp_path, monkeypatch):
    choose((1.0, 1.5, 5.0))
    kept = next(tmp_path.glob("*.json"))
    kept.write_text("{")
    assert kept_formats() == {}
    found, clock = choose((1.0, 1.5, 5.0))
    assert (found, bool(clock.steps)) == (LAST, True)

    def full(*_):
        raise OSError(30, "Read-only file system")

    kept.unlink()
    monkeypatch.setattr(devices, "write_json", full)
    assert choose((1.0, 1.5, 5.0))[0] == LAST


class CompilingClock(FakeClock):
    """A compiled format's first step takes so many times as long; a table may lack memory (None)."""

    def step(self, number_format: NumberFormat) -> None:
        if self.seconds[number_format] is None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        super().step(number_format)


@pytest.fixture
def pays(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_folder", lambda: tmp_path)

    def run(plain_s, compiled_s, *, steps, first=1.0):
        compiled = NumberFormat("bf16", channels_last=True, compiled=True)
        clock = CompilingClock({BF16: plain_s, compiled: compiled_s}, first)
        monkeypatch.setattr(devices.time, "perf_counter", clock.perf_counter)
        return devices.compiling_pays(clock.step, BF16, name="net", steps=steps), clock

    return run


@pytest.mark.parametrize(
    ("plain_s", "compiled_s", "steps", "expected"),
    [
        (0.2, 0.1, 1000, True),  # wins 100 s for 10 s of compiling
        (0.2, 0.1, 101, True),
        (0.2, 0.1, 99, False),  # wins 9.9 s
        (0.11, 0.1, 10_000, False),  # 10 % faster
        (0.116, 0.1, 10_000, True),
        (0.1, 0.2, 10_000, False),
        (0.1, None, 10_000, False),
    ],
)
def test_compiling_must_be_faster_and_win_itself_back(pays, plain_s, compiled_s, steps, expected):
    first = 10 / compiled_s if compiled_s else 1.0  # compiling takes 10 s
    assert pays(plain_s, compiled_s, steps=steps, first=first)[0] is expected


def test_the_times_are_kept_and_the_steps_decide_anew(pays):
    assert pays(0.2, 0.1, steps=1000, first=100)[0] is True
    again, clock = pays(9.0, 9.0, steps=99, first=100)
    assert (again, clock.steps) == (False, [])
    timings = "bf16 channels_last 0.200 s, bf16 channels_last compiled 0.100 s"
    assert kept_formats() == {"net/bf16 channels_last/compiled": f"bf16 taken ({timings})"}


def test_a_format_that_does_not_fit_into_memory_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_folder", lambda: tmp_path)

    def choose(seconds):
        clock = CompilingClock(dict(zip(CANDIDATES, seconds, strict=True)))
        monkeypatch.setattr(devices.time, "perf_counter", clock.perf_counter)
        return fastest_format(clock.step, name=str(seconds))

    assert choose((None, None, 3.0)) == BF16
    assert choose((None, 1.0, 3.0)) == FIRST
    assert choose((1.0, 0.5, None)) == FIRST
    assert kept_formats()["(None, None, 3.0)"] == "bf16 taken (bf16 channels_last 3.000 s)"
    with pytest.raises(torch.OutOfMemoryError):
        choose((None, None, None))


def test_names_of_formats():
    assert str(NumberFormat("bf16", channels_last=True, compiled=True)) == "bf16 channels_last compiled"
    assert str(NumberFormat("fp32", channels_last=False)) == "fp32"
