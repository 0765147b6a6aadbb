"""What a study leaves behind is read as it was written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from medical_transfer.runtime.files import write_json
from medical_transfer.transferability.agreement_file import (
    LEAST_TARGETS,
    OutcomeAgreement,
    ScoreAgreement,
    read_agreement,
    to_json,
)
from medical_transfer.types import Interval, UserError

NAN = math.nan


def score(name: str, tau: float, *, targets: int = LEAST_TARGETS, **fields) -> ScoreAgreement:
    usual = {"baseline": False, "null_band": 0.3, "pearson": Interval(NAN), "regret": Interval(0.01, 0.0, 0.02)}
    usual |= {"seconds": 0.5, "sources": 9.5}
    return ScoreAgreement(name, tau_w=Interval(tau, tau - 0.1, tau + 0.1), targets=targets, **(usual | fields))


def test_read_as_it_was_written(tmp_path: Path) -> None:
    gains = {"parameters": Interval(0.2, 0.1, 0.3), "static_order": Interval(NAN)}
    scores = (score("logme", 0.5, gains=gains), score("leep", NAN, targets=0, reason="too few", seconds=NAN))
    found = OutcomeAgreement("probe_auroc", ("a", "b"), ("x", "y"), 3, scores)
    write_json(tmp_path / "agreement.json", {"outcomes": to_json({"probe_auroc": found}), "sources": {}})
    assert "NaN" not in (tmp_path / "agreement.json").read_text(encoding="utf-8")
    again = read_agreement(tmp_path / "agreement.json")
    assert repr(again) == repr({"probe_auroc": found})  # NaN is not equal to itself, its text is


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"outcomes": {"probe_auroc": {}}})])
def test_anything_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "agreement.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"is no agreement of scores .*study_transferability writes"):
        read_agreement(tmp_path / "agreement.json")
    with pytest.raises(UserError, match="FileNotFoundError"):
        read_agreement(tmp_path / "none.json")


def test_what_is_supported() -> None:
    scores = (
        score("weak", 0.29),
        score("good", 0.6),
        score("better_but_few", 0.9, targets=LEAST_TARGETS - 1),
        score("parameters", 0.95, baseline=True),
    )
    found = OutcomeAgreement("lp_ft_auroc", (), (), 3, scores)
    assert found.best_supported is scores[1]
    assert OutcomeAgreement("lp_ft_auroc", (), (), 3, scores[:1]).best_supported is None


@pytest.mark.parametrize(
    ("lows", "above"), [((0.1, 0.01), True), ((0.1, 0.0), False), ((0.1, NAN), True), ((NAN, NAN), False)]
)
def test_above_the_baselines_means_above_each_that_is_defined(lows, above) -> None:
    gains = {f"b{n}": Interval(NAN if math.isnan(low) else low + 0.1, low, low + 0.2) for n, low in enumerate(lows)}
    assert score("s", 0.9, gains=gains).above_baselines is above
    assert not score("s", 0.9, gains=gains, targets=LEAST_TARGETS - 1).above_baselines
