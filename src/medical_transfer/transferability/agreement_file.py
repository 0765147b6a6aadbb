"""How scores agreed with measured outcomes, as a study of them leaves it behind: `agreement.json` and its reader.

The file holds `outcomes`: for each measured outcome (`probe_auroc`, `lp_ft_auroc`) its targets, sources and number of
seeds, and for each score what `ScoreAgreement` names; an interval is `{estimate, low, high}`, null is 'not defined'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medical_transfer.config.transferability import ALWAYS
from medical_transfer.runtime.files import read_json
from medical_transfer.types import Interval, UserError

LEAST_TARGETS = 5
"""With fewer targets no score is called supported: a bootstrap of so few knows little of how targets differ."""


@dataclass(frozen=True, slots=True)
class ScoreAgreement:
    """One score against one outcome.

    Attributes:
        score: its name in the menu of scores, or of a baseline.
        baseline: it looks at no feature of the target.
        tau_w: mean over targets of the weighted Kendall tau, with its interval over targets.
        null_band: 95 % of |mean tau_w| lie below it for a random order of the same sources.
        pearson: mean correlation.
        regret: mean of the best outcome minus that of the source with the highest score.
        seconds: mean cost of the score for one source and target, its features not counted.
        targets: how many targets have a value.
        sources: how many sources a target has with score and outcome, on average.
        gains: baseline -> how far tau_w is above that of the baseline on the same sources; the intervals of all scores
            hold together with 95 % (Bonferroni).
        saved: baseline -> how much less regret than the baseline, likewise.
        reason: why there is no number, where there is none.
    """

    score: str
    baseline: bool
    tau_w: Interval
    null_band: float
    pearson: Interval
    regret: Interval
    seconds: float
    targets: int
    sources: float
    gains: Mapping[str, Interval] = field(default_factory=dict)
    saved: Mapping[str, Interval] = field(default_factory=dict)
    reason: str | None = None

    @property
    def above_chance(self) -> bool:
        """Whether its mean tau_w lies above the null band, over enough targets."""
        return self.targets >= LEAST_TARGETS and self.tau_w.estimate > self.null_band

    @property
    def beats_the_default(self) -> bool:
        """Whether its choice is shown to give up less than always taking the default; true where that is unknown."""
        saved = self.saved.get(ALWAYS)
        return saved is None or math.isnan(saved.low) or saved.low > 0

    @property
    def above_baselines(self) -> bool:
        """Whether it is shown to order sources better than each baseline that is defined on these sources."""
        known = [gain for gain in self.gains.values() if not math.isnan(gain.estimate)]
        return self.targets >= LEAST_TARGETS and bool(known) and all(gain.low > 0 for gain in known)


@dataclass(frozen=True, slots=True)
class OutcomeAgreement:
    """All scores against one outcome."""

    outcome: str
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    seeds: int
    scores: tuple[ScoreAgreement, ...]

    @property
    def best_supported(self) -> ScoreAgreement | None:
        """The score with the highest mean tau_w of those that are supported, baselines left out; None: there is none.

        Supported: it orders sources better than chance, and its choice is shown to give up less than always taking the
        default.
        """
        shown = [each for each in self.scores if not each.baseline and each.above_chance and each.beats_the_default]
        return max(shown, key=lambda each: each.tau_w.estimate, default=None)


def to_json(outcomes: Mapping[str, OutcomeAgreement]) -> dict[str, Any]:
    """The part `outcomes` of the file."""
    return {name: asdict(each) for name, each in outcomes.items()}


def from_json(content: Mapping[str, Any]) -> dict[str, OutcomeAgreement]:
    """Read the part `outcomes` again."""
    return {
        name: OutcomeAgreement(
            outcome=each["outcome"],
            targets=tuple(each["targets"]),
            sources=tuple(each["sources"]),
            seeds=each["seeds"],
            scores=tuple(_score(score) for score in each["scores"]),
        )
        for name, each in content.items()
    }


def read_agreement(path: Path) -> dict[str, OutcomeAgreement]:
    """Outcome -> how scores agreed with it, from a study's `agreement.json`.

    Raises:
        UserError: the file is missing or holds something else.
    """
    try:
        return from_json(read_json(path)["outcomes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no agreement of scores ({type(error).__name__}): expected the agreement.json that "
            "kedro run --pipeline=study_transferability writes."
        ) from error


def _score(told: Mapping[str, Any]) -> ScoreAgreement:
    read: dict[str, Any] = {name: told[name] for name in ("score", "baseline", "targets", "reason")}
    read |= {name: _interval(told[name]) for name in ("tau_w", "pearson", "regret")}
    read |= {name: _number(told[name]) for name in ("null_band", "seconds", "sources")}
    read |= {name: {key: _interval(value) for key, value in told[name].items()} for name in ("gains", "saved")}
    return ScoreAgreement(**read)


def _interval(told: Mapping[str, Any]) -> Interval:
    return Interval(_number(told["estimate"]), _number(told["low"]), _number(told["high"]))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
