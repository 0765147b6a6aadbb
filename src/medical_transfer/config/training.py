"""How a network is trained: the method, the budget and the optimiser."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from medical_transfer.config.adaptation import (
    ADAPTING,
    Adaptation,
    Cdan,
    Coral,
    Dann,
    DannSelfTraining,
    Jmmd,
    Mcd,
    Mmd,
    SelfTraining,
)
from medical_transfer.config.base import Block
from medical_transfer.config.distill import Distill


class Finetune(Block):
    """Fine-tuning: optionally the head first on cached features (LP-FT), then the stages that may learn."""

    head_first: bool = True
    """LP-FT (Kumar et al. 2022): train the head on frozen features before anything else moves."""
    head_epochs: int = Field(default=20, ge=1)
    """Epochs of the head on cached features; a linear head runs them all, another one stops early."""
    head_learning_rate: float = Field(default=3e-3, gt=0)
    """Learning rate of the head while the trunk is frozen."""
    head_l2: float = Field(default=0.1, ge=0)
    """Ridge penalty l2/2 ||W||^2 of a linear head while the trunk is frozen, as a logistic regression has it."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Learning rate of the head once the trunk moves; each stage below has it divided by `multiplier`."""
    unfreezing: Literal["at_once", "gradual"] = "at_once"
    """When the stages that may learn begin to: `at_once`, or one more in each phase, from the top (`gradual`, Howard &
    Ruder 2018); the phases share `training.epochs` evenly, the last one has what is left over."""
    multiplier: float = Field(default=2.6, ge=1)
    """Ratio of learning rates between neighbouring stages (discriminative rates, Howard & Ruder 2018)."""
    schedule: Literal["warmup_cosine", "cosine_restarts", "one_cycle", "slanted_triangular", "constant"] = (
        "warmup_cosine"
    )
    """Shape of the learning rate over a phase, below the configured one; `cosine_restarts` is the chapter's (T_0=10,
    T_mult=2 epochs), `slanted_triangular` ULMFiT's."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Decoupled weight decay (AdamW) of matrices; norms and biases have none."""
    batch_norm: Literal["frozen", "adapt"] = "frozen"
    """`frozen`: batch norms keep the pretrained statistics (small batches estimate worse ones); `adapt`: they move."""
    l2_sp: float = Field(default=0.0, ge=0)
    """Pull towards the pretrained weights (L2-SP, Li et al. 2018); 0 switches it off."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Probability mass that is spread evenly over all classes."""


class Training(Block):
    """One block for all methods: `kind` names the method, and only sub-blocks that it reads count."""

    kind: Literal[
        "finetune",
        "dann",
        "cdan",
        "mmd",
        "jmmd",
        "coral",
        "mcd",
        "self_training",
        "dann_self_training",
        "distill",
    ] = "finetune"
    """The method of `medical_transfer.methods` that trains; `distill` learns from a teacher too, all others but
    `finetune` from `target_images`, without its labels."""
    epochs: int = Field(default=6, ge=1)
    """Most epochs once the trunk moves."""
    batch_size: int = Field(default=32, ge=2)
    """Images per step."""
    per_class: int | None = Field(default=None, ge=1)
    """Learn from only so many images of each class, drawn by the seed; fewer are among more. null: from all.
    Validation and test stay whole."""
    steps_per_epoch: int | None = Field(default=None, ge=1)
    """Steps after which validation looks, however many images there are; null: as many as show each image once."""
    patience: int = Field(default=3, ge=1)
    """Epochs without a better validation score before a phase stops."""
    class_weights: bool = True
    """Weigh the loss by inverse class frequency."""
    gradient_clip: float = Field(default=5.0, gt=0)
    """Largest norm of the gradient."""
    number_format: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` times a few real steps once per machine and keeps the answer."""
    compile: Literal["auto", "always", "never"] = "auto"
    """torch.compile for the trunk. `auto`: on CUDA, where timed steps say that it pays within the phase; never on a
    CPU."""
    keep_epochs: bool = False
    """Keep the network of every epoch beside the best one, in the model's folder (to study how epochs are chosen)."""
    cached: bool = True
    """Compute what is frozen once, under `augmentation.views` views of each image, and learn from that; false: compute
    it anew for each image of each epoch, under an augmentation of its own (slow; for comparison)."""
    finetune: Finetune = Finetune()
    adaptation: Adaptation = Adaptation()
    dann: Dann = Dann()
    cdan: Cdan = Cdan()
    mmd: Mmd = Mmd()
    jmmd: Jmmd = Jmmd()
    coral: Coral = Coral()
    mcd: Mcd = Mcd()
    self_training: SelfTraining = SelfTraining()
    distill: Distill = Distill()
    dann_self_training: DannSelfTraining = DannSelfTraining()

    @property
    def adapts(self) -> bool:
        """Whether the method learns from a second site too."""
        return self.kind in ADAPTING

    def as_read(self) -> Self:
        """The same with the defaults in the blocks that this kind does not read: they shape nothing.

        Where a teacher lies shapes nothing either; what it is stands among the facts of a training.
        """
        read = {"finetune", "adaptation", self.kind} if self.adapts else {"finetune", self.kind}
        unread = {"finetune", "adaptation", "distill", *ADAPTING} - read
        changed = {name: type(self).model_fields[name].default for name in unread}
        if self.kind == "distill":
            changed["distill"] = self.distill.model_copy(update={"teacher": ()})
        return self.model_copy(update=changed)
