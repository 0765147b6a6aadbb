"""What losses between a source and a target batch need first: enough rows, and numbers that are precise enough.

Training may run in bfloat16, whose 8 bits are too few for sums of squares that are then subtracted from one another.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medical_transfer.types import UserError


def paired(source: Tensor, target: Tensor, *, least: int) -> tuple[Tensor, Tensor]:
    """Return both batches in float32 at least.

    Raises:
        UserError: one of them has fewer than `least` rows.
    """
    if min(len(source), len(target)) < least:
        raise UserError(
            f"A batch holds {len(source)} source and {len(target)} target images; this adaptation loss needs {least} "
            "of each: raise the batch size, or drop the incomplete last batch."
        )
    return widened(source), widened(target)


def widened(values: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product of widened matrices, which autocast would round to half precision."""
    with torch.autocast(left.device.type, enabled=False):
        return left @ right
