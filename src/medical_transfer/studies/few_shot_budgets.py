"""What each method of the studies of few-shot learning may spend: its block, and the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from medical_transfer.config.few_shot import InnerLoop, Maml, MetaDistill, MetaKind, MetaLearning
from medical_transfer.studies.few_shot_names import NAMES

KINDS: dict[str, MetaKind] = {
    "fo_maml": "maml",
    "plain_distillation": "meta_distill",
    "meta_distillation": "meta_distill",
}
"""Kind of meta-learning of a method, where it has another name."""
CHEAP = ("prototypical", "anil")
"""Methods whose meta-training takes so little that they have seeds of their own."""
UNTRAINED = "plain_distillation"
"""Adapts from first weights that were not meta-trained."""
TAUGHT = (UNTRAINED, "meta_distillation")
"""Methods with a teacher."""


class Asked(Protocol):
    """What a study's block says of episodes and budgets."""

    @property
    def shots(self) -> list[int]:
        """Images of each class to learn from in test episodes."""

    @property
    def queries(self) -> int:
        """Images of each class to be judged on in test episodes."""

    @property
    def episodes(self) -> int:
        """Test episodes for each number of shots."""

    @property
    def meta_learning(self) -> MetaLearning:
        """Episodes and budgets of meta-training."""

    @property
    def fo_maml(self) -> Maml:
        """Budget of MAML without second derivatives."""

    @property
    def plain_distillation(self) -> MetaDistill:
        """Inner steps of a student that is not meta-trained."""


def budget_of(study: Asked, method: str) -> MetaLearning:
    """Episodes and budget of one method."""
    other: dict[str, dict[str, Any]] = {
        "fo_maml": {"maml": study.fo_maml},
        "plain_distillation": {"meta_distill": study.plain_distillation},
    }
    return study.meta_learning.model_copy(update=other.get(method, {}))


def budget_table(study: Asked, methods: Sequence[str]) -> str:
    """A row for each method, as Markdown."""
    heads = ["method", "steps", "episodes a step", "classes of one", "queries of each", "rate", "inner rate"]
    heads += ["inner steps, training", "at test"]
    rows = [_row(study, method) for method in methods]
    return "\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *rows])


def _row(study: Asked, method: str) -> str:
    meta = budget_of(study, method)
    own = meta.budget_of(KINDS.get(method, method))  # type: ignore[arg-type]
    inner = ["-"] * 3
    if isinstance(own, InnerLoop):
        inner = [f"{own.inner_learning_rate:g}", str(own.inner_steps), str(own.test_steps)]
    ways, queries, tasks = meta.drawn_for(own)
    drawn = f"{0 if method == UNTRAINED else own.steps} | {tasks} | {ways} | {queries}"
    return f"| {NAMES[method]} | {drawn} | {own.learning_rate:g} | {' | '.join(inner)} |"
