"""The study of adaptation (exercise 3): MNIST to MNIST-M, how strong the reversal, and which method."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block, UserPath, each_once

Compared = Literal[
    "source_only", "dann", "best", "source_textured", "dann_textured", "self_training", "cdan", "mmd", "coral"
]


class StudyAdaptation(Block):
    """Methods x seeds and strengths of DANN's reversal x sweep seeds, all with the same number of steps."""

    target: UserPath | None = None
    """MNIST-M as an npz file with `images`, `labels` and `names`, where a name begins with the number of the MNIST
    training digit that it was made from. null: `../shared/data/mnist_m_train15k.npz` beside the project."""
    methods: list[Compared] = Field(default=["source_only", "dann", "best", "cdan"])
    """`source_textured`, `dann_textured`: without adaptation and DANN, on random grounds; `best`: DANN at half strength
    and pseudo-labels there; the others as `training.kind` names them. Empty: the sweep alone."""
    seeds: list[int] = Field(default=[0, 1, 2])
    """Seeds of the methods; of an earlier one all is run before a later one."""
    once: list[Compared] = Field(default=["source_textured", "dann_textured", "self_training", "mmd", "coral"])
    """Methods that are run under the first seed alone, where time is short."""
    alphas: list[Annotated[float, Field(ge=0)]] = Field(default=[0.0, 0.1, 0.25, 0.5, 1.0, 2.0])
    """Strengths of DANN's reversal that are swept. Empty: the methods alone."""
    sweep_seeds: list[int] = Field(default=[0])
    """Seeds of the sweep."""
    source_images: int = Field(default=30_000, ge=20)
    """Source digits to learn from, drawn by seed 0 from those of which no target image was made."""
    target_images: tuple[int, int, int] = (12_000, 1_000, 2_000)
    """Target images to learn from without labels, to choose by without labels, and to judge by at the end."""
    steps: int = Field(default=3_000, ge=2)
    """Steps of every trial, whatever its method."""
    batch_size: int = Field(default=32, ge=2)
    """Images of each domain per step."""
    rounds: int = Field(default=10, ge=2)
    """Validation looks so many times, evenly over the steps, and the epoch is chosen among these, without labels."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Of the whole network, under `training.finetune.schedule`."""
    discriminator_learning_rate: float = Field(default=2e-4, gt=0)
    """Of the discriminator, alike: one that is slower than the network can be confused by it."""
    source: str = "random/dann_maps_norm"
    """The network of all trials: an untrained source for images of 32 pixels."""
    head: Literal["linear", "chapter_2_1", "chapter_3_2", "chapter_5_1", "dann_paper"] = "dann_paper"
    """Its head, as `model.head`. Methods with a discriminator align what comes before it, the others what its last
    layer sees."""
    batch_norm: Literal["together", "per_domain"] = "per_domain"
    """How both sites go through batch norm, as `training.adaptation.batch_norm`."""
    choose_by: Literal["im", "entropy", "snd", "bnm"] = "im"
    """The score of target predictions that picks epoch, strength and method without labels."""

    @model_validator(mode="after")
    def _each_once_and_whole_rounds(self) -> Self:
        if both := sorted({*self.methods} & {*self.once}):
            raise ValueError(f"study_adaptation.once names {both}, which are among its methods: name each once")
        each_once(
            "study_adaptation",
            methods=self.methods,
            once=self.once,
            seeds=self.seeds,
            alphas=self.alphas,
            sweep_seeds=self.sweep_seeds,
        )
        if not (self.seeds and (self.methods or self.once)) and not (self.alphas and self.sweep_seeds):
            raise ValueError(
                "study_adaptation has neither methods with seeds nor alphas with sweep_seeds: nothing runs"
            )
        if self.steps % self.rounds:
            raise ValueError(
                f"study_adaptation.steps is {self.steps}, which is not a multiple of study_adaptation.rounds, "
                f"{self.rounds}: budgets would not be equal"
            )
        if min(self.target_images) < 2:
            raise ValueError(f"study_adaptation.target_images is {self.target_images}: two of each are the least")
        return self
