from __future__ import annotations

import math

from medical_transfer.studies.words import ends, failed


def test_one_seed_has_no_interval():
    assert ends(math.nan, math.nan) == "one seed"
    assert ends(0.8, 0.9123) == "0.800 to 0.912"


def test_trials_that_failed_are_a_section_and_none_is_no_section():
    assert failed([]) == []
    told = failed([{"trial": "full, 16, seed 0", "sentence": "No room."}])
    assert told == ["## Trials that failed", "- full, 16, seed 0: No room."]
