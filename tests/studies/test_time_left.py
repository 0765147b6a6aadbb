from __future__ import annotations

import logging

import pytest

from medical_transfer.studies.time_left import TimeLeft, in_words
from medical_transfer.studies.trials import Trial

WAITING = [Trial(method, "16", seed) for seed in (0, 1) for method in ("quick", "slow")]


def test_each_method_takes_as_long_as_it_took(caplog):
    clock = TimeLeft("name", WAITING)
    with caplog.at_level(logging.INFO):
        clock.tell(WAITING[0], 10.0)
        assert clock.left() == 30.0  # of the slow one nothing is known yet: three times 10
        clock.tell(WAITING[1], 100.0)
        assert clock.left() == 110.0
        clock.tell(WAITING[2], 20.0)
        clock.tell(WAITING[3], 100.0)
    assert "trial 3 of 4 (quick, 16, seed 1) took 20 s, about 2 min left" in caplog.messages[2]
    assert caplog.messages[3].endswith("no more")


@pytest.mark.parametrize(("seconds", "words"), [(89.4, "89 s"), (90, "2 min"), (5399, "90 min"), (9000, "2.5 h")])
def test_words(seconds, words):
    assert in_words(seconds) == words


def test_several_at_once_take_less_and_what_is_found_finished_takes_nothing(caplog):
    clock = TimeLeft("name", WAITING, at_once=2)
    clock.skip(WAITING[1])
    with caplog.at_level(logging.INFO):
        clock.tell(WAITING[0], 10.0)
    assert clock.left() == 10.0  # two more of 10, side by side
    assert "trial 1 of 3 (quick, 16, seed 0) took 10 s, about 10 s left" in caplog.text


def test_a_process_that_died_says_nothing_of_the_time(caplog):
    clock = TimeLeft("name", WAITING)
    with caplog.at_level(logging.INFO):
        clock.tell(WAITING[0], float("nan"))
        clock.tell(WAITING[2], 4.0)
    assert "took an unknown time, an unknown time left" in caplog.messages[0]
    assert clock.left() == 8.0
