"""The study that searches for better training parameters of the main job, judged on validation images alone."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from medical_transfer.config.base import Block, each_once
from medical_transfer.config.search_space import Axis, axes_by_name, check_axis

Space = Annotated[dict[str, Axis], BeforeValidator(axes_by_name)]

DEFAULT_SPACE: dict[str, Axis] = {
    "training.finetune.learning_rate": Axis(low=1e-5, high=1e-3, log=True),
    "training.finetune.weight_decay": Axis(low=1e-4, high=1e-1, log=True),
    "training.finetune.head_l2": Axis(low=1e-3, high=1.0, log=True),
    "model.freeze": Axis(choices=["all", "partial"]),
}


class StudyTuning(Block):
    """A search over training parameters x seeds; the test images are looked at once, when it has chosen."""

    space: Space = Field(default=DEFAULT_SPACE, min_length=1)
    """Parameters of `model`, `training` or `augmentation` by full name: `{low, high, log}` or `{choices}`; null takes
    one out. `conf/base/parameters/study_tuning.yml` has the default four."""
    trials: int = Field(default=24, ge=2)
    """Settings that are tried, that of the configuration included; a larger number goes on with a finished search."""
    random_trials: int = Field(default=8, ge=1)
    """So many settings, that of the configuration included, come before the sampler learns from them (TPE)."""
    sampler_seed: int = Field(default=0, ge=0)
    """Seed of the sampler."""
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    """Each setting is trained under these seeds, and judged by its mean. Where splits are drawn, the first one draws
    the test images, and each draws validation images of its own from the others."""
    metric: Literal["auroc", "auprc", "balanced_accuracy", "accuracy", "mcc"] = "auroc"
    """What is judged on validation; higher is better."""
    source: str | None = "efficientnet_lite0"
    """The pretrained source of all trials; null: the one that scores choose."""
    image_size: int | None = Field(default=128, ge=16, le=2048)
    """Side in pixels in place of `images.size`; null: that one."""

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        for name, axis in self.space.items():
            check_axis(name, axis)
        each_once("study_tuning", seeds=self.seeds)
        return self
