"""Which methods of adaptation are set beside one another, and how one of them is chosen without labels."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.augmentation import Policy
from medical_transfer.config.base import Block, each_once

Kind = Literal["dann", "cdan", "mmd", "jmmd", "coral", "mcd", "self_training", "dann_self_training"]
SimpleMean = Literal["histogram_matching", "stronger_augmentation", "batch_norm", "feature_alignment"]
HistogramRule = Literal["site", "image"]


class MedicalAdaptation(Block):
    """The pipeline `medical_adaptation`: no adaptation, simple means and methods of it, side by side."""

    methods: list[Kind] = Field(default=["dann", "cdan", "mmd", "coral", "self_training"])
    """Values of `training.kind` that are tried beside training on the first site alone."""
    simple_means: list[SimpleMean] = Field(
        default=["histogram_matching", "stronger_augmentation", "batch_norm", "feature_alignment"]
    )
    """What is tried without a loss of adaptation: training on images of the first site with the grey levels of the
    second; under `stronger_policy`; batch norm statistics of the second site in the model that was trained on the first
    (AdaBN); a linear head on frozen features that are aligned to the second site's (CORAL in closed form)."""
    histogram: HistogramRule = "site"
    """`site`: one map of grey levels for all images; `image`: each image takes the grey levels of one drawn image."""
    stronger_policy: Policy = "chapter"
    """The policy of `augmentation.policy` that `stronger_augmentation` trains under."""
    alignment_ridge: float = Field(default=1.0, gt=0)
    """Added to the covariances of `feature_alignment`, of features of variance 1; the paper's is 1."""
    choose_by: Literal["im", "entropy", "snd", "bnm", "dev", "source"] = "im"
    """What picks the method, without labels of the second site, on validation images: scores as
    `training.adaptation.selection` names them. No adaptation is among the choices."""
    invariance_images: int = Field(default=500, ge=4)
    """So many validation images of each site at most are told apart by a fresh classifier, and judge `dev`."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        each_once("medical_adaptation", methods=self.methods, simple_means=self.simple_means)
        if not self.methods and not self.simple_means:
            raise ValueError("medical_adaptation.methods and simple_means are both empty: name at least one to compare")
        return self
