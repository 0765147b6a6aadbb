"""The sentences on two sites: told apart or not, by how much, within which classes, and what stays open."""

from __future__ import annotations

import math

import pytest

from medical_transfer.transferability.distances.conclusion import conclude, told_apart
from medical_transfer.transferability.distances.measured import DistanceValue


def value(p_value, distance=1.9):
    return DistanceValue(distance, p_value, 1.0, n=80, permutations=199, null_mean=0.0, null_low=-0.2, null_high=0.21)


NONE = DistanceValue(math.nan, math.nan, 0.1, "all images of both domains have the same features")
FAR = {"mmd": value(0.005, 0.12), "frechet": value(0.01, 1550.4), "a_distance": value(0.005)}
NEAR = {"mmd": value(0.5), "frechet": value(0.4), "a_distance": value(0.3, 0.05)}

CASES = {
    "apart, no labels": (
        (FAR, {}),
        "^The two sites are told apart under lite: squared MMD 0.12 (by chance up to 0.21, p 0.005), Frechet distance "
        "1,550 (by chance up to 0.21, p 0.01), A-distance 1.9 of 2 (by chance up to 0.21, p 0.005). Without classes "
        "that both sites label it stays open whether only the shares of classes differ.$",
    ),
    "apart, in one class of two": ((FAR, {"sick": FAR, "well": NEAR}), "told apart within sick too: it is not the"),
    "apart, in both": ((FAR, {"sick": FAR, "well": FAR}), "They are told apart within sick and well too"),
    "apart, in no class": ((FAR, {"sick": NEAR}), "Within a class (sick) no difference is shown: the shares of"),
    "not apart": ((NEAR, {"sick": FAR}), "^The two sites are not shown to differ under lite: squared MMD 1.9"),
    "not apart and no more": ((NEAR, {"sick": NEAR}), "p 0.3).$"),
    "nothing measured": (
        (dict.fromkeys(FAR, NONE), {}),
        "^Under lite nothing can be said of the two sites: all images",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_says(case):
    (overall, per_class), words = CASES[case]
    found = conclude(overall, per_class, "lite")
    body = words.removeprefix("^").removesuffix("$")
    assert body in found
    assert not words.startswith("^") or found.startswith(body)
    assert not words.endswith("$") or found.endswith(body)


def test_many_tests_are_one_family():
    assert told_apart({"a": value(0.05)})
    assert not told_apart({"a": value(0.05), "b": value(0.9)})
    assert told_apart({"a": value(0.025), "b": value(0.9)})
    assert told_apart({"a": value(0.05), "b": NONE})
    assert not told_apart({"a": NONE})
    # Three distances in each of four classes: .005 * 12 is above .05.
    within = {name: NEAR | {"mmd": value(0.005)} for name in "abcd"}
    assert "Within a class (a, b, c, d) no difference" in conclude(FAR, within, "lite")
