"""The one place that chooses device, number format, memory format and whether torch compiles.

Machines of one class differ: some CPUs have bf16 units, on others bf16 is ten times slower than fp32. So nothing is
fixed: a few real steps are timed once and the answer is kept per machine.
"""

from __future__ import annotations

import hashlib
import logging
import math
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import platformdirs
import torch
from torch import Tensor

from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

MARGIN = 1.15
"""Another format must be so many times as fast as fp32 channels_last to be taken."""
HOPELESS = 8
"""A format whose first step takes so many times as long as the fastest step so far is not tried again."""


@dataclass(frozen=True)
class NumberFormat:
    """Precision of the arithmetic, whether pictures lie channels-last in memory, whether torch compiles the trunk."""

    precision: Literal["fp32", "bf16"]
    channels_last: bool
    compiled: bool = False

    def __str__(self) -> str:
        parts = (self.precision, "channels_last" * self.channels_last, "compiled" * self.compiled)
        return " ".join(part for part in parts if part)

    @property
    def lightning_precision(self) -> Literal["32-true", "bf16-mixed"]:
        """The name that Lightning gives to it."""
        return "bf16-mixed" if self.precision == "bf16" else "32-true"


DEFAULT = NumberFormat("fp32", channels_last=True)
CANDIDATES = (DEFAULT, NumberFormat("fp32", channels_last=False), NumberFormat("bf16", channels_last=True))


def device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator if accelerator is not None else torch.device("cpu")


def feeds_ahead(where: torch.device) -> bool:
    """Whether batches are cut in a thread and page-locked: a CPU that trains would only wait for its own cores."""
    return where.type == "cuda"


def move(tensor: Tensor, where: torch.device | str) -> Tensor:
    """Copy a tensor to a device; to CUDA without waiting for the work that is queued there.

    CUDA orders the copy before what is queued later, and takes what is not page-locked into a buffer of its own first.
    """
    return tensor.to(where, non_blocking=torch.device(where).type == "cuda")


def fastest_format(step: Callable[[NumberFormat], None], *, name: str) -> NumberFormat:
    """The fastest number format for `step` on this machine.

    Args:
        step: runs one real training step in the given format.
        name: what the step is (backbone, size, batch); part of the key under which the answer is kept.

    Returns:
        fp32 channels_last unless another format is at least 15 % faster, or it does not fit into the memory of the
        device. The answer is kept in the user's cache folder before its first use, so that a re-run computes with the
        same bits.

    Raises:
        torch.OutOfMemoryError: where no format fits into the memory of the device.
    """
    store = _store(name)
    kept = _read_kept(store)
    if kept is not None:
        return NumberFormat(**kept["format"])
    limit_s = float("inf")
    seconds = {}
    for candidate in CANDIDATES:
        seconds[candidate] = _seconds(step, candidate, limit_s)
        limit_s = min(limit_s, HOPELESS * seconds[candidate])
    best = min(seconds, key=lambda candidate: seconds[candidate])
    if math.isinf(seconds[best]):
        raise torch.OutOfMemoryError("out of memory in every number format")
    chosen = best if seconds[DEFAULT] / seconds[best] >= MARGIN else DEFAULT
    timings = [_timing(candidate, value) for candidate, value in seconds.items() if math.isfinite(value)]
    _keep(store, {"name": name, "format": asdict(chosen), "timings": timings})
    return chosen


def compiling_pays(step: Callable[[NumberFormat], None], number_format: NumberFormat, *, name: str, steps: int) -> bool:
    """Whether a step compiled by torch is at least 15 % faster, and so many of them also win back the compiling.

    Args:
        step: as in `fastest_format`; its first step in a compiled format compiles.
        number_format: the one that is trained in.
        name: what the step is; the times are kept under it as those of the formats are.
        steps: how many are to come.
    """
    name = f"{name}/{number_format}/compiled"
    store, compiled = _store(name), replace(number_format, compiled=True)
    kept = _read_kept(store)
    if kept is None:
        plain_s, first_s = _seconds(step, number_format), _seconds(step, compiled, limit_s=0)
        compiled_s = _seconds(step, compiled) if math.isfinite(first_s) else first_s
        if not math.isfinite(compiled_s):
            return False
        timings = [_timing(number_format, plain_s), {**_timing(compiled, compiled_s), "first_step_s": first_s}]
        faster = compiled if compiled_s < plain_s else number_format
        kept = {"name": name, "format": asdict(faster), "timings": timings}
        _keep(store, kept)
    plain_s, compiled_s = (timing["seconds_per_step"] for timing in kept["timings"])
    won_s = steps * (plain_s - compiled_s)
    return bool(plain_s / compiled_s >= MARGIN and won_s > kept["timings"][1]["first_step_s"])


def _timing(number_format: NumberFormat, seconds: float) -> dict[str, Any]:
    return {**asdict(number_format), "seconds_per_step": seconds}


def _told(timing: dict[str, Any]) -> str:
    number_format = NumberFormat(timing["precision"], timing["channels_last"], timing.get("compiled", False))
    return f"{number_format} {timing['seconds_per_step']:.3f} s"


def _keep(store: Path, answer: dict[str, Any]) -> None:
    try:
        write_json(store, answer)
    except (OSError, UserError) as error:
        logger.warning("The number format is not kept for the next run: %s", error)


def _read_kept(store: Path) -> dict[str, Any] | None:
    """What was measured before; None where nothing was, or the file is damaged."""
    try:
        kept: dict[str, Any] = read_json(store)
        NumberFormat(**kept["format"])
        return kept if {"name", "timings"} <= kept.keys() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _seconds(
    step: Callable[[NumberFormat], None], candidate: NumberFormat, limit_s: float = math.inf, repeats: int = 3
) -> float:
    """Least seconds of a step after one to warm up; a first step slower than `limit_s` is not repeated.

    What else the machine does can only lengthen a step. Infinite where the device's memory is too small.
    """
    try:
        first = _timed(step, candidate)
        if first > limit_s:
            return first
        return min(_timed(step, candidate) for _ in range(repeats))
    except torch.OutOfMemoryError:
        logger.info("A step in %s does not fit into the memory of the device", candidate)
        torch.cuda.empty_cache()
        return math.inf


def _timed(step: Callable[[NumberFormat], None], candidate: NumberFormat) -> float:
    started = time.perf_counter()
    step(candidate)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def kept_formats() -> dict[str, str]:
    """What was measured on this machine before: name of the step -> format and its seconds."""
    found = {}
    for path in sorted(_folder().glob("*.json")):
        if (kept := _read_kept(path)) is not None:
            timings = ", ".join(_told(timing) for timing in kept["timings"])
            found[str(kept["name"])] = f"{kept['format']['precision']} taken ({timings})"
    return found


def _folder() -> Path:
    return Path(platformdirs.user_cache_dir("medical-transfer")) / "number_format"


def _store(name: str) -> Path:
    facts = [platform.machine(), _cpu_flags(), str(torch.get_num_threads()), torch.__version__, _device_name(), name]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    return _folder() / f"{key}.json"


def _device_name() -> str:
    """Kind of the accelerator: machines that share a home folder may have different ones."""
    where = device()
    return torch.cuda.get_device_name(where) if where.type == "cuda" else str(where)


def _cpu_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.processor()} {torch.backends.cpu.get_cpu_capability()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
