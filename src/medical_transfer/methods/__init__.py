"""The menu of training methods: one file each, strangers to one another, all under one contract.

The contract is `medical_transfer.training.module.Method`; a new method is a file here, its configuration in
`config/training.py` and its line in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from medical_transfer.config.few_shot import MetaKind
from medical_transfer.methods.anil import Anil
from medical_transfer.methods.cdan import Cdan
from medical_transfer.methods.coral import Coral
from medical_transfer.methods.dann import Dann
from medical_transfer.methods.dann_self_training import DannSelfTraining
from medical_transfer.methods.distill import Distill
from medical_transfer.methods.episodic import Episodic
from medical_transfer.methods.finetune import FineTune
from medical_transfer.methods.jmmd import Jmmd
from medical_transfer.methods.maml import Maml
from medical_transfer.methods.mcd import Mcd
from medical_transfer.methods.meta_distill import MetaDistill
from medical_transfer.methods.mmd import Mmd
from medical_transfer.methods.prototypical import Prototypical
from medical_transfer.methods.reptile import Reptile
from medical_transfer.methods.self_training import SelfTraining

METHODS: Mapping[str, type[FineTune]] = MappingProxyType(
    {
        "finetune": FineTune,
        "dann": Dann,
        "cdan": Cdan,
        "mmd": Mmd,
        "jmmd": Jmmd,
        "coral": Coral,
        "mcd": Mcd,
        "self_training": SelfTraining,
        "distill": Distill,
        "dann_self_training": DannSelfTraining,
    }
)
"""`training.kind` -> method."""

META_LEARNING: Mapping[MetaKind, type[Episodic]] = MappingProxyType(
    {
        "maml": Maml,
        "anil": Anil,
        "reptile": Reptile,
        "prototypical": Prototypical,
        "meta_distill": MetaDistill,
    }
)
"""Methods whose batches are episodes, by their names in `config.few_shot`."""
