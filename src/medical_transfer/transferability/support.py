"""Which score decides: the one that a study found to agree best with measured results, or none that can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medical_transfer.transferability.agreement_file import OutcomeAgreement, ScoreAgreement

AUTO, NONE, PROBE = "auto", "none", "linear_probe"
OUTCOMES = {True: ("probe_auroc", "a linear probe"), False: ("lp_ft_auroc", "fine-tuning")}
"""What a choice is for: with everything frozen the source is used as a probe uses it, else it is fine-tuned."""

NONE_SUPPORTED = "none orders sources better than chance and is shown to give up less than the default source"


@dataclass(frozen=True, slots=True)
class Basis:
    """What the choice of a source rests on.

    Attributes:
        score: name in the menu of scores; None: no score is trusted, so the default source is used.
        why: a sentence that says why this score, or none.
        evidence: how each score agreed with measured results where a study says so, best first.
    """

    score: str | None
    why: str
    evidence: tuple[ScoreAgreement, ...] = ()


def basis_of(agreement: Mapping[str, OutcomeAgreement] | None, *, asked: str, all_frozen: bool) -> Basis:
    """The score that decides.

    `auto` takes the best-supported one of a study: the highest mean tau_w of those above the chance band, over enough
    targets, whose choice is shown to give up less than the default source (`OutcomeAgreement.best_supported`). Where a
    study supports none, none is trusted; where there is no study of the outcome, the plain baseline decides, the
    cross-validated linear probe.

    Args:
        agreement: outcome -> agreement of scores, as `read_agreement` gives it; None: there is no study.
        asked: `transferability.decide_by`: `auto`, `none` or the name of a score.
        all_frozen: nothing of the trunk is trained, so the probe's outcomes count, else those of fine-tuning.
    """
    name, outcome = OUTCOMES[all_frozen]
    found = (agreement or {}).get(name)
    evidence = () if found is None else _best_first(found)
    if asked == NONE:
        return Basis(None, "No score decides (transferability.decide_by).", evidence)
    if asked != AUTO:
        return Basis(asked, f"{asked} decides (transferability.decide_by).", evidence)
    if found is None:
        return Basis(PROBE, f"No study of scores against {outcome} is at hand, so the linear probe decides.", evidence)
    studied = f"a study of {len(found.targets)} data sets and {len(found.sources)} sources"
    best = found.best_supported
    if best is None:
        return Basis(None, f"No score is trusted here: in {studied} {NONE_SUPPORTED}.", evidence)
    return Basis(
        best.score,
        f"{best.score} decides: in {studied} it agrees best with {outcome} (mean tau_w {best.tau_w.estimate:.2f}, "
        f"interval {best.tau_w.low:.2f} to {best.tau_w.high:.2f}, chance below {best.null_band:.2f}).",
        evidence,
    )


def _best_first(outcome: OutcomeAgreement) -> tuple[ScoreAgreement, ...]:
    """Scores and baselines that have a number, by their mean tau_w."""
    known = [each for each in outcome.scores if each.reason is None]
    return tuple(sorted(known, key=lambda each: -each.tau_w.estimate))
