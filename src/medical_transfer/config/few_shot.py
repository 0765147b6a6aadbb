"""How networks learn to learn from a few images: the episodes, the budget, and each method's own steps."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from medical_transfer.config.base import Block

MetaKind = Literal["maml", "anil", "reptile", "prototypical", "meta_distill"]

META_KINDS: tuple[MetaKind, ...] = ("maml", "anil", "reptile", "prototypical", "meta_distill")
"""Methods of `medical_transfer.methods` whose batches are episodes."""


class Drawn(NamedTuple):
    """Classes of an episode, images of each class to be judged on, episodes of a step."""

    ways: int
    queries: int
    tasks: int


class Budget(Block):
    """How long a method is meta-trained."""

    steps: int = Field(default=400, ge=1)
    """Steps of meta-training; each sees `meta_learning.tasks` episodes."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of these steps (Adam)."""

    def drawn(self, for_all: Drawn) -> Drawn:
        """What is drawn for a step, given what is drawn for all methods."""
        return for_all


class InnerLoop(Budget):
    """Gradient steps on the support set, from the weights that are meta-learned."""

    inner_steps: int = Field(default=5, ge=0)
    """Steps on the support set in meta-training; 0: none, which is plain supervised training on the queries."""
    test_steps: int = Field(default=10, ge=0)
    """Steps on the support set once meta-training is over."""
    inner_learning_rate: float = Field(default=0.1, gt=0)
    """Learning rate of these steps."""


class Maml(InnerLoop):
    """Model-agnostic meta-learning (Finn et al. 2017)."""

    first_order: bool = False
    """Leave out second derivatives (FOMAML): a third of the time, and less exact."""


class Anil(InnerLoop):
    """MAML whose inner loop moves the head alone (Raghu et al. 2020)."""


class Reptile(InnerLoop):
    """Towards the weights that each task ends at (Nichol et al. 2018)."""


class Prototypical(Budget):
    """Prototypical networks (Snell et al. 2017): the nearest mean of a class."""

    ways: int | None = Field(default=None, ge=2)
    """Classes of an episode to learn from. More than are asked for make it learn more (their section 3.2). null:
    `meta_learning.ways`."""
    queries: int | None = Field(default=None, ge=1)
    """Images of each class to be judged on in these. null: `meta_learning.queries`."""
    tasks: int | None = Field(default=None, ge=1)
    """Episodes of a step. null: `meta_learning.tasks`."""

    def drawn(self, for_all: Drawn) -> Drawn:
        """Its own where it has any."""
        return Drawn(self.ways or for_all.ways, self.queries or for_all.queries, self.tasks or for_all.tasks)


class MetaDistill(InnerLoop):
    """The chapter's meta-distillation (4.3): a teacher's soft answers drive the inner loop."""

    temperature: float = Field(default=3.0, gt=0)
    """Both networks' logits are divided by it before the softmax."""
    query_weight: float = Field(default=0.0, ge=0, le=1)
    """Share of the teacher's answers in the loss of the queries; their labels have the rest."""
    first_order: bool = False
    """As for `maml`."""


class MetaLearning(Block):
    """Episodes and budgets of meta-training."""

    ways: int = Field(default=5, ge=2)
    """Classes of an episode."""
    shots: list[int] = Field(default=[1, 5], min_length=1)
    """Images of each class to learn from in meta-training; one of these for each step."""
    queries: int = Field(default=10, ge=1)
    """Images of each class to be judged on."""
    tasks: int = Field(default=4, ge=1)
    """Episodes of a step."""
    rounds: int = Field(default=5, ge=1)
    """Validation episodes look so many times, evenly over the steps, and the best time is kept."""
    val_episodes: int = Field(default=60, ge=2)
    """So many validation episodes."""
    width: int = Field(default=32, ge=1)
    """Channels of each convolution (pictures), times 4 the hidden units (cached features)."""
    maml: Maml = Maml()
    anil: Anil = Anil()
    reptile: Reptile = Reptile()
    prototypical: Prototypical = Prototypical()
    meta_distill: MetaDistill = MetaDistill()

    @property
    def asked(self) -> Drawn:
        """What validation draws, and methods that have nothing of their own learn from."""
        return Drawn(self.ways, self.queries, self.tasks)

    def drawn_for(self, own: Budget) -> Drawn:
        """What a method with this budget learns from in a step."""
        return own.drawn(self.asked)

    def budget_of(self, kind: MetaKind) -> Budget:
        """The block of one method."""
        block: Budget = getattr(self, kind)
        return block


def shots_and_orders(block: str, shots: list[int], maml: Maml, fo_maml: Maml) -> None:
    """Refuse what no study of few-shot learning can ask for.

    Raises:
        ValueError: a number of shots below 1, or MAML of both orders is not `maml` of second and `fo_maml` of first.
    """
    if min(shots) < 1:
        raise ValueError(f"{block}.shots is {shots}: each is at least 1")
    if not fo_maml.first_order or maml.first_order:
        raise ValueError(f"{block} compares MAML of second order (maml) with first order (fo_maml)")
