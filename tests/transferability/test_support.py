"""Which score decides, and that none does where none is supported."""

from __future__ import annotations

import math

import pytest

from medical_transfer.transferability.agreement_file import LEAST_TARGETS, OutcomeAgreement, ScoreAgreement
from medical_transfer.transferability.support import basis_of
from medical_transfer.types import Interval

TARGETS = tuple("abcdef")


def score(name, tau, *, band=0.3, targets=6, baseline=False, reason=None, saved=0.2):
    interval = Interval(tau, tau - 0.1, tau + 0.1)
    return ScoreAgreement(
        name,
        baseline,
        interval,
        band,
        interval,
        Interval(0.01),
        1.0,
        targets=targets,
        sources=9.0,
        saved={"always_the_same": Interval(saved, saved - 0.1, saved + 0.1)},
        reason=reason,
    )


def studied(*scores, outcome="lp_ft_auroc"):
    return {outcome: OutcomeAgreement(outcome, TARGETS, tuple("123456789"), 3, scores)}


def test_the_best_supported_score_decides_and_says_why():
    found = studied(score("logme", 0.4), score("linear_probe", 0.5), score("static_order", 0.9, baseline=True))
    basis = basis_of(found, asked="auto", all_frozen=False)
    assert basis.score == "linear_probe"
    assert basis.why == (
        "linear_probe decides: in a study of 6 data sets and 9 sources it agrees best with fine-tuning "
        "(mean tau_w 0.50, interval 0.40 to 0.60, chance below 0.30)."
    )
    assert [each.score for each in basis.evidence] == ["static_order", "linear_probe", "logme"]


@pytest.mark.parametrize(
    "useless",
    [
        score("logme", 0.29),
        score("logme", 0.9, targets=LEAST_TARGETS - 1),
        score("static_order", 0.9, baseline=True),
        score("logme", 0.9, saved=-0.001),
        score("logme", 0.9, saved=0.09),
        score("leep", math.nan, reason="no source has a head"),
    ],
    ids=[
        "within chance",
        "too few targets",
        "a baseline",
        "gives up more than the default",
        "not shown to give up less",
        "undefined",
    ],
)
def test_no_score_is_trusted_where_none_is_supported(useless):
    basis = basis_of(studied(useless), asked="auto", all_frozen=False)
    assert basis.score is None
    assert basis.why.startswith("No score is trusted here: in a study of 6 data sets")
    assert len(basis.evidence) == (useless.reason is None)


def test_a_frozen_trunk_is_judged_by_probes_and_another_by_fine_tuning():
    found = studied(score("gbc", 0.6)) | studied(score("parc", 0.7), outcome="probe_auroc")
    assert basis_of(found, asked="auto", all_frozen=True).score == "parc"
    assert basis_of(found, asked="auto", all_frozen=False).score == "gbc"


@pytest.mark.parametrize("agreement", [None, {}, studied(score("parc", 0.7), outcome="probe_auroc")])
def test_the_probe_decides_where_nothing_was_studied(agreement):
    basis = basis_of(agreement, asked="auto", all_frozen=False)
    assert (basis.score, basis.evidence) == ("linear_probe", ())
    assert "No study of scores against fine-tuning is at hand" in basis.why


def test_what_the_user_asks_for_is_taken_with_the_evidence_beside_it():
    found = studied(score("gbc", 0.1))
    named, none = (basis_of(found, asked=asked, all_frozen=False) for asked in ("gbc", "none"))
    assert (named.score, len(named.evidence)) == ("gbc", 1)
    assert (none.score, len(none.evidence)) == (None, 1)
