"""The study of adaptation: its trials, what it computes from its table, and its words; numbers by hand."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from medical_transfer.config.study_adaptation import Compared, StudyAdaptation
from medical_transfer.config.training import Training
from medical_transfer.studies import adaptation, adaptation_tables
from medical_transfer.studies.adaptation_names import NAMES, of_epoch
from medical_transfer.studies.adaptation_summary import summary
from medical_transfer.studies.inner_session import merged
from medical_transfer.studies.second_site import accuracy_of
from medical_transfer.studies.table import COLUMNS

STUDY = StudyAdaptation()


def training(method: Compared, alpha: float | None = None) -> Training:
    shared = adaptation.shared(STUDY, "here.npz", "there.npz")
    return Training.model_validate(merged(shared, adaptation.parameters_of(method, alpha))["training"])


def test_all_trials_have_the_same_steps_and_never_stop_early():
    for method in get_args(Compared):
        found = training(method)
        assert (found.steps_per_epoch or 0) * found.epochs == STUDY.steps
        assert found.patience >= found.epochs
        assert not found.finetune.head_first


def test_whole_seeds_first_and_the_sweep_shares_the_trial_of_its_strength():
    study = StudyAdaptation(methods=["source_only", "dann"], once=[], seeds=[3, 4], alphas=[0, 1, 2], sweep_seeds=[3])
    trials = [(trial.method, trial.setting, trial.seed) for trial in adaptation.grid(study)]
    assert trials == [
        ("source_only", "methods", 3),
        ("dann", "methods", 3),
        ("dann", "alpha 0", 3),
        ("dann", "alpha 2", 3),
        ("source_only", "methods", 4),
        ("dann", "methods", 4),
    ]
    assert [training("dann", alpha).dann.reversal for alpha in (None, 0.0, 2.0)] == [1.0, 0.0, 2.0]


def test_some_methods_can_be_run_under_the_first_seed_alone():
    study = StudyAdaptation(methods=["dann"], once=["mmd"], seeds=[3, 4], alphas=[])
    trials = [(trial.method, trial.seed) for trial in adaptation.grid(study)]
    assert trials == [("dann", 3), ("mmd", 3), ("dann", 4)]


def test_sweep_and_methods_can_be_run_apart():
    sweep = adaptation.grid(StudyAdaptation(seeds=[], alphas=[0.5, 1], sweep_seeds=[7]))
    assert [(trial.setting, trial.seed) for trial in sweep] == [("alpha 0.5", 7), ("alpha 1", 7)]
    methods = adaptation.grid(StudyAdaptation(alphas=[], seeds=[0]))
    assert [trial.method for trial in methods] == STUDY.methods + STUDY.once
    with pytest.raises(ValueError, match="nothing runs"):
        StudyAdaptation(seeds=[], alphas=[])


def test_what_each_method_is():
    kinds = {method: training(method).kind for method in get_args(Compared)}
    assert kinds == {
        "source_only": "finetune",
        "source_textured": "finetune",
        "dann": "dann",
        "dann_textured": "dann",
        "mmd": "mmd",
        "coral": "coral",
        "cdan": "cdan",
        "self_training": "self_training",
        "best": "dann_self_training",
    }
    policies = {method: adaptation.parameters_of(method)["augmentation"]["policy"] for method in kinds}
    assert {method for method, policy in policies.items() if policy == "textured"} == {
        "source_textured",
        "dann_textured",
        "best",
    }
    assert policies["self_training"] == "gentle"
    assert NAMES.keys() == kinds.keys()
    assert {trial.reads for trial in adaptation.grid(STUDY)} == {STUDY.source}


def test_discriminators_are_the_papers_and_see_the_maps():
    for method in get_args(Compared):
        found = training(method)
        adversary = getattr(found, found.kind) if found.kind in adaptation.ADVERSARIAL else None
        assert found.adaptation.align == ("trunk" if adversary else "hidden")
        if adversary:
            told = (adversary.hidden, adversary.dropout, adversary.learning_rate)
            assert told == (100, 0.0, STUDY.discriminator_learning_rate)


def test_the_network_is_handed_the_images():
    handed = adaptation.network({"manifest": 1, "transferability": {"chosen": "other", "scores": 2}}, STUDY)
    assert handed == {STUDY.source: {"manifest": 1, "transferability": {"chosen": STUDY.source, "scores": 2}}}


def test_bad_settings_are_refused():
    for fields, message in (
        ({"steps": 7, "rounds": 2}, "not a multiple"),
        ({"seeds": [1, 1]}, "name each once"),
        ({"methods": ["dann"], "once": ["dann"]}, "once names .*'dann'"),
        ({"alphas": [-0.1]}, "greater than or equal to 0"),
        ({"target_images": (10, 1, 10)}, "two of each"),
    ):
        with pytest.raises(ValueError, match=message):
            StudyAdaptation(**fields)


def trial(method: str, setting: str, seed: int, epochs: dict[str, list[float]], **numbers: float) -> list[dict]:
    """Rows of one trial: `epochs` has a number of each epoch by name."""
    found = dict(numbers)
    for name, values in epochs.items():
        found |= {of_epoch(epoch, name): value for epoch, value in enumerate(values, start=1)}
    told = {"trial_id": f"{method}{setting}{seed}", "method": method, "setting": setting, "seed": seed, "seconds": 60.0}
    return [
        {**told, "metric": name, "value": value, "low": np.nan, "high": np.nan, "n": 10}
        for name, value in found.items()
    ]


def table() -> pd.DataFrame:
    """Two methods under two seeds, a sweep of three strengths under the first; `im` misleads under the second."""
    rows = [
        *trial(
            "source_only",
            "methods",
            0,
            scores([0.1, 0.2], [0.5, 0.4]),
            target_accuracy=0.4,
            accuracy=0.99,
            a_distance=1.9,
        ),
        *trial(
            "dann", "methods", 0, scores([0.3, 0.1], [0.6, 0.7]), target_accuracy=0.6, accuracy=0.97, a_distance=1.5
        ),
        *trial(
            "dann", "alpha 0", 0, scores([0.4, 0.1], [0.3, 0.2]), target_accuracy=0.3, accuracy=0.98, a_distance=1.8
        ),
        *trial("dann", "alpha 2", 0, scores([0.2, 0.5], [0.1, 0.8]), target_accuracy=0.8, accuracy=0.9, a_distance=1.1),
        *trial(
            "source_only",
            "methods",
            1,
            scores([0.9, 0.2], [0.3, 0.4]),
            target_accuracy=0.3,
            accuracy=0.97,
            a_distance=1.7,
        ),
        *trial(
            "dann", "methods", 1, scores([0.3, 0.1], [0.8, 0.7]), target_accuracy=0.8, accuracy=0.95, a_distance=1.1
        ),
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def scores(im: list[float], accuracy: list[float]) -> dict[str, list[float]]:
    """The other scores are those of `im` turned round."""
    others = {name: [-value for value in im] for name in ("entropy", "snd", "bnm")}
    return {"im": im, **others, "target_accuracy": accuracy}


def test_means_and_spreads_over_seeds():
    found = adaptation_tables.method_means(table()).set_index("method")
    assert found.index.tolist() == ["source_only", "dann"]
    dann = found.loc["dann"]
    assert dann["target_accuracy"] == pytest.approx(0.7)
    assert dann["target_accuracy_spread"] == pytest.approx(0.2 / 2**0.5)  # |.6 - .8| / sqrt(2)
    assert dann["best_epoch_accuracy"] == pytest.approx(0.75)  # of .7 and .8
    assert dann["a_distance"] == pytest.approx(1.3)
    assert found["seeds"].tolist() == [2, 2]


def test_the_sweep_has_the_methods_trial_of_its_seeds():
    found = adaptation_tables.sweep_rows(table())
    assert found["alpha"].tolist() == [0, 1, 2]
    assert found["target_accuracy"].tolist() == [0.3, 0.6, 0.8], "seed 1 was not swept"
    assert found["a_distance"].tolist() == [1.8, 1.5, 1.1]


def test_an_epoch_is_picked_by_its_score_and_set_beside_the_best():
    """By hand: `im` picks .4 .6 .3 .8 .3 .8, the best are .5 .7 .3 .8 .4 .8."""
    gaps = adaptation_tables.epoch_gaps(table()).set_index("score")
    assert gaps.loc["im", "picked"] == pytest.approx(3.2 / 6)
    assert gaps["best"].tolist() == pytest.approx([3.5 / 6] * 4)
    assert gaps.loc["im", "gap"] == pytest.approx(0.3 / 6)
    assert gaps.loc["entropy", "picked"] == pytest.approx((0.5 + 0.7 + 0.2 + 0.1 + 0.4 + 0.7) / 6)


def test_methods_and_strengths_are_picked_by_score_under_each_seed():
    methods = adaptation_tables.choices(table(), "method")
    mine = methods[methods["score"] == "im"].drop(columns="score").to_dict("records")
    assert mine == [
        {"seed": 0, "picked": "dann", "accuracy": 0.6, "best": "dann", "best_accuracy": 0.7, "gap": pytest.approx(0.1)},
        {"seed": 1, "picked": "source_only", "accuracy": 0.3, "best": "dann", "best_accuracy": 0.8, "gap": 0.5},
    ]
    strengths = adaptation_tables.choices(table(), "alpha")
    mine = strengths[strengths["score"] == "im"].drop(columns="score").to_dict("records")
    assert mine == [{"seed": 0, "picked": 2.0, "accuracy": 0.8, "best": 2.0, "best_accuracy": 0.8, "gap": 0.0}]


def parameters() -> dict:
    return {"study_adaptation": STUDY.model_dump(mode="json")}


def test_the_summary_says_what_was_reached_and_what_a_choice_cost():
    said = summary(table(), [], STUDY, parameters())
    assert "DANN reaches 70.0% on the target, which misses the goal of 76.7% (mean of 2 seeds)." in said
    assert "Of the strengths of the reversal, 2 is best on the target (80.0%; 30.0% at 0)" in said
    assert (
        "| DANN | **0.700 ± 0.141** | 0.750 ± 0.071 | 0.050 | 0.960 ± 0.014 | 1.30 ± 0.28 | 2 | 60 s | 0.7666 |" in said
    )
    assert "| 2 | 0.800 | 0.800 | 0.900 | 1.10 |" in said
    assert "seed 1 source only (0.300; the oracle DANN, 0.800). Mean gap 0.300." in said
    assert "`kedro run --pipeline=study_adaptation`" in said
    assert "## Trials that failed" not in said


@pytest.mark.parametrize("left", ["methods", "alpha"])
def test_the_summary_of_a_part(left):
    found = table()
    said = summary(
        found[found["setting"].str.startswith(left)], [{"trial": "x", "sentence": "broke"}], STUDY, parameters()
    )
    assert ("## Methods" in said) == (left == "methods")
    assert ("## The strength of DANN's reversal" in said) == (left == "alpha")
    assert "- x: broke" in said


def test_accuracy_with_wilsons_interval():
    probabilities_NC = np.eye(3)[[0, 1, 2, 2, 0]]
    found = accuracy_of(probabilities_NC, np.array([0, 1, 2, 0, 1]))
    expected = binomtest(3, 5).proportion_ci(0.95, method="wilson")
    assert (found.metric, found.value, found.n) == ("target_accuracy", 0.6, 5)
    assert [found.low, found.high] == pytest.approx([expected.low, expected.high], abs=1e-6)
