"""The grid of the fine-tuning study: what each strategy means, and that all have the same budget."""

from __future__ import annotations

from typing import get_args

import pandas as pd
import pytest

import toy
from medical_transfer.config.model import Model
from medical_transfer.config.study_finetuning import Strategy, StudyFinetuning
from medical_transfer.config.training import Training
from medical_transfer.methods.finetune import FineTune
from medical_transfer.studies.finetuning import (
    check_sizes,
    grid,
    parameters_of,
    what_may_learn,
)
from medical_transfer.studies.finetuning_names import NAMES
from medical_transfer.types import UserError

STRATEGIES = get_args(Strategy)


def method(strategy: str, study: StudyFinetuning) -> tuple[FineTune, Training]:
    own = parameters_of(strategy, 16, study)
    training = Training.model_validate(own["training"])
    model = Model.model_validate({"trainable_stages": 1, **own["model"]})
    return FineTune(toy.classifier(), model=model, training=training), training


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("steps", "rounds"), [(160, 4), (6, 2), (42, 6)])
def test_every_strategy_has_the_same_steps_and_never_stops_early(strategy, steps, rounds):
    trained, training = method(strategy, StudyFinetuning(steps=steps, rounds=rounds))
    epochs = sum(phase.epochs for phase in trained.phases())
    assert epochs * training.steps_per_epoch == steps
    assert training.patience >= epochs
    assert training.per_class == 16


def test_an_odd_number_of_rounds_is_whole_where_nothing_is_halved():
    study = StudyFinetuning(strategies=["all_frozen", "full"], steps=21, rounds=3)
    trained, training = method("full", study)
    assert [phase.epochs * (training.steps_per_epoch or 0) for phase in trained.phases()] == [21]


def rates(strategy: str) -> list[list[float]]:
    trained, _ = method(strategy, StudyFinetuning())
    return [sorted({group["lr"] for group in phase.groups}) for phase in trained.phases()]


def test_what_learns_and_at_which_rates():
    cuts = {each: [phase.cut for phase in method(each, StudyFinetuning())[0].phases()] for each in STRATEGIES}
    end = len(toy.classifier().trunk.stage_names)
    assert cuts == {
        "all_frozen": [end],
        "partial": [end - 1],
        "discriminative": [0],
        "full": [0],
        "lp_ft": [end, 0],
    }
    assert [len(each) for each in rates("full")] == [1]
    assert [len(each) for each in rates("lp_ft")] == [1, 1]
    (discriminative,) = rates("discriminative")
    assert discriminative[1] / discriminative[0] == pytest.approx(2.6)


def test_the_grid_has_each_cell_once_and_fewer_seeds_where_everything_learns():
    study = StudyFinetuning()
    trials = grid(study)
    assert len({(each.method, each.setting, each.seed) for each in trials}) == len(trials) == 7 * (2 * 5 + 3 * 3)
    assert {each.seed for each in trials if each.method == "partial"} == {0, 1, 2, 3, 4}
    assert {each.seed for each in trials if each.method == "full"} == {0, 1, 2}
    assert trials[0].parameters["training"]["per_class"] == 16
    assert trials[-1].parameters["training"]["per_class"] is None
    assert [each.seed for each in trials] == sorted(each.seed for each in trials)
    assert set(NAMES) == set(STRATEGIES)


def test_a_graph_may_be_the_source_where_only_heads_learn():
    assert what_may_learn(StudyFinetuning(strategies=["all_frozen"])) == {"model": {"freeze": "all"}}
    assert what_may_learn(StudyFinetuning(strategies=["all_frozen", "full"])) == {}


def test_a_size_above_the_data_is_refused():
    labels = ["a"] * 8 + ["b"] * 5 + ["a"] * 9
    manifest = pd.DataFrame({"label": labels, "split": ["train"] * 13 + ["val"] * 9, "status": "ok"})
    check_sizes(StudyFinetuning(sizes=[4, 5, "all"]), manifest, 0)
    with pytest.raises(UserError, match=r"sizes has 6, 8, but with seed 3 class 'b' has 5 training images"):
        check_sizes(StudyFinetuning(sizes=[4, 6, 8, "all"]), manifest, 3)
