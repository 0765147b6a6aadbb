"""From a source and a configuration to the network that will be trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.model import Model
from medical_transfer.models.backbones import build_trunk
from medical_transfer.models.classifier import Classifier, build_classifier
from medical_transfer.models.freezing import freeze, parameter_table
from medical_transfer.models.source import Source


def build(
    source: Source, model: Model, *, classes: int, seed: int, backbones: Backbones, packages_folder: Path
) -> Classifier:
    """The source's trunk with its weights and a new head whose initial weights come from `seed`."""
    trunk = build_trunk(source, backbones=backbones, packages_folder=packages_folder)
    return build_classifier(
        trunk, source.preprocessing, head=model.head, dropout=model.dropout, classes=classes, seed=seed
    )


def describe(
    source: Source, model: Model, *, classes: Sequence[str], backbones: Backbones, packages_folder: Path
) -> dict[str, Any]:
    """Facts about the network, ready for JSON: stages, the cut below which all is frozen, parameters by stage.

    Raises:
        UserError: where the source cannot be built, or the strategy leaves nothing frozen or nothing to learn.
    """
    network = build(source, model, classes=len(classes), seed=0, backbones=backbones, packages_folder=packages_folder)
    cut = freeze(network, model.freeze, model.trainable_stages)
    table = parameter_table(network)
    return {
        "source": source.name,
        "architecture": source.architecture,
        "classes": list(classes),
        "stages": list(network.trunk.stage_names),
        "cut": cut,
        "features": network.trunk.feature_dim,
        "parameters": table,
        "trainable": sum(row["trainable"] for row in table),
        "total": sum(row["total"] for row in table),
    }
