"""The study of few-shot learning on a toy set of characters: its trials, its table and its words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from medical_transfer.config.few_shot import Anil, Maml, MetaDistill, MetaLearning, Prototypical, Reptile
from medical_transfer.config.folders import Folders
from medical_transfer.config.study_few_shot import StudyFewShot
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies import few_shot, few_shot_asked, few_shot_trials
from medical_transfer.studies.few_shot_budgets import budget_of
from medical_transfer.studies.few_shot_characters import divided
from medical_transfer.studies.few_shot_names import NAMES, SETTING
from medical_transfer.studies.few_shot_summary import adaptation_lines, goal
from medical_transfer.types import UserError

SIDE, CHARACTERS, HANDS, EPISODES = 105, 12, 5, 4
FOLDERS = Folders.model_construct()
"""This study asks for none of them."""
STEPS = {"steps": 2}
FAST = STEPS | {"inner_steps": 1, "test_steps": 2}


def write_characters(path: Path) -> Path:
    """Bars at a place of each character's own, as bits."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CHARACTERS), HANDS)
    ink = np.zeros((len(labels), SIDE, SIDE), dtype=bool)
    for drawing, label in zip(ink, labels, strict=True):
        start = 8 * label + rng.integers(0, 4)
        drawing[start : start + 8, 20 : 30 + 5 * label] = True
    names = [f"a/c{label:02d}/{number}.png" for number, label in enumerate(labels)]
    np.savez(
        path,
        ink_packed=np.packbits(ink.reshape(len(labels), -1), axis=1),
        names=np.array(names),
        labels=labels,
        drawer=np.tile(np.arange(HANDS), CHARACTERS),
        class_names=np.array([f"a/c{label:02d}" for label in range(CHARACTERS)]),
    )
    return path


def study_of(characters: Path, **fields) -> StudyFewShot:
    meta = {"ways": 2, "shots": [1], "queries": 2, "tasks": 1, "rounds": 1, "val_episodes": 2, "width": 2}
    own = {"maml": Maml(**FAST), "anil": Anil(**FAST), "reptile": Reptile(**FAST)}
    own |= {"prototypical": Prototypical(**STEPS), "meta_distill": MetaDistill(**FAST)}
    toy = {
        "characters": characters,
        "seeds_cheap": [0, 1],
        "classes": (6, 3, 3),
        "shots": [1, 2],
        "queries": 2,
        "episodes": EPISODES,
        "curve_steps": 2,
        "curve_episodes": 3,
        "size": 16,
        "meta_learning": MetaLearning(**meta, **own),
        "fo_maml": Maml(**FAST, first_order=True),
        "plain_distillation": MetaDistill(steps=1, test_steps=2),
    }
    return StudyFewShot(**(toy | fields))


def session(root: Path, study: StudyFewShot) -> SessionFacts:
    return SessionFacts(
        env="test",
        conf_source="conf",
        runtime_params={},
        parameters={"study_few_shot": study.model_dump(mode="json")},
        run_root=root,
        mlflow_run_id="",
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("few_shot")
    study = study_of(write_characters(root / "characters.npz"))
    here = session(root, study)
    return study, here, *few_shot.run(study, FOLDERS, here)


def test_every_method_is_tested_at_every_number_of_shots(whole):
    study, _, results, failures = whole
    assert failures == []
    trials = results.drop_duplicates("trial_id")
    assert sorted(trials["method"]) == sorted([*NAMES, "anil", "prototypical"]), "what costs little has both seeds"
    for _, trial in results.groupby("trial_id"):
        by_name = trial.set_index("metric")
        for shots in study.shots:
            row = by_name.loc[f"accuracy_{shots}_shot"]
            assert (row["n"], 0 <= row["value"] <= 1, row["low"] <= row["value"] <= row["high"]) == (
                EPISODES,
                True,
                True,
            )
            assert by_name.loc[f"task_ms_{shots}_shot", "value"] > 0
        assert {f"accuracy_after_{steps}_steps" for steps in range(3)} <= set(by_name.index)
        assert by_name.loc["training_processor_seconds", "value"] >= 0
        assert by_name.loc["peak_memory_mb", "value"] > 50


def test_first_and_second_order_have_the_blocks_that_say_so():
    study = StudyFewShot()
    assert not budget_of(study, "maml").maml.first_order
    assert budget_of(study, "fo_maml").maml.first_order
    assert budget_of(study, "plain_distillation").meta_distill == study.plain_distillation
    assert budget_of(study, "meta_distillation").meta_distill == study.meta_learning.meta_distill


def test_no_character_is_in_two_parts_under_any_turn(whole):
    parts = divided(whole[0])
    of_part = [{part.names_C[number] for number in part.classes} for part in parts]
    assert [len(names) for names in of_part] == [6, 3, 3]
    assert len(set.union(*of_part)) == 12
    seen = [{int(row) for row in part.rows.labels_N[_drawn(part)]} for part in parts]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


def _drawn(part):
    from medical_transfer.data.episodes import Shape  # noqa: PLC0415 - one test's

    rng = np.random.default_rng(0)
    return np.concatenate([part.draw(Shape(2, 1, 2), rng).rows_M for _ in range(30)])


def test_the_teachers_features_do_not_hang_on_other_drawings(whole):
    from dataclasses import replace  # noqa: PLC0415 - one test's

    from medical_transfer.studies.few_shot_teacher import told_features  # noqa: PLC0415
    from medical_transfer.training.meta_train import new_method  # noqa: PLC0415

    study, train = whole[0], divided(whole[0])[0]
    teacher = new_method("prototypical", study.meta_learning, train, seed=0).eval()
    test_rows = np.flatnonzero(~np.isin(train.rows.labels_N, train.classes))
    first, others = test_rows[0], test_rows[1:]
    changed = [view.copy() for view in train.rows.views_V]
    for view in changed:
        view[others] = 0
    dark = replace(train, rows=replace(train.rows, views_V=tuple(changed)))
    whole_told, dark_told = (told_features(teacher, each)["features"] for each in (train, dark))
    assert len(whole_told) == 4
    for one, other in zip(whole_told, dark_told, strict=True):
        np.testing.assert_allclose(one[first], other[first], rtol=1e-4, atol=1e-5)
        assert np.abs(one[others] - other[others]).max() > 0.01


def test_a_finished_trial_is_not_repeated(whole, monkeypatch):
    study, here, before, _ = whole

    def refuse(*_, **__):
        raise AssertionError("trained again")

    for module in (few_shot_asked, few_shot_trials):
        monkeypatch.setattr(module, "meta_train", refuse)
    pd.testing.assert_frame_equal(few_shot.run(study, FOLDERS, here)[0], before)


def test_a_trial_that_fails_is_named_and_the_others_go_on(whole, monkeypatch, tmp_path):
    def some(kind, *arguments, **named):
        if kind == "anil":
            raise UserError("no such luck")
        return few_shot_asked.new_method(kind, *arguments[:2], seed=named["seed"])

    monkeypatch.setattr(few_shot_asked, "meta_train", some)
    study = whole[0].model_copy(update={"methods": ["anil", "prototypical"], "seeds_cheap": [0]})
    results, failures = few_shot.run(study, FOLDERS, session(tmp_path, study))
    assert failures[0]["sentence"] == "no such luck"
    text = few_shot.conclude(results, failures, study, session(tmp_path, study))
    assert "- anil, Omniglot, seed 0: no such luck" in text
    with pytest.raises(UserError, match=r"No trial.*no such luck"):
        lonely = study.model_copy(update={"methods": ["anil"]})
        few_shot.run(lonely, FOLDERS, session(tmp_path, lonely))


def test_page_and_figure_know_all_methods(whole):
    study, here, results, failures = whole
    text = few_shot.conclude(results, failures, study, here)
    for name in NAMES.values():
        assert f"| {name} |" in text
    assert "`kedro run --pipeline=study_few_shot`" in text
    figure = few_shot.draw(results, study)
    assert [len(axis.containers) for axis in figure.axes] == [len(NAMES)] * 2


def told(method: str, metric: str, value: float, half: float = 0.01) -> dict:
    ends = {"value": value, "low": value - half, "high": value + half}
    return {"trial_id": method, "method": method, "setting": SETTING, "seed": 0, "metric": metric, "n": 600} | ends


def test_a_goal_is_reached_or_missed_by_the_best():
    table = pd.DataFrame([told("maml", "accuracy_1_shot", 0.9), told("prototypical", "accuracy_1_shot", 0.95)])
    text = goal(table, StudyFewShot(), 1)
    assert "0.950 (0.940 to 0.960), of ProtoNet; the goal of 0.97 is **missed by 0.020**" in text
    assert "second order 0.987 (here 0.900)" in text
    better = table.assign(value=table["value"] + 0.03)
    assert "is reached" in goal(better, StudyFewShot(), 1)


@pytest.mark.parametrize(
    ("before", "end", "says"),
    [(0.5, 0.8, "helps"), (0.8, 0.5, "**harms**"), (0.5, 0.51, "no difference shown")],
)
def test_whether_adaptation_helps_is_told_by_its_intervals(before, end, says):
    rows = [told("maml", f"accuracy_after_{steps}_steps", value) for steps, value in ((0, before), (1, end), (10, end))]
    assert says in adaptation_lines(pd.DataFrame(rows), StudyFewShot())


def test_a_missing_file_and_too_few_characters_are_told(whole, tmp_path):
    with pytest.raises(UserError, match=r"study_few_shot\.characters"):
        divided(study_of(tmp_path / "none.npz"))
    with pytest.raises(UserError, match="13 classes are asked for"):
        divided(whole[0].model_copy(update={"classes": (6, 3, 4)}))


@pytest.mark.parametrize(
    "fields",
    [{"methods": ["maml", "maml"]}, {"shots": [0]}, {"seeds": [1, 1]}, {"fo_maml": Maml(first_order=False)}],
)
def test_what_cannot_be_studied_is_refused(fields):
    with pytest.raises(ValidationError):
        StudyFewShot(**fields)
