"""The medical study of few-shot learning on toy features: its folds, its trials, its differences and its words."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from medical_transfer.config.few_shot import Anil, Maml, MetaDistill, MetaLearning, Prototypical, Reptile
from medical_transfer.config.study_few_shot_medical import StudyFewShotMedical
from medical_transfer.data.episodes import TaskSet, task_set
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies import few_shot_asked, few_shot_medical
from medical_transfer.studies.few_shot_medical_gains import gains_of
from medical_transfer.studies.few_shot_medical_names import NAMES, gain
from medical_transfer.studies.few_shot_medical_sets import folds_of, large_enough, numbers_of, sets_of
from medical_transfer.studies.few_shot_medical_summary import answer
from medical_transfer.studies.few_shot_medical_trials import EPISODES, Given, digest_of, grid, key_of, run_all
from medical_transfer.studies.table import results_table, told_of
from medical_transfer.studies.trials import Trial
from medical_transfer.types import UserError

EACH, FEATURES, TESTED = 8, 2, 6
MODALITIES = {
    "brain": "MRI",
    "breast": "ultrasound",
    "lungs": "CT",
    "lungs_again": "CT",
    "chest": "X-ray",
    "mixed": {"a": "CT", "b": "MRI", "c": "X-ray", "d": "light", "e": "light"},
}
STEPS = {"steps": 2}
FAST = STEPS | {"inner_steps": 1, "test_steps": 1}


def study_of(**fields) -> StudyFewShotMedical:
    meta = {"ways": 2, "shots": [1], "queries": 2, "tasks": 2, "rounds": 1, "val_episodes": 2, "width": 1}
    own = {"maml": Maml(**FAST), "anil": Anil(**FAST), "reptile": Reptile(**FAST)}
    own |= {"prototypical": Prototypical(**STEPS), "meta_distill": MetaDistill(**FAST)}
    toy = {
        "targets": {},
        "modalities": MODALITIES,
        "shots": [1, 2],
        "queries": 2,
        "episodes": TESTED,
        "methods": list(NAMES),
        "seeds": [0],
        "seeds_cheap": [0, 1],
        "held_out": ["ultrasound", "CT"],
        "meta_learning": MetaLearning(**meta, **own),
        "fo_maml": Maml(**FAST, first_order=True),
        "plain_distillation": MetaDistill(steps=1, test_steps=1),
    }
    return StudyFewShotMedical(**(toy | fields))


def toy_set(*, small: str = "", patients: int = 1) -> TaskSet:
    """Classes that lie apart on the first feature; `small` is a class whose images are of so few patients."""
    rng, labels = np.random.default_rng(0), list[str]()
    for name, said in MODALITIES.items():
        for label in ("no", "yes") if isinstance(said, str) else sorted(said):
            labels += [f"{name}: {label}"] * EACH
    features = rng.normal(size=(len(labels), FEATURES)).astype(np.float32)
    features[:, 0] += [9.0 * label.endswith(("yes", "a", "c", "e")) for label in labels]
    groups = [f"{number % patients}" if label == small else f"_{number}" for number, label in enumerate(labels)]
    whole = task_set(features, labels, groups, {label: label.split(": ")[0] for label in labels})
    return whole.told({"features": (features[:, :2],)})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    study, found = study_of(), toy_set()
    fit, _ = large_enough(found, study)
    folds, lacking = folds_of(found, study, fit)
    given = Given(study, {fold.modality: fold for fold in folds}, digest_of(found), tmp_path_factory.mktemp("trials"))
    done, failures = run_all(given, grid(study, folds))
    assert not lacking
    return study, given, results_table([*numbers_of(found, fit), *done], failures), told_of(failures)


def classes_of(part: TaskSet) -> set[str]:
    return {part.names_C[number] for number in part.classes}


def test_a_fold_learns_from_no_class_of_what_it_is_tested_and_validated_on(whole):
    folds = whole[1].folds
    assert list(folds) == ["ultrasound", "CT"]
    train, val, test = (classes_of(part) for part in folds["CT"].parts)
    assert test == {"lungs: no", "lungs: yes", "lungs_again: no", "lungs_again: yes"}
    assert val == {"brain: no", "brain: yes"}
    chest = {f"{name}: {label}" for name in ("breast", "chest") for label in ("no", "yes")}
    assert train == {*chest, "mixed: c", "mixed: d", "mixed: e"}, "no CT and no MRI of the mixed set"
    assert classes_of(folds["ultrasound"].parts[0]) >= {"mixed: a", "mixed: c", "lungs: no"}
    assert classes_of(folds["ultrasound"].parts[2]) == {"breast: no", "breast: yes"}


def test_an_episode_stays_within_a_set_and_its_images_within_the_fold(whole):
    from medical_transfer.data.episodes import Shape  # noqa: PLC0415 - one test's

    rng = np.random.default_rng(0)
    for fold in whole[1].folds.values():
        rows = []
        for part in fold.parts:
            episodes = [part.draw(Shape(2, 1, 2), rng) for _ in range(30)]
            assert all(len({label.split(": ")[0] for label in each.name.split(", ")}) == 1 for each in episodes)
            rows.append(set(np.concatenate([each.rows_M for each in episodes])))
        assert not (rows[0] & rows[1] or rows[0] & rows[2] or rows[1] & rows[2])


def test_a_mixed_set_that_keeps_too_few_classes_is_not_learned_from():
    few = {**MODALITIES, "mixed": {"a": "CT", "b": "MRI", "c": "X-ray", "d": "CT", "e": "CT"}}
    study, found = study_of(modalities=few), toy_set()
    folds = {fold.modality: fold for fold in folds_of(found, study, few)[0]}
    assert not any(label.startswith("mixed") for label in classes_of(folds["CT"].parts[0])), "c alone is left"
    assert {"mixed: a", "mixed: c"} <= classes_of(folds["ultrasound"].parts[0])


def test_a_set_that_is_too_small_is_named_and_the_other_folds_go_on(caplog):
    study, found = study_of(), toy_set(small="breast: yes")
    fit, failures = large_enough(found, study)
    assert set(fit) == MODALITIES.keys() - {"breast"}
    assert "'breast: yes' has 8 images of 1 groups (patients)" in failures[0].sentence
    assert "lower `shots` or `queries`" in failures[0].sentence
    assert "breast is not used" in caplog.text
    folds, lacking = folds_of(found, study, fit)
    assert [fold.modality for fold in folds] == ["CT"]
    assert str(lacking[0].trial) == "no fold, ultrasound, seed 0"
    three = study.model_copy(update={"meta_learning": study.meta_learning.model_copy(update={"ways": 3})})
    assert "brain has 2 classes for this study, fewer than the 3" in large_enough(found, three)[1][0].sentence
    with pytest.raises(UserError, match=r"No set of modality MRI can be used.*study_few_shot_medical\.validation"):
        folds_of(found, study, ["breast", "lungs"])


@pytest.mark.parametrize(("patients", "fits"), [(3, False), (4, True)])
def test_a_class_needs_a_patient_for_each_image_of_an_episode(patients, fits):
    study = study_of(shots=[1, 2], queries=2)
    assert ("breast" in large_enough(toy_set(small="breast: yes", patients=patients), study)[0]) == fits


def test_every_method_is_tested_in_every_fold(whole):
    study, _, results, failures = whole
    assert failures == []
    told = results[results["metric"] == "accuracy_2_shot"]
    asked = [*study.methods, *({"prototypical", "anil"} & {*study.methods})]
    assert sorted(told["setting"] + told["method"]) == sorted(fold + each for fold in study.held_out for each in asked)
    assert told["value"].between(0, 1).all()
    rules = told[told["method"].isin(["nearest_centroid", "linear_probe"])]
    assert rules["value"].between(0.55, 1).all(), "the classes lie apart"
    assert (told["n"] == TESTED).all()
    learned = results[results["metric"] == "training_processor_seconds"].set_index(["setting", "method"])["value"]
    assert learned["CT", "maml"] > learned["CT", "nearest_centroid"] >= 0


def test_sets_of_a_modality_are_told_apart(whole):
    results = whole[2]
    mine = results[(results["setting"] == "CT") & (results["method"] == "linear_probe")].set_index("metric")
    parts = mine.loc[["accuracy_1_shot/lungs", "accuracy_1_shot/lungs_again"]]
    assert parts["n"].sum() == TESTED
    assert (parts["value"] * parts["n"]).sum() / TESTED == pytest.approx(mine.loc["accuracy_1_shot", "value"])
    assert not results.loc[results["setting"] == "ultrasound", "metric"].str.contains("/breast").any()


def test_a_gain_is_the_mean_difference_on_the_same_episodes(whole):
    _, given, results, _ = whole
    ids = results[results["setting"] == "CT"].drop_duplicates("method").set_index("method")["trial_id"]
    tables = [pd.read_parquet(given.root / ids[name] / EPISODES)["1"] for name in ("maml", "linear_probe")]
    told = results[(results["trial_id"] == ids["maml"]) & (results["metric"] == gain(1, "linear_probe"))].iloc[0]
    assert told["value"] == pytest.approx((tables[0] - tables[1]).mean())
    half = 1.959964 * (tables[0] - tables[1]).std() / math.sqrt(TESTED)
    assert told["high"] - told["value"] == pytest.approx(half)
    own = results[(results["trial_id"] == ids["linear_probe"]) & results["metric"].str.startswith("gain")]
    assert set(own["metric"]) == {gain(1, "nearest_centroid"), gain(2, "nearest_centroid")}


def test_what_is_finished_is_not_repeated_and_other_budgets_are_no_part_of_a_key(whole, monkeypatch):
    study, given, results, _ = whole

    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(few_shot_asked, "meta_train", refuse)
    done, failures = run_all(given, grid(study, list(given.folds.values())))
    assert not failures
    again = results_table(done, [])
    pd.testing.assert_frame_equal(again, results[results["method"] != "set"].reset_index(drop=True))
    longer = study.meta_learning.model_copy(update={"maml": Maml(steps=9)})
    other = Given(study.model_copy(update={"meta_learning": longer}), given.folds, given.facts, given.root)
    for trial in grid(study, [given.folds["CT"]]):
        assert (key_of(other, trial) == key_of(given, trial)) == (trial.method != "maml")
    changed = toy_set()
    changed.rows.views_V[0][0, 0] += 1
    assert digest_of(changed) != digest_of(toy_set()) == given.facts


def session(root: Path, study: StudyFewShotMedical) -> SessionFacts:
    block = {"study_few_shot_medical": study.model_dump(mode="json"), "images": {"classes": {}}}
    return SessionFacts("test", str(root / "conf"), {}, block, root, "")


def test_page_and_figure_know_all_methods_and_folds(whole, tmp_path):
    study, _, results, failures = whole
    text = few_shot_medical.conclude(results, failures, study, session(tmp_path, study))
    for name in NAMES.values():
        assert text.count(f"\n| {name} |") >= len(study.held_out), name
    assert text.count("\n| ProtoNet |") == 2 + 2 + 1, "numbers and differences of both folds, and budgets"
    assert "- CT: tested on lungs, lungs_again; validated on brain; learned from breast, chest, mixed (c, d, e)" in text
    assert "| mixed | by class | 40 | 5 | 40 |" in text
    assert "Of 24 comparisons of a meta-learned method" in text, "six methods, two folds, two numbers of shots"
    assert "`kedro run --pipeline=study_few_shot_medical`" in text
    figure = few_shot_medical.draw(results, study)
    assert [len(axis.containers) for axis in figure.axes] == [len(NAMES)] * 2
    assert len(figure.legends[0].get_texts()) == len(NAMES)


def test_a_key_knows_features_patients_and_what_is_asked(whole):
    study, given = whole[:2]
    fewer = study.model_copy(update={"episodes": TESTED - 1})
    trial = Trial("anil", "CT", 0)
    others = (replace(given, facts="other features"), replace(given, study=fewer))
    assert len({key_of(each, trial) for each in (given, *others)}) == 3
    assert digest_of(toy_set()) == digest_of(toy_set()) != digest_of(toy_set(small="breast: yes"))


def row(method: str, metric: str, value: float, *, half: float = 0.01, seed: int = 0) -> dict:
    named = {"trial_id": method, "method": method, "setting": "CT", "seed": seed, "metric": metric, "n": 600}
    return named | {"value": value, "low": value - half, "high": value + half}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((0.02, 0.03), "helps more often than it harms here**, in 1 of 1"),
        ((-0.02, -0.03), "harms more often than it helps here**, in 1 of 1"),
        ((0.02, 0.005), "No difference is shown"),
    ],
)
def test_a_method_is_above_the_better_rule_only_where_every_seed_is(values, says):
    rows = [row("linear_probe", "accuracy_5_shot", 0.7), row("nearest_centroid", "accuracy_5_shot", 0.8)]
    rows += [row("maml", gain(5, "nearest_centroid"), value, seed=seed) for seed, value in enumerate(values)]
    rows += [row("maml", gain(5, "linear_probe"), 0.5, seed=seed) for seed in (0, 1)]
    gains = gains_of(pd.DataFrame(rows), StudyFewShotMedical())
    assert [(each.rule, each.value) for each in gains] == [("nearest_centroid", pytest.approx(sum(values) / 2))]
    assert says in answer(gains, ["maml"])


def test_a_missing_set_is_named_and_an_unknown_source_refused(tmp_path, monkeypatch):
    (tmp_path / "conf/shared/lungs").mkdir(parents=True)
    block = "images: {kind: npz, root: data/lungs.npz}\n"
    (tmp_path / "conf/shared/lungs/parameters.yml").write_text(block, encoding="utf-8")
    (tmp_path / "lungs.npz").write_bytes(b"npz")
    study = study_of(targets_root=tmp_path)
    there, missing = sets_of(study, session(tmp_path, study))
    assert [each.name for each in there] == ["lungs"]
    assert [each.trial.setting for each in missing] == [name for name in MODALITIES if name != "lungs"]
    assert f"{tmp_path} does not hold it: put breast.tar there" in missing[1].sentence
    less = study_of(targets_root=tmp_path, targets={"breast": None})
    assert "breast" not in [each.trial.setting for each in sets_of(less, session(tmp_path, less))[1]], (
        "left out on purpose"
    )
    typo = study_of(source="efficientnet_lite9")
    with pytest.raises(UserError, match=r"efficientnet_lite9.*[Dd]id you mean"):
        few_shot_medical.run(typo, None, session(tmp_path, typo))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"held_out": ["CT", "CT"]}, "name each once"),
        ({"held_out": ["PET"]}, r"no set of study_few_shot_medical\.modalities is of modality 'PET', only of CT, MRI"),
        ({"held_out": ["light"]}, "of modality 'light'"),
        ({"validation": "CT"}, "'CT', which is tested on"),
        ({"targets": {"mine": {"images": {"kind": "packaged"}}}}, "says nothing of the target mine"),
        ({"shots": [0]}, "each is at least 1"),
        ({"fo_maml": Maml()}, "second order"),
    ],
)
def test_what_cannot_be_studied_is_refused(fields, says):
    with pytest.raises(ValidationError, match=says):
        study_of(**fields)
