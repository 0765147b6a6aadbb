"""The menu of training methods: one file each, strangers to one another, all under one contract.

The contract is `medical_transfer.training.module.Method`; a new method is a file here, its configuration in
`config/training.py` and its line in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from medical_transfer.methods.finetune import FineTune

METHODS: Mapping[str, type[FineTune]] = MappingProxyType({"finetune": FineTune})
"""`training.kind` -> method."""
