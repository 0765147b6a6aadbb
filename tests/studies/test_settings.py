"""A setting is the same thing as drawn, as text and as parameters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.config.search_space import Axis
from medical_transfer.studies.settings import as_text, from_text, is_inside, nested, own_setting, settled

SPACE = {
    "training.finetune.learning_rate": Axis(low=1e-5, high=1e-3, log=True),
    "training.epochs": Axis(low=1, high=5),
    "model.freeze": Axis(choices=["all", "partial"]),
}
SETTING = {"training.finetune.learning_rate": 3.14e-5, "training.epochs": 2, "model.freeze": "all"}
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-99, 99), st.floats(allow_nan=False, allow_infinity=False), st.just("partial")
)


def test_a_setting_is_what_the_command_line_takes():
    text = "training.finetune.learning_rate=3.14e-05,training.epochs=2,model.freeze=all"
    assert as_text(SETTING) == text
    assert from_text(text) == SETTING
    assert nested(SETTING) == {
        "training": {"finetune": {"learning_rate": 3.14e-5}, "epochs": 2},
        "model": {"freeze": "all"},
    }


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(SPACE)), VALUES, min_size=1))
def test_text_is_read_as_it_was_written(setting):
    read = from_text(as_text(setting))
    assert read == setting
    assert [type(value) for value in read.values()] == [type(value) for value in setting.values()]


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-5, 1e-3))
def test_numbers_have_three_digits_and_stay_inside(rate):
    tried = settled({**SETTING, "training.finetune.learning_rate": rate}, SPACE)
    assert tried["training.finetune.learning_rate"] == pytest.approx(rate, rel=5.1e-3)
    assert is_inside(tried, SPACE)
    assert len(f"{tried['training.finetune.learning_rate']:e}".partition("e")[0].rstrip("0")) <= 4
    narrow = {"model.dropout": Axis(low=0.12345, high=0.12349)}
    assert settled({"model.dropout": 0.12346}, narrow) == {"model.dropout": 0.12345}


@pytest.mark.parametrize(
    ("over", "inside"),
    [
        ({}, True),
        ({"training.finetune.learning_rate": 1e-3}, True),
        ({"training.finetune.learning_rate": 2e-3}, False),
        ({"training.epochs": 0}, False),
        ({"training.epochs": True}, False),
        ({"training.epochs": None}, False),
        ({"model.freeze": "none"}, False),
        ({"model.head": "linear"}, False),
    ],
    ids=str,
)
def test_what_a_space_holds(over, inside):
    assert is_inside({**SETTING, **over}, SPACE) is inside


def test_the_own_setting_is_that_of_the_configuration_or_its_default():
    parameters = {"training": {"epochs": 4, "finetune": {"learning_rate": 1e-4}}, "model": {}}
    assert own_setting(parameters, SPACE) == {
        "training.finetune.learning_rate": 1e-4,
        "training.epochs": 4,
        "model.freeze": "partial",
    }
