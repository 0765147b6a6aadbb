"""Where to cut a network: which stage still suits the target as well as the best, from probes of its stages by depth.

Features turn from general to specific on the way from the image to the head (Yosinski et al. 2014, How transferable are
features in deep neural networks?). Stages stand in that order throughout; the last one gives the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medical_transfer.transferability.choose import Candidate, standard_error
from medical_transfer.transferability.evidence import Floats

CAVEAT = (
    "This is a suggestion, not a measurement of fine-tuning: a linear probe of features that are averaged over "
    "positions is a proxy of what a stage can be retrained to; study_finetuning measures strategies themselves."
)
"""Said with every suggestion."""


@dataclass(frozen=True, slots=True)
class Cut:
    """So many of the first stages are kept as they are, and those above them retrained."""

    kept: int
    retrained: int
    parameters: int
    """Number of parameters of the stages that are retrained; the new head learns beside them."""
    best: int
    """Number of the stage with the best mean AUROC, counted from 1 at the image."""
    why: str
    """How the cut was found and what to set, in sentences."""

    @property
    def settings(self) -> dict[str, str | int]:
        """Parameters to set, by full name."""
        if not self.retrained:
            return {"model.freeze": "all"}
        return {"model.freeze": "partial", "model.trainable_stages": self.retrained}


def suggest_cut(stages: Sequence[Candidate]) -> Cut | None:
    """Cut after the earliest stage whose probe is not shown to be worse than the best stage's.

    A stage is not shown to be worse where the best mean AUROC exceeds its own by at most one standard error of their
    difference over the same folds (`standard_error`: paired, with the correction of Nadeau and Bengio 2003; the rule is
    that of Breiman et al. 1984 and of `choose`). What lies above it adds nothing that these images show, so it is taken
    to be specific to the source and worth retraining. Where only the last stage passes, nothing is cut off. Of equal
    means the earlier stage counts as the best. The best is picked among many, and a set of few images has large
    errors: there an early stage passes because little is known.

    Args:
        stages: name, parameters and fold AUROCs of each stage.

    Returns:
        The cut, or None where no stage could be probed.

    Raises:
        ValueError: stages were probed on different numbers of folds, or the number of parameters of one is not given.
    """
    if not all(stage.fold_aurocs for stage in stages):
        return None
    best = max(stages, key=lambda stage: stage.auroc)
    kept = next(number for number, stage in enumerate(stages, start=1) if _not_shown_worse(stage, best))
    above = parameters_above(stages)[kept - 1]
    return Cut(kept, len(stages) - kept, above, stages.index(best) + 1, _reason(stages, kept, best))


def parameters_above(stages: Sequence[Candidate]) -> tuple[int, ...]:
    """For each stage the number of parameters of all stages above it: what learns where the network is cut after it.

    Raises:
        ValueError: the number of a stage is not given.
    """
    sizes = [stage.parameters for stage in stages]
    if None in sizes:
        raise ValueError("the number of parameters of every stage must be given to say what a cut would train")
    return tuple(int(sum(size or 0 for size in sizes[number:])) for number in range(1, len(sizes) + 1))


def against_untrained(stage: Candidate, untrained: Candidate) -> str:
    """A sentence on the same stage with random weights, which shows what depth alone gives."""
    control = f"with random weights the same stage reaches {untrained.auroc:.4f}"
    if _not_shown_worse(untrained, stage):
        return f"{control[:1].upper()}{control[1:]}, so no benefit of pretraining is shown there."
    return f"For comparison, {control}."


def in_units_of_spread(features_ND: Floats) -> Floats:
    """Features divided by one number, their overall deviation from the columns' means; constant ones stay as they are.

    Activations of untrained networks grow or vanish with depth by many powers of ten. The scores don't depend on the
    scale of all features together, but what is smaller than 1e-6 counts as constant in the probe.
    """
    wide_ND = np.asarray(features_ND, dtype=np.float64)
    spread = float((wide_ND - wide_ND.mean(axis=0)).std())
    scaled_ND: Floats = wide_ND / spread if np.isfinite(spread) and spread > 0 else wide_ND
    return scaled_ND


def _not_shown_worse(stage: Candidate, best: Candidate) -> bool:
    return best.auroc - stage.auroc <= standard_error(best, stage)


def _reason(stages: Sequence[Candidate], kept: int, best: Candidate) -> str:
    last, taken = stages[-1], stages[kept - 1]
    if taken is last:
        return (
            f"The last stage, {last.name}, has the best cross-validated AUROC ({last.auroc:.4f}), and every earlier "
            "stage is further behind than one standard error of the difference: nothing of this source is shown to be "
            "too specific for these images. model.freeze=all, where only the head learns, is enough; a careful step "
            "further is model.freeze=partial,model.trainable_stages=1, the last stage alone."
        )
    above = len(stages) - kept
    advice = (
        f"The {above} stages above it ({stages[kept].name} to {last.name}) are"
        if above > 1
        else f"The one stage above it ({last.name}) is"
    )
    return (
        f"{_lead(taken, best, kept, len(stages))} {advice} taken to be specific to the source: set "
        f"model.freeze=partial,model.trainable_stages={above}.{_last_word(last, best)}"
    )


def _lead(taken: Candidate, best: Candidate, kept: int, stages: int) -> str:
    place = f"(stage {kept} of {stages})"
    if taken is best:
        return f"{taken.name} {place} has the best cross-validated AUROC ({taken.auroc:.4f}), and none before is level."
    return (
        f"{best.name} has the best cross-validated AUROC ({best.auroc:.4f}); {taken.name} {place}, {taken.auroc:.4f}, "
        f"is the earliest stage within one standard error of the difference ({standard_error(best, taken):.4f})."
    )


def _last_word(last: Candidate, best: Candidate) -> str:
    """A word on freezing all, where the last stage is as good as any: then nothing above the cut is shown to harm."""
    if not _not_shown_worse(last, best):
        return f" The last stage ({last.auroc:.4f}) is shown to be worse than the best."
    fact = "has the best mean itself" if last is best else f"({last.auroc:.4f}) is not shown to be worse than the best"
    return f" The last stage {fact}, so model.freeze=all may be enough too."
