from __future__ import annotations

from typing import Any

import pytest

from medical_transfer.hooks.guards import DECLARED, check_parameters
from medical_transfer.types import UserError

REFUSED = {
    "an unknown block": ({"trainin": {}}, "Unknown parameter 'trainin': known are .* Did you mean 'training'"),
    "nothing like it": ({"xyzzy": 1}, "Unknown parameter 'xyzzy': known are .*evaluation\\.$"),
    "an unknown key": ({"training": {"epoch": 3}}, "Unknown parameter 'training.epoch'. Did you mean 'epochs'"),
    "an unknown key further in": (
        {"training": {"finetune": {"learning_rat": 1}}},
        "Unknown parameter 'training.finetune.learning_rat'. Did you mean 'learning_rate'",
    ),
    "a negative rate": (
        {"training": {"finetune": {"learning_rate": -1}}},
        "Parameter 'training.finetune.learning_rate' is -1: it should be greater than 0",
    ),
    "not a number": ({"images": {"size": "big"}}, "Parameter 'images.size' is 'big': it should be a valid integer"),
    "an unknown kind": ({"images": {"kind": "nifti"}}, "Parameter 'images.kind' is 'nifti': it should be 'packaged', "),
    "a rule of one value": ({"images": {"group_pattern": "p[0-9]+"}}, "'images.group_pattern': .*has no group"),
    "a rule of several values": ({"images": {"kind": "folder"}}, "images.kind=folder needs images.root"),
    "a block that is no block": ({"training": 3}, "training.*should be a valid dictionary"),
    "two faults": ({"run": {"seed": "x"}, "model": {"dropout": 2}}, "'run.seed' is 'x'.*'model.dropout' is 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_full_name(case: str) -> None:
    parameters, sentence = REFUSED[case]
    with pytest.raises(UserError, match=sentence) as caught:
        check_parameters(parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("parameters", [{}, {"run_root": "x", "tracking": {"parent_run_id": ""}}, {"run": {"seed": 3}}])
def test_what_is_right_passes(parameters: dict[str, Any]) -> None:
    assert set(parameters) <= set(DECLARED)
    check_parameters(parameters)
