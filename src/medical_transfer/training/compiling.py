"""torch.compile for the trunk that trains: put in place for a phase, and given up with a line where it fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from medical_transfer.models.trunk import AnyTrunk

logger = logging.getLogger(__name__)


def compile_trunks(method: nn.Module) -> list[AnyTrunk]:
    """Let torch compile how the trunks of a method run, in place, and return them; names of tensors stay as they are.

    A trunk's stages are compiled as one function: compiled one by one they would share its code, and torch gives up
    after eight versions of one code.
    """
    trunks = [part for part in method.modules() if isinstance(part, AnyTrunk) and part.learns]
    for trunk in trunks:
        trunk.run_stages = torch.compile(trunk.run_stages)  # type: ignore[method-assign]
    return trunks


@contextmanager
def compiled(method: nn.Module) -> Iterator[None]:
    """Compile the trunks of a method, and leave them as they were."""
    trunks = compile_trunks(method)
    try:
        yield
    finally:
        for trunk in trunks:
            del trunk.run_stages
        torch.compiler.reset()


def compile_error() -> type[Exception]:
    """What torch raises where it cannot compile; importing it takes seconds, so only who compiles asks for it."""
    from torch._dynamo.exc import TorchDynamoException  # noqa: PLC0415 - see above

    return TorchDynamoException


def tell_failed(error: Exception) -> None:
    """Say in one line that training goes on without compiling."""
    lines = (line.strip() for line in str(error).splitlines())
    reason = next((line for line in lines if line and not line.endswith(":")), type(error).__name__)
    logger.warning("torch.compile failed (%s): training goes on without it", reason)
