"""The study of fine-tuning strategies (exercise 2): which of them, on how many images, under which budget."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block, each_once

Strategy = Literal["all_frozen", "partial", "discriminative", "full", "lp_ft"]
Size = Annotated[int, Field(ge=1)] | Literal["all"]


class StudyFinetuning(Block):
    """Strategies x training sizes x seeds, all with the same number of steps."""

    strategies: list[Strategy] = Field(
        default=["all_frozen", "partial", "discriminative", "full", "lp_ft"], min_length=1
    )
    """`all_frozen`: the head learns; `partial`: the last `model.trainable_stages` too; `discriminative`: everything,
    the lower the slower; `full`: everything at one rate; `lp_ft`: the head for half of the steps, then everything."""
    sizes: list[Size] = Field(default=[16, 32, 64, 128, 256, 512, "all"], min_length=1)
    """Training images of each class; `all`: as many as there are."""
    seeds: list[int] = Field(default=[0, 1, 2, 3, 4], min_length=1)
    """Seeds of the strategies that learn from cached activations (`all_frozen`, `partial`)."""
    seeds_whole: list[int] = Field(default=[0, 1, 2], min_length=1)
    """Seeds of the strategies that train the whole network, which takes longer."""
    steps: int = Field(default=160, ge=2)
    """Steps of every trial, whatever its size and strategy."""
    batch_size: int = Field(default=16, ge=2)
    """Images per step."""
    learning_rates: dict[Strategy, Annotated[float, Field(gt=0)]] = Field(
        default={"partial": 3e-4, "discriminative": 1e-3, "full": 1e-3}
    )
    """Rate of a strategy once the trunk moves, in place of `training.finetune.learning_rate`. The defaults were the
    best of 1e-4, 3e-4 and 1e-3 by the validation AUROC of seed 0 at 64 images of each class."""
    rounds: int = Field(default=4, ge=2)
    """Validation looks so many times, evenly over the steps, and the best time is kept (of a linear head on frozen
    features: the last). With `lp_ft` an even number, since its head has half of them."""
    source: str | None = "efficientnet_lite0"
    """The pretrained source of all trials; null: the one that scores choose, for each seed anew."""
    image_size: int | None = Field(default=128, ge=16, le=2048)
    """Side in pixels in place of `images.size`; null: that one."""

    @model_validator(mode="after")
    def _each_once_and_whole_rounds(self) -> Self:
        each_once(
            "study_finetuning",
            strategies=self.strategies,
            sizes=self.sizes,
            seeds=self.seeds,
            seeds_whole=self.seeds_whole,
        )
        if self.steps % self.rounds:
            raise ValueError(
                f"study_finetuning.steps is {self.steps}, which is not a multiple of study_finetuning.rounds, "
                f"{self.rounds}: budgets would not be equal"
            )
        if "lp_ft" in self.strategies and self.rounds % 2:
            raise ValueError(
                f"study_finetuning.rounds is {self.rounds}, an odd number, but lp_ft trains the head for half of the "
                "rounds: give an even number, or leave lp_ft out of study_finetuning.strategies"
            )
        return self
