"""The choice of the source and its sentence, case by case."""

from __future__ import annotations

import math

import pytest

from medical_transfer.transferability.choose import Candidate, choose, standard_error
from medical_transfer.transferability.support import Basis
from medical_transfer.types import UserError

# Differences to BEST: .04 .05 .06 (sd .01); standard error .01 * sqrt(1/3 + 1/2) = .00913.
BEST = Candidate("best", (0.90, 0.92, 0.94), parameters=900)
CLEARLY_WORSE = Candidate("worse", (0.86, 0.87, 0.88), parameters=100)
# Differences to BEST: -.01 .02 .02: mean .01, sd .01732, standard error .01581: not told apart.
LEVEL = Candidate("level", (0.91, 0.90, 0.92), parameters=500)


def test_standard_error_by_hand():
    assert standard_error(BEST, CLEARLY_WORSE) == pytest.approx(0.01 * math.sqrt(1 / 3 + 1 / 2))
    assert standard_error(BEST, LEVEL) == pytest.approx(math.sqrt(0.0003) * math.sqrt(1 / 3 + 1 / 2))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_clear_lead_wins_whatever_it_costs(reverse):
    choice = choose([BEST, CLEARLY_WORSE][:: -1 if reverse else 1], all_frozen=False)
    assert choice.name == "best"
    assert "(0.9200); the runner-up worse (0.8700) is further behind than one standard error" in choice.why
    assert "(0.0091)" in choice.why


def test_the_cheaper_wins_where_they_are_not_told_apart():
    choice = choose([BEST, LEVEL, CLEARLY_WORSE], all_frozen=False)
    assert choice.name == "level"
    assert "best has the best cross-validated AUROC (0.9200), but level (0.9100) is within" in choice.why
    assert "level is used" in choice.why


def test_the_leader_stays_where_the_level_one_is_not_cheaper():
    for cost in (900, 901, None):
        dear = Candidate("dear", LEVEL.fold_aurocs, parameters=cost)
        choice = choose([dear, BEST], all_frozen=False)
        assert choice.name == "best"
        assert "not told apart, and is not cheaper" in choice.why


def test_equal_folds_go_to_the_cheaper():
    perfect = [Candidate("large", (1.0, 1.0), parameters=9), Candidate("small", (1.0, 1.0), parameters=3)]
    assert choose(perfect, all_frozen=False).name == "small"


def test_a_graph_competes_only_where_all_is_frozen():
    graph = Candidate("graph", (0.98, 0.99, 1.0), parameters=10, trainable=False)
    left_out = choose([BEST, graph], all_frozen=False)
    assert left_out.name == "best"
    assert left_out.why.endswith("graph (0.9900) exists only as a graph and competes with model.freeze=all only.")
    built = choose([BEST, graph], all_frozen=True)
    assert built.name == "graph"
    assert "only as a graph" not in built.why
    assert choose([BEST, graph], all_frozen=True, chosen="graph").name == "graph"
    worse = Candidate("graph", CLEARLY_WORSE.fold_aurocs, trainable=False)
    assert "only as a graph" not in choose([BEST, worse], all_frozen=False).why


def test_several_sources_side_by_side_compete_only_where_all_is_frozen():
    both = Candidate("a+b", (0.98, 0.99, 1.0), parameters=1400, trainable=False)
    left_out = choose([BEST, both], all_frozen=False)
    assert left_out.name == "best"
    assert left_out.why.endswith(
        "a+b (0.9900) is several sources side by side and competes with model.freeze=all only."
    )
    assert choose([BEST, both], all_frozen=True).name == "a+b"
    refused = (
        r"'a\+b', which is several sources side by side and gives frozen features only: set model\.freeze=all or na"
    )
    with pytest.raises(UserError, match=refused):
        choose([BEST, both], all_frozen=False, chosen="a+b")
    with pytest.raises(UserError, match=r"All sources \(a\+b\) are several side by side and give frozen features only"):
        choose([both], all_frozen=False)
    graph = Candidate("graph", (0.9, 0.9, 0.9), trainable=False)
    with pytest.raises(UserError, match=r"\(a\+b, graph\) exist only as graphs or are several side by side and give"):
        choose([both, graph], all_frozen=False)


def test_the_control_is_never_taken_for_its_price_but_spoken_of():
    control = Candidate("random", (0.91, 0.90, 0.92), parameters=1, control=True)
    choice = choose([control, BEST], all_frozen=False)
    assert choice.name == "best"
    assert "untrained control random (0.9100) does as well" in choice.why
    beaten = Candidate("random", (0.5, 0.5, 0.5), control=True)
    assert "control" not in choose([beaten, BEST], all_frozen=False).why


def test_the_control_alone_or_named():
    control = Candidate("random", (0.6, 0.7), control=True)
    assert choose([control], all_frozen=False).name == "random"
    assert choose([control, BEST], all_frozen=False, chosen="random").name == "random"


def test_the_parameter_overrides():
    choice = choose([BEST, CLEARLY_WORSE], all_frozen=False, chosen="worse")
    assert choice.name == "worse"
    assert "transferability.chosen" in choice.why


def test_without_any_probe_the_first_is_used():
    choice = choose([Candidate("first", ()), Candidate("second", ())], all_frozen=False)
    assert choice.name == "first"
    assert "No source can be probed" in choice.why


def test_refuses():
    graph = Candidate("graph", (0.9, 0.9), trainable=False)
    with pytest.raises(UserError, match="is 'other'; the sources are best, graph"):
        choose([BEST, graph], all_frozen=False, chosen="other")
    with pytest.raises(
        UserError, match=r"'graph', which exists only as a graph .* set model\.freeze=all or name another"
    ):
        choose([BEST, graph], all_frozen=False, chosen="graph")
    with pytest.raises(UserError, match=r"All sources \(graph\) exist only as graphs .* set model\.freeze=all or add"):
        choose([graph], all_frozen=False)
    with pytest.raises(ValueError, match="different folds"):
        choose([BEST, Candidate("short", (0.9, 0.9))], all_frozen=False)


def by(score, **values):
    """Sources with a value of the score that decides, a probe that would choose `best`, and the choice."""
    folds = {"best": BEST.fold_aurocs}
    candidates = [
        Candidate(name, folds.get(name, CLEARLY_WORSE.fold_aurocs), parameters=cost, value=value)
        for name, (value, cost) in values.items()
    ]
    return choose(candidates, all_frozen=False, basis=Basis(score, "Because."))


def test_another_score_decides_by_its_highest_value():
    choice = by("logme", best=(0.2, 1), other=(0.4, 9), third=(0.3, 1))
    assert choice.name == "other"
    assert choice.why.startswith("Because. other has the highest logme (0.4); the runner-up is third (0.3).")


def test_equal_values_go_to_the_cheaper_and_undefined_ones_do_not_compete():
    assert by("logme", best=(0.4, 9), other=(0.4, 2), lost=(math.nan, 1)).name == "other"
    nothing = by("leep", best=(math.nan, 9), other=(math.nan, 2))
    assert nothing.name == "best"
    assert "leep is defined for no source here: best, the first listed, is used." in nothing.why


def test_where_no_score_is_trusted_the_default_is_used_whatever_they_say():
    choice = by(None, other=(0.1, 9), best=(0.9, 1))
    assert choice.name == "other"
    assert choice.why == "Because. other, the default (the first listed), is used."


def test_the_untrained_control_is_no_default():
    control = Candidate("random", BEST.fold_aurocs, control=True)
    assert choose([control, CLEARLY_WORSE], all_frozen=False, basis=Basis(None, "No.")).name == "worse"
