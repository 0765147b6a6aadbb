"""The grid of the study of distillation, how its setting is chosen, and what its words say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from medical_transfer.config.study_distillation import StudyDistillation
from medical_transfer.config.training import Training
from medical_transfer.reporting.distillation_maps import distillation_figure
from medical_transfer.studies.distillation import draw, grid
from medical_transfer.studies.distillation_names import chosen, neighbours, setting_of, settings_of
from medical_transfer.studies.distillation_summary import beside_neighbours, conclusion, gap_closed, summary, verdict
from medical_transfer.studies.distillation_trials import minority_recall
from medical_transfer.types import Interval

STUDY = StudyDistillation(temperatures=[1, 5, 3], soft_weights=[0.3, 0.9], seeds=[0, 1, 2])
TEACHERS = {seed: Path(f"teacher{seed}") for seed in (0, 1, 2)}
NOISE = (-0.01, 0.0, 0.01)
"""Mean 0 over the three seeds."""


def table(means: dict[str, dict[str, float]]) -> pd.DataFrame:
    """`means[setting][metric]`; seeds differ in how hard their images are, not in which setting is better."""
    rows = []
    for setting, of_metric in means.items():
        method = setting if setting in {"teacher", "alone"} else "distilled"
        for metric, mean in of_metric.items():
            for seed, noise in enumerate(NOISE):
                own = mean + noise + 1e-4 * (seed * sum(map(ord, setting)) % 7 - 3)
                rows.append((f"{setting}{seed}", method, setting, seed, metric, own, 0.0, 1.0, 9, 3.0))
    names = ["trial_id", "method", "setting", "seed", "metric", "value", "low", "high", "n", "seconds"]
    return pd.DataFrame(rows, columns=names)


def measured(val: float, test: float, recall: float = 0.8, ece: float = 0.1) -> dict[str, float]:
    return {"val_auroc": val, "auroc": test, "minority_recall": recall, "ece": ece}


BEST = setting_of(3, 0.9)
RESULTS = table(
    {
        "teacher": measured(0.95, 0.94),
        "alone": measured(0.8, 0.84, ece=0.2),
        **{name: measured(0.85, 0.99) for name in settings_of(STUDY)},
        setting_of(1, 0.3): measured(0.87, 0.99),
        BEST: measured(0.9, 0.915),
    }
)


def test_each_seed_has_the_whole_grid_its_own_teacher_and_one_control():
    trials = grid(STUDY, TEACHERS)
    assert len(trials) == 3 * (3 * 2 + 1)
    for trial in trials:
        distill = Training.model_validate(trial.parameters["training"]).distill
        assert distill.teacher == (TEACHERS[trial.seed],)
        expected = {"alone": "w=0"}.get(trial.method, setting_of(distill.temperature, distill.soft_weight))
        assert trial.setting == expected
        assert (distill.soft_weight == 0) == (trial.method == "alone")
    asked = {trial.setting: trial for trial in trials if trial.seed == 1}
    assert set(asked) == {"w=0", *settings_of(STUDY)}


def test_students_differ_in_temperature_and_weight_alone():
    plain = []
    for trial in grid(STUDY, TEACHERS):
        training = Training.model_validate(trial.parameters["training"])
        same = {"teacher": (), "temperature": 1.0, "soft_weight": 0.0}
        plain.append(training.model_copy(update={"distill": training.distill.model_copy(update=same)}))
    assert all(each == plain[0] for each in plain)
    assert plain[0].epochs * (plain[0].steps_per_epoch or 0) == STUDY.steps


def test_validation_chooses_and_not_test():
    assert chosen(RESULTS, STUDY) == BEST, "all others are better on test"


def test_a_setting_that_failed_under_a_seed_is_not_chosen():
    failed = (RESULTS["setting"] == BEST) & (RESULTS["seed"] == 1)
    assert chosen(RESULTS[~failed], STUDY) == setting_of(1, 0.3)
    assert chosen(RESULTS[RESULTS["method"] != "distilled"], STUDY) is None


def test_neighbours_stand_beside_it_in_the_sorted_grid():
    assert set(neighbours(BEST, STUDY)) == {setting_of(1, 0.9), setting_of(5, 0.9), setting_of(3, 0.3)}
    assert set(neighbours(setting_of(1, 0.3), STUDY)) == {setting_of(3, 0.3), setting_of(1, 0.9)}


def test_the_gap_is_that_of_the_means():
    text = gap_closed(RESULTS, BEST)
    assert "closes 75% of it" in text  # (.915 - .84) / (.94 - .84)
    assert "no gap to close" in gap_closed(RESULTS.replace({"method": {"teacher": "alone", "alone": "teacher"}}), BEST)


def test_words_of_each_metric_know_what_is_better():
    text = conclusion(RESULTS, STUDY, BEST)
    assert "`T=3, w=0.9` has the highest mean validation AUROC (0.900)" in text
    error = next(line for line in text.splitlines() if line.startswith("- Calibration error"))
    assert "-0.100" in error
    assert "shown to be better" in error
    assert "shown to be **worse**" in beside_neighbours(RESULTS, STUDY, BEST)


@pytest.mark.parametrize(
    ("found", "seeds", "lower", "says"),
    [
        (Interval(0.02, 0.01, 0.03), 3, False, "shown to be better"),
        (Interval(0.02, 0.01, 0.03), 3, True, "shown to be **worse**"),
        (Interval(-0.02, -0.03, -0.01), 3, True, "shown to be better"),
        (Interval(0.02, -0.01, 0.05), 3, False, "no difference shown"),
        (Interval(0.02, 0.02, 0.02), 3, False, "no difference shown"),
        (Interval(0.02, 0.01, 0.03), 2, False, "too few seeds"),
    ],
)
def test_verdicts(found, seeds, lower, says):
    assert says in verdict(found, seeds, lower)


def test_minority_recall_is_that_of_the_class_of_the_fewest_images():
    about = {"classes": ["a", "b", "c"], "positive": None, "confusion": {"test": [[5, 0, 0], [1, 3, 0], [2, 2, 4]]}}
    found = minority_recall(about, {"a": 50, "b": 40, "c": 80})
    assert (found.value, found.n) == (0.75, 4)
    of_two = {"classes": ["no", "yes"], "positive": "no", "confusion": {"test": [[4, 1], [3, 2]]}}
    assert minority_recall(of_two, {"no": 7, "yes": 7}).value == 0.8, "of equally rare ones the positive one"


def test_the_summary_says_everything_also_where_all_failed():
    parameters = {"images": {"kind": "packaged", "size": 64}}
    text = summary(RESULTS, [], STUDY, parameters)
    for part in (
        "`kedro run --pipeline=study_distillation`",
        "**T=3, w=0.9**",
        "| teacher | 0.95",
        "What this cannot say",
    ):
        assert part in text
    nothing = summary(RESULTS.iloc[:0], [{"trial": "x", "sentence": "y"}], STUDY, parameters)
    assert "nothing can be said" in nothing
    assert "- x: y" in nothing


def test_each_cell_of_a_map_holds_its_mean_and_the_chosen_one_is_framed():
    figure = draw(RESULTS, STUDY)
    assert len(figure.axes) == 3
    auroc = figure.axes[0]
    texts = {(round(each.get_position()[0]), round(each.get_position()[1])): each.get_text() for each in auroc.texts}
    assert texts[1, 1] == "0.915", "weights to the right, temperatures downwards in their order"
    assert texts[0, 0] == "0.990"
    (frame,) = auroc.patches
    assert (frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2) == (1, 1)
    assert "alone 0.840, teacher 0.940" in auroc.get_title(loc="left")


def test_a_map_where_lower_is_better_is_darkest_at_the_lowest():
    means = {"ece": pd.Series({"a": 0.1, "b": 0.3})}
    figure = distillation_figure(means, settings={"a": (1, 0.5), "b": (3, 0.5)}, marked=None, controls=("x", "y"))
    shares = np.asarray(figure.axes[0].images[0].get_array())
    assert shares.tolist() == [[1.0], [0.0]]


@pytest.mark.parametrize(
    "fields",
    [
        {"temperatures": [0]},
        {"soft_weights": [1.2]},
        {"soft_weights": [0]},
        {"seeds": [1, 1]},
        {"steps": 10, "rounds": 4},
    ],
)
def test_what_cannot_be_studied_is_refused(fields):
    with pytest.raises(ValidationError):
        StudyDistillation(**fields)
