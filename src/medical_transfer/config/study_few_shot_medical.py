"""The study of few-shot learning on medical classes (exercise 5): modalities that are held out from meta-training."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import each_once
from medical_transfer.config.few_shot import (
    Anil,
    Maml,
    MetaDistill,
    MetaLearning,
    Prototypical,
    Reptile,
    shots_and_orders,
)
from medical_transfer.config.study_targets import StudyTargets

Asked = Literal[
    "nearest_centroid",
    "linear_probe",
    "fine_tune",
    "prototypical",
    "anil",
    "fo_maml",
    "reptile",
    "maml",
    "meta_distillation",
    "plain_distillation",
]
BASELINES = ("nearest_centroid", "linear_probe", "fine_tune")
"""Methods without meta-training."""


class StudyFewShotMedical(StudyTargets):
    """Every modality of `held_out` in turn is tested on, and never seen in meta-training and meta-validation."""

    block: ClassVar[str] = "study_few_shot_medical"
    image_size: int = Field(default=128, ge=16, le=2048)
    """Side in pixels of all images of all sets."""
    max_images: int | None = Field(default=600, ge=60)
    """Use at most so many images of a set, drawn evenly over classes; null: all."""
    modalities: dict[str, str | dict[str, str]] = Field(
        default={
            "brain_mri": "MRI",
            "busi_256": "ultrasound",
            "covid_ct_sarscov2_224": "CT",
            "covid_ct_ucsd_224": "CT",
            "cxr_kermany_224": "X-ray",
            "cxr_other_224": "X-ray",
            "mednist_6x1000_64": {
                "AbdomenCT": "CT",
                "BreastMRI": "MRI",
                "CXR": "X-ray",
                "ChestCT": "CT",
                "Hand": "X-ray",
                "HeadCT": "CT",
            },
        }
    )
    """Modality of each set, which says what is read of `targets` and `targets_root`. Of a set whose classes are
    modalities that of each class: it is never tested on, and lacks the classes of a modality that is."""
    held_out: list[str] = Field(default=["ultrasound", "CT", "X-ray"], min_length=1)
    """Modalities that are tested on, one at a time."""
    validation: str = "MRI"
    """The modality whose sets validate meta-training, whatever is tested on."""
    source: str = "efficientnet_lite0"
    """What sees the images: its frozen features are learned from."""
    teacher_source: str = "efficientnet_lite2"
    """What the teacher of both distillations sees."""
    methods: list[Asked] = Field(
        default=[
            "nearest_centroid",
            "linear_probe",
            "prototypical",
            "anil",
            "fo_maml",
            "reptile",
            "maml",
            "meta_distillation",
        ],
        min_length=1,
    )
    """`nearest_centroid`, `linear_probe` and `fine_tune` (a network from random weights, which takes long) are not
    meta-trained; the others as in `study_few_shot`, on cached features."""
    seeds: list[int] = Field(default=[0], min_length=1)
    """Seeds of first weights and of episodes to learn from."""
    seeds_cheap: list[int] = Field(default=[0, 1, 2], min_length=1)
    """Those of `prototypical` and `anil`, which cost little."""
    shots: list[int] = Field(default=[1, 5, 10], min_length=1)
    """Images of each class to learn from in test episodes."""
    queries: int = Field(default=10, ge=1)
    """Images of each class to be judged on in test episodes."""
    episodes: int = Field(default=600, ge=2)
    """So many test episodes for each modality and number of shots."""
    meta_learning: MetaLearning = MetaLearning(
        ways=2,
        rounds=4,
        maml=Maml(steps=200, inner_learning_rate=0.02, test_steps=5),
        anil=Anil(inner_learning_rate=0.05),
        reptile=Reptile(steps=200, inner_learning_rate=0.02, test_steps=5),
        prototypical=Prototypical(),
        meta_distill=MetaDistill(steps=200, inner_learning_rate=0.01, test_steps=5),
    )
    """Episodes and budgets of meta-training."""
    fo_maml: Maml = Maml(steps=200, inner_learning_rate=0.02, test_steps=5, first_order=True)
    """Budget of MAML without second derivatives."""
    plain_distillation: MetaDistill = MetaDistill(steps=1, inner_learning_rate=0.01, test_steps=5)
    """Inner steps of a student that is not meta-trained; `steps` of meta-training are not taken."""

    @model_validator(mode="after")
    def _can_be_held_out(self) -> Self:
        whole = {modality for modality in self.modalities.values() if isinstance(modality, str)}
        for name in [*self.held_out, self.validation]:
            if name not in whole:
                raise ValueError(
                    f"{self.block}: no set of {self.block}.modalities is of modality {name!r}, only of "
                    f"{', '.join(sorted(whole))}: mend held_out or validation, or say it of a set"
                )
        if self.validation in self.held_out:
            raise ValueError(
                f"{self.block}.validation is {self.validation!r}, which is tested on: take it out of held_out"
            )
        unsaid = sorted(name for name, target in self.targets.items() if target and name not in self.modalities)
        if unsaid:
            raise ValueError(f"{self.block}.modalities says nothing of the target {unsaid[0]}: name its modality")
        return self

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        each_once(
            self.block,
            methods=self.methods,
            seeds=self.seeds,
            seeds_cheap=self.seeds_cheap,
            shots=self.shots,
            held_out=self.held_out,
        )
        shots_and_orders(self.block, self.shots, self.meta_learning.maml, self.fo_maml)
        return self
