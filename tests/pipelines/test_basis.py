"""The ranking node takes its score from what the study of scores left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from medical_transfer.config.transferability import Transferability
from medical_transfer.pipelines.transferability.nodes import _basis
from medical_transfer.runtime.files import write_json
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.transferability.agreement_file import OutcomeAgreement, ScoreAgreement, read_agreement, to_json
from medical_transfer.types import Interval, UserError


@pytest.fixture
def study(tmp_path: Path) -> Path:
    tau = Interval(0.6, 0.5, 0.7)
    score = ScoreAgreement("gbc", False, tau, 0.3, tau, Interval(0.01), 1.0, targets=6, sources=9.0)
    outcome = OutcomeAgreement("lp_ft_auroc", tuple("abcdef"), tuple("123456789"), 3, (score,))
    path = tmp_path / "agreement.json"
    write_json(path, {"outcomes": to_json({outcome.outcome: outcome})})
    return path


def test_the_score_that_the_study_supports_decides(study: Path) -> None:
    found = _basis(Transferability(agreement=study), all_frozen=False)
    assert (found.score, len(found.evidence)) == ("gbc", 1)
    assert _basis(Transferability(agreement=None), all_frozen=False).score == "linear_probe"


def test_a_study_that_is_not_there_is_said_unless_a_source_is_named(study: Path) -> None:
    gone = study.with_name("gone.json")
    with pytest.raises(UserError, match=r"gone.json is no agreement of scores .*study_transferability writes"):
        _basis(Transferability(agreement=gone), all_frozen=False)
    assert _basis(Transferability(agreement=gone, chosen="random"), all_frozen=False).evidence == ()


def test_the_study_that_the_project_brings_can_be_read() -> None:
    agreement = Transferability().agreement
    assert agreement is not None
    assert read_agreement(PROJECT / agreement)
