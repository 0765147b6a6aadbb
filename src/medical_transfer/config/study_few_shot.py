"""The study of few-shot learning (exercise 5): methods of meta-learning and of distillation on Omniglot."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block, UserPath, each_once
from medical_transfer.config.few_shot import (
    Anil,
    Maml,
    MetaDistill,
    MetaLearning,
    Prototypical,
    Reptile,
    shots_and_orders,
)

Compared = Literal["maml", "fo_maml", "anil", "reptile", "prototypical", "plain_distillation", "meta_distillation"]


class StudyFewShot(Block):
    """Each method is meta-trained once for each of its seeds and asked about the same test episodes as all others."""

    characters: UserPath | None = None
    """Omniglot's background set as an npz file, as `images.kind=omniglot` reads it. null:
    `../shared/data/omniglot_background.npz` beside the project."""
    methods: list[Compared] = Field(
        default=["prototypical", "anil", "fo_maml", "reptile", "maml", "meta_distillation", "plain_distillation"],
        min_length=1,
    )
    """`fo_maml`: MAML without second derivatives; `plain_distillation`: an untrained network learns each task from the
    teacher's soft answers; `meta_distillation`: the same from meta-learned weights."""
    seeds: list[int] = Field(default=[0], min_length=1)
    """Seeds of first weights and of episodes to learn from."""
    seeds_cheap: list[int] = Field(default=[0, 1, 2], min_length=1)
    """Those of `prototypical` and `anil`, which cost little."""
    classes: tuple[int, int, int] = (764, 50, 150)
    """Characters for meta-training, meta-validation and meta-test; quarter turns make four classes of each."""
    shots: list[int] = Field(default=[1, 5, 10], min_length=1)
    """Images of each class to learn from in test episodes."""
    queries: int = Field(default=10, ge=1)
    """Images of each class to be judged on in test episodes."""
    episodes: int = Field(default=600, ge=2)
    """So many test episodes for each number of shots."""
    curve_shots: int = Field(default=1, ge=1)
    """Images of each class in the episodes of the curve over inner steps."""
    curve_steps: int = Field(default=10, ge=1)
    """The curve goes from no inner step to so many."""
    curve_episodes: int = Field(default=100, ge=2)
    """So many test episodes for the curve."""
    size: int = Field(default=28, ge=16, le=105)
    """Side in pixels of a drawing."""
    meta_learning: MetaLearning = MetaLearning(
        rounds=3,
        val_episodes=40,
        maml=Maml(steps=99, learning_rate=3e-3, inner_learning_rate=0.4, test_steps=5),
        anil=Anil(steps=399, learning_rate=3e-3, inner_learning_rate=0.4, test_steps=5),
        reptile=Reptile(steps=120, learning_rate=3e-3, inner_learning_rate=0.1, test_steps=5),
        prototypical=Prototypical(steps=8000, learning_rate=3e-3, ways=20, queries=5, tasks=1),
        meta_distill=MetaDistill(steps=99, learning_rate=3e-3, inner_learning_rate=0.4, test_steps=5),
    )
    """Episodes and budgets of meta-training."""
    fo_maml: Maml = Maml(steps=150, learning_rate=3e-3, inner_learning_rate=0.4, test_steps=5, first_order=True)
    """Budget of MAML without second derivatives."""
    plain_distillation: MetaDistill = MetaDistill(steps=1, inner_learning_rate=0.4, test_steps=5)
    """Inner steps of an untrained network; `steps` of meta-training are not taken."""
    teacher_seed: int = 1000
    """The teacher is a prototypical network of the same budget under this seed, its features frozen."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        each_once(
            "study_few_shot", methods=self.methods, seeds=self.seeds, seeds_cheap=self.seeds_cheap, shots=self.shots
        )
        shots_and_orders("study_few_shot", self.shots, self.meta_learning.maml, self.fo_maml)
        return self
