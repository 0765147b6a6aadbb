"""Which source is built: the best by the score that decides, or a cheaper one that its probe does not tell apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medical_transfer.config.backbones import JOIN
from medical_transfer.transferability.support import PROBE, Basis
from medical_transfer.types import UserError

BY_PROBE = Basis(PROBE, "")
"""The cross-validated linear probe decides and nothing is said of why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A source that competes: the AUROC of its probe in each fold (empty where undefined), and what it costs."""

    name: str
    fold_aurocs: tuple[float, ...]
    parameters: int | None = None
    """Number of parameters, the measure of cost; null counts as the most expensive."""
    trainable: bool = True
    """False: only a graph or several sources side by side, good for frozen features (`model.freeze=all`)."""
    control: bool = False
    """The untrained network: it shows the floor, and is taken only if it is named or alone."""
    value: float = math.nan
    """The score that decides, where that is not the probe; NaN where it is undefined."""

    @property
    def auroc(self) -> float:
        """Mean over folds; NaN where the probe is undefined."""
        return float(np.mean(self.fold_aurocs)) if self.fold_aurocs else math.nan


@dataclass(frozen=True, slots=True)
class Choice:
    """The source that is built, and a sentence that says why."""

    name: str
    why: str


def choose(
    candidates: Sequence[Candidate], *, all_frozen: bool, chosen: str | None = None, basis: Basis = BY_PROBE
) -> Choice:
    """Pick the source to build.

    Trainable sources compete; graphs, and several sources side by side, too if nothing of the trunk is to be trained
    (`all_frozen`). `basis` says which score decides: the best one leads. Of the linear probe, which has folds, a source
    that is within one standard error of the leader is not told apart from it (the one-standard-error rule, Breiman et
    al. 1984), and of those the one with the fewest parameters is taken. The comparison is paired, see
    `standard_error`. Where no score decides, or it is defined for no source, the first admissible source is taken.

    Args:
        candidates: all sources, in order of preference; the same labels, groups and seed must stand behind their folds.
        all_frozen: nothing of the trunk is trained.
        chosen: take this source whatever the scores say (`transferability.chosen`).
        basis: the score that decides, and why.

    Raises:
        UserError: as `check_choice`.
        ValueError: sources were probed on different numbers of folds.
    """
    check_choice({each.name: each.trainable for each in candidates}, all_frozen=all_frozen, chosen=chosen)
    if chosen is not None:
        return Choice(chosen, f"{chosen} is named by transferability.chosen; the scores did not decide.")
    admissible = [candidate for candidate in candidates if candidate.trainable or all_frozen]
    rivals = [candidate for candidate in admissible if not candidate.control] or admissible
    if basis.score is None:
        return Choice(rivals[0].name, f"{basis.why} {rivals[0].name}, the default (the first listed), is used.")
    taken, why = _by_probe(rivals) if basis.score == PROBE else _by_value(rivals, basis.score)
    words = f"{basis.why} {why}".strip() + _against_controls(taken, admissible)
    return Choice(taken.name, words + _left_out(taken, candidates, admissible))


def _by_probe(rivals: Sequence[Candidate]) -> tuple[Candidate, str]:
    """The best probe, or the cheapest that is not told apart from it; and why."""
    probed = [candidate for candidate in rivals if candidate.fold_aurocs]
    if not probed:
        return rivals[0], f"No source can be probed on these images: {rivals[0].name}, the first listed, is used."
    leader = max(probed, key=lambda candidate: candidate.auroc)
    others = [candidate for candidate in probed if candidate is not leader]
    taken = min([leader, *(rival for rival in others if _tied(leader, rival))], key=_cost)
    return taken, _reason(taken, leader, others)


def _by_value(rivals: Sequence[Candidate], score: str) -> tuple[Candidate, str]:
    """The highest value of a score, which has no spread of its own; equal ones by cost."""
    scored = [candidate for candidate in rivals if not math.isnan(candidate.value)]
    if not scored:
        return rivals[0], f"{score} is defined for no source here: {rivals[0].name}, the first listed, is used."
    taken = min(scored, key=lambda candidate: (-candidate.value, _cost(candidate)))
    others = [candidate for candidate in scored if candidate is not taken]
    lead = f"{taken.name} has the highest {score} ({taken.value:.4g})"
    if not others:
        return taken, f"{lead}; no other source competes."
    second = max(others, key=lambda candidate: candidate.value)
    return taken, f"{lead}; the runner-up is {second.name} ({second.value:.4g})."


def check_choice(trainable: Mapping[str, bool], *, all_frozen: bool, chosen: str | None) -> None:
    """Refuse what cannot be chosen whatever the scores say: it can be known before they are computed.

    Args:
        trainable: name of each source -> whether more than its frozen features can be had.
        all_frozen: nothing of the trunk is trained (`model.freeze=all`).
        chosen: `transferability.chosen`.

    Raises:
        UserError: `chosen` is unknown or not admissible, or no source is admissible.
    """
    if chosen is not None and chosen not in trainable:
        names = ", ".join(trainable)
        raise UserError(f"transferability.chosen is {chosen!r}; the sources are {names}: name one of them.")
    if all_frozen:
        return
    if chosen is not None and not trainable[chosen]:
        raise UserError(
            f"transferability.chosen is {chosen!r}, which {_nature(chosen)} and gives frozen features only: "
            "set model.freeze=all or name another source."
        )
    if not any(trainable.values()):
        raise UserError(
            f"All sources ({', '.join(trainable)}) {_natures(trainable)} and give frozen features only: "
            "set model.freeze=all or add a trainable one to transferability.sources."
        )


def standard_error(first: Candidate, second: Candidate) -> float:
    """Standard error of the difference of two mean AUROCs over the same k folds.

    sd(differences) sqrt(1/k + 1/(k-1)): Nadeau and Bengio 2003, since training sets overlap and folds are therefore not
    independent; the plain sd/sqrt(k) is too small. Paired, because easy and hard folds are easy and hard for both.

    Raises:
        ValueError: the two were probed on different numbers of folds.
    """
    differences = np.subtract(_aligned(first, second), second.fold_aurocs)
    folds = len(differences)
    return float(differences.std(ddof=1) * math.sqrt(1 / folds + 1 / (folds - 1)))


def _aligned(first: Candidate, second: Candidate) -> tuple[float, ...]:
    if len(first.fold_aurocs) != len(second.fold_aurocs):
        raise ValueError(
            f"{first.name} and {second.name} were probed on different folds; score both on the same images."
        )
    return first.fold_aurocs


def _tied(leader: Candidate, rival: Candidate) -> bool:
    return leader.auroc - rival.auroc <= standard_error(leader, rival)


def _cost(candidate: Candidate) -> tuple[float, float]:
    return (math.inf if candidate.parameters is None else candidate.parameters, -candidate.auroc)


def _reason(taken: Candidate, leader: Candidate, others: Sequence[Candidate]) -> str:
    lead = f"{leader.name} has the best cross-validated AUROC ({leader.auroc:.4f})"
    if not others:
        return f"{lead}; no other source competes."
    rival = taken if taken is not leader else max(others, key=lambda candidate: candidate.auroc)
    gap = f"{rival.name} ({rival.auroc:.4f})"
    error = f"one standard error of the difference ({standard_error(leader, rival):.4f})"
    if taken is not leader:
        return f"{lead}, but {gap} is within {error} and is cheaper: {taken.name} is used."
    if _tied(leader, rival):
        return f"{lead}; the runner-up {gap} is within {error}, so they are not told apart, and is not cheaper."
    return f"{lead}; the runner-up {gap} is further behind than {error}."


def _against_controls(taken: Candidate, admissible: Sequence[Candidate]) -> str:
    """A warning where the untrained control does as well: then pretraining shows no benefit on these images."""
    level = [
        control
        for control in admissible
        if control.control and control is not taken and control.fold_aurocs and _tied(taken, control)
    ]
    if not level:
        return ""
    control = f"{level[0].name} ({level[0].auroc:.4f})"
    return f" The untrained control {control} does as well: no benefit of pretraining is shown."


def _left_out(taken: Candidate, candidates: Sequence[Candidate], admissible: Sequence[Candidate]) -> str:
    """A word on the one that did better and could not compete."""
    better = [each for each in candidates if each not in admissible and each.fold_aurocs and each.auroc > taken.auroc]
    if not better:
        return ""
    best = max(better, key=lambda candidate: candidate.auroc)
    return f" {best.name} ({best.auroc:.4f}) {_nature(best.name)} and competes with model.freeze=all only."


def _nature(name: str) -> str:
    """Why a source that is not trainable isn't, which its name tells."""
    return "is several sources side by side" if JOIN in name else "exists only as a graph"


def _natures(names: Iterable[str]) -> str:
    fused = {JOIN in name for name in names}
    return " or ".join(["exist only as graphs"] * (False in fused) + ["are several side by side"] * (True in fused))
