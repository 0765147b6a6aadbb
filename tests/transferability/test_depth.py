"""The cut that probes by depth suggest, case by case, and its words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.transferability import SCORES, Evidence
from medical_transfer.transferability.choose import Candidate
from medical_transfer.transferability.depth import (
    against_untrained,
    in_units_of_spread,
    parameters_above,
    suggest_cut,
)

# Against (0.90, 0.92, 0.94). One standard error is sd sqrt(1/3 + 1/2) by hand.
BEST = (0.90, 0.92, 0.94)
WORSE = (0.86, 0.87, 0.88)  # differences .04 .05 .06: mean .05, error .01 * .9129 = .0091
LEVEL = (0.91, 0.90, 0.92)  # differences -.01 .02 .02: mean .01, error .01732 * .9129 = .0158
# Differences .03 .00 .03: mean .02, sd .01732: the plain sd / sqrt(3) is .0100, the corrected error .0158.
BETWEEN = (0.87, 0.92, 0.91)
# Differences .03 .00 .01: mean .01333, sd .015275: plain error .00882 (shown worse), corrected .01394 (not shown).
CORRECTED = (0.87, 0.92, 0.93)


def network(*folds: tuple[float, ...]) -> list[Candidate]:
    """Stages s1, s2, ... of 10, 100, ... parameters."""
    return [Candidate(f"s{n}", each, parameters=10**n) for n, each in enumerate(folds, start=1)]


CASES = {
    # folds from the image to the head -> stages kept, parameters above the cut, number of the best stage
    "a middle stage is best, none before is level": ((WORSE, BEST, WORSE, WORSE), 2, 1000 + 10000, 2),
    "an earlier stage is level with a middle one": ((WORSE, LEVEL, BEST, WORSE), 2, 1000 + 10000, 3),
    "an earlier stage is level with the last one": ((WORSE, LEVEL, BEST), 2, 1000, 3),
    "the earliest of several level ones": ((LEVEL, LEVEL, BEST), 1, 100 + 1000, 3),
    "earliest even where one between is worse": ((LEVEL, WORSE, BEST), 1, 100 + 1000, 3),
    "only the last one is good": ((WORSE, WORSE, BEST), 3, 0, 3),
    "a gap of more than one error": ((BETWEEN, BEST), 2, 0, 2),
    "a gap that only the corrected error covers": ((CORRECTED, BEST), 1, 100, 2),
    "equal folds: the earlier one is the best": ((BEST, BEST), 1, 100, 1),
    "all perfect": (((1.0, 1.0), (1.0, 1.0), (1.0, 1.0)), 1, 100 + 1000, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_the_cut_by_hand(case):
    folds, kept, parameters, best = CASES[case]
    cut = suggest_cut(network(*folds))
    assert cut is not None
    assert (cut.kept, cut.retrained, cut.parameters, cut.best) == (kept, len(folds) - kept, parameters, best)


def test_what_is_above_the_cut_is_retrained_and_the_words_say_so():
    cut = suggest_cut(network(WORSE, LEVEL, BEST, WORSE))
    assert cut.settings == {"model.freeze": "partial", "model.trainable_stages": 2}
    assert cut.why == (
        "s3 has the best cross-validated AUROC (0.9200); s2 (stage 2 of 4), 0.9100, is the earliest stage within one "
        "standard error of the difference (0.0158). The 2 stages above it (s3 to s4) are taken to be specific to the "
        "source: set model.freeze=partial,model.trainable_stages=2. The last stage (0.8700) is shown to be worse than "
        "the best."
    )
    alone = suggest_cut(network(WORSE, BEST, WORSE)).why
    assert alone.startswith("s2 (stage 2 of 3) has the best cross-validated AUROC (0.9200), and none before is level.")
    assert "The one stage above it (s3) is taken" in alone
    assert "model.trainable_stages=1. The last stage (0.8700) is shown" in alone


def test_where_the_last_stage_is_the_best_the_head_alone_is_enough():
    cut = suggest_cut(network(WORSE, WORSE, BEST))
    assert cut.settings == {"model.freeze": "all"}
    assert cut.why.startswith("The last stage, s3, has the best cross-validated AUROC (0.9200), and every earlier")
    assert "model.freeze=all, where only the head learns, is enough" in cut.why
    assert "model.freeze=partial,model.trainable_stages=1, the last stage alone" in cut.why
    level = suggest_cut(network(WORSE, LEVEL, BEST))
    assert level.settings["model.trainable_stages"] == 1
    assert level.why.endswith("The last stage has the best mean itself, so model.freeze=all may be enough too.")
    beside = suggest_cut(network(WORSE, BEST, LEVEL)).why
    assert "The last stage (0.9100) is not shown to be worse than the best, so model.freeze=all may be" in beside


def test_stages_without_a_probe_give_no_cut():
    assert suggest_cut(network((), ())) is None


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="different folds"):
        suggest_cut(network((0.6, 0.8), (0.7, 0.8, 0.9)))
    with pytest.raises(ValueError, match="parameters of every stage"):
        suggest_cut([Candidate("a", BEST), Candidate("b", BEST, parameters=3)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0.3, 1.0)] * 4), min_size=1, max_size=8))
def test_the_cut_is_the_first_that_passes(folds):
    """Against a loop over plain numbers."""
    stages = network(*folds)
    cut = suggest_cut(stages)
    means = [sum(each) / 4 for each in folds]
    best = cut.best - 1
    assert means[best] == pytest.approx(max(means))

    def passes(number: int) -> bool:
        differences = np.subtract(folds[best], folds[number])
        error = math.sqrt(sum((differences - differences.mean()) ** 2) / 3) * math.sqrt(1 / 4 + 1 / 3)
        return differences.mean() <= error + 1e-12

    assert passes(cut.kept - 1)
    assert not any(passes(number) for number in range(cut.kept - 1) if not math.isclose(means[number], means[best]))
    assert cut.kept <= cut.best
    assert cut.kept + cut.retrained == len(stages)
    assert cut.parameters == sum(10**n for n in range(cut.kept + 1, len(stages) + 1))


def test_parameters_above_each_stage():
    assert parameters_above(network(BEST, BEST, BEST)) == (1100, 1000, 0)


def test_random_weights_are_beaten_or_not():
    stage = Candidate("s", BEST)
    assert against_untrained(stage, Candidate("s", WORSE)) == (
        "For comparison, with random weights the same stage reaches 0.8700."
    )
    assert against_untrained(stage, Candidate("s", LEVEL)) == (
        "With random weights the same stage reaches 0.9100, so no benefit of pretraining is shown there."
    )


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_scores_of_a_stage_do_not_depend_on_the_size_of_its_activations(scale):
    """Float32 as a network gives them; without one scale the probe takes 1e-12 for a constant."""
    rng = np.random.default_rng(3)
    labels_N = np.arange(60) % 2
    features_ND = rng.normal(size=(60, 7)) + 0.8 * labels_N[:, None] * np.arange(7) / 7
    found, expected = (
        Evidence(features_ND=in_units_of_spread(each), labels_N=labels_N, groups_N=np.arange(60))
        for each in ((features_ND * scale).astype(np.float32), features_ND)
    )
    assert found.features_ND.std(axis=0).mean() == pytest.approx(1, abs=0.1)
    for name in ("linear_probe", "logme", "h_score"):
        assert SCORES[name](found) == pytest.approx(SCORES[name](expected), abs=2e-3)
    plain = Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(60))
    assert SCORES["linear_probe"](found) == pytest.approx(SCORES["linear_probe"](plain), abs=2e-3)


def test_constant_features_stay_as_they_are():
    np.testing.assert_array_equal(in_units_of_spread(np.full((4, 2), 3.0)), np.full((4, 2), 3.0))
