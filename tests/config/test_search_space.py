"""What a search may vary is checked at the door, one sentence for each fault."""

from __future__ import annotations

import pytest

from medical_transfer.config.search_space import Axis, check_axis, field_of, is_whole, searchable
from medical_transfer.config.study_tuning import DEFAULT_SPACE, StudyTuning
from medical_transfer.hooks.guards import check_parameters
from medical_transfer.types import UserError

LR = "training.finetune.learning_rate"

REFUSED = [
    ({"training.finetune.lerning_rate": {"low": 1, "high": 2}}, r"training\.finetune\.lerning_rate is no parameter: "),
    ({"training.finetune": {"low": 1, "high": 2}}, r"training\.finetune is no parameter: expected one of training\."),
    ({"training.epochs.more": {"low": 1, "high": 2}}, "training.epochs.more is no parameter"),
    ({"images.size": {"low": 64, "high": 128}}, "images.size cannot be searched: expected a parameter of model, train"),
    ({"evaluation.bins": {"low": 2, "high": 9}}, "evaluation.bins cannot be searched"),
    ({LR: {"low": 2e-3, "high": 1e-3}}, "low=0.002 and high=0.001: low must be below high"),
    ({LR: {"low": 1e-3, "high": 1e-3}}, "low must be below high"),
    ({LR: {"low": 1e-3}}, "low=0.001 and high=None: give both"),
    ({LR: {"log": True}}, "give low and high, or choices"),
    ({LR: {"low": 1e-5, "high": 1e-3, "choices": [1e-4, 2e-4]}}, "give low and high, or choices, and null for the"),
    ({LR: {"low": -1, "high": 1e-3}}, "learning_rate cannot be -1: it should be greater than 0"),
    ({LR: {"choices": [1e-4, "much"]}}, "learning_rate cannot be 'much': it should be a valid number"),
    ({LR: {"choices": [1e-4]}}, "choices': List should have at least 2 items"),
    ({LR: {"low": "x", "high": 1}}, r"space\.training\.finetune\.learning_rate\.low"),
    ({LR: {"low": 1e-5, "hihg": 1e-3}}, r"Unknown parameter 'study_tuning\.space.*hihg'"),
    ({LR: 3}, r"study_tuning\.space\.training\.finetune\.learning_rate' is 3"),
    ({"training.finetune.l2_sp": {"low": 0, "high": 1, "log": True}}, "low=0, which has no logarithm"),
    ({"training.epochs": {"low": 1.5, "high": 3}}, "training.epochs cannot be 1.5: it should be a valid integer"),
    ({"training.epochs": {"choices": [True, 2]}}, "training.epochs cannot be True: it should be a valid integer"),
    ({"model.freeze": {"choices": ["all", "some"]}}, "model.freeze cannot be 'some': it should be 'all', 'partial'"),
    ({"model.freeze": {"choices": ["all", "all"]}}, "name each once"),
    ({"model.freeze": {"low": 1, "high": 2}}, "model.freeze is no number: give choices"),
    ({"model.dropout": None}, "at least 1 item"),
    ("everything", "study_tuning.space' is 'everything'"),
]


@pytest.mark.parametrize(("space", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_space_that_cannot_be_searched_is_one_sentence(space, message):
    with pytest.raises(UserError, match=message) as refused:
        check_parameters({"study_tuning": {"space": space}})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "space",
    [
        {"training.epochs": {"low": 2, "high": 5}},
        {"training.per_class": {"choices": [None, 4]}},
        {"training.finetune.head_first": {"choices": [True, False]}},
        {"model.dropout": {"low": 0, "high": 0.5}},
        {"augmentation.policy": {"choices": ["none", "flips"]}},
    ],
    ids=str,
)
def test_what_can_be_searched(space):
    check_parameters({"study_tuning": {"space": space}})


def test_names_may_be_nested_as_the_command_line_writes_them():
    """`--params=study_tuning.space.model.dropout.high=0.4` over a file with full names; null takes one out."""
    space = {
        "model.dropout": {"low": 0.1, "high": 0.5},
        LR: {"low": 1e-5, "high": 1e-3, "log": True},
        "model": {"dropout": {"high": 0.4}, "freeze": {"choices": ["all", "none"]}},
        "training": {"finetune": {"learning_rate": None}},
    }
    assert StudyTuning(space=space).space == {
        "model.dropout": Axis(low=0.1, high=0.4),
        "model.freeze": Axis(choices=["all", "none"]),
    }


def test_every_parameter_of_the_menu_can_be_found_and_numbers_are_told_apart():
    assert len(searchable()) == len(set(searchable()))
    for name in searchable():
        assert field_of(name).description or name == "training.finetune"
    assert [is_whole(field_of(name)) for name in ("training.epochs", "training.per_class", LR)] == [True, True, False]
    for name, axis in DEFAULT_SPACE.items():
        check_axis(name, axis)


def test_seeds_are_named_once():
    with pytest.raises(UserError, match=r"study_tuning\.seeds is \[1, 1\]: name each once"):
        check_parameters({"study_tuning": {"seeds": [1, 1]}})
