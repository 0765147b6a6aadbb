"""What the key of a trial holds, and what a trial has cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.backbones import Backbones
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images
from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.runtime.files import write_json
from medical_transfer.studies import main_job
from medical_transfer.studies.attempt import key_of
from medical_transfer.studies.inner_session import merged
from medical_transfer.studies.place import Place
from medical_transfer.studies.trials import Trial

BLOCKS = {
    "images": Images(),
    "model": Model(),
    "training": Training(),
    "augmentation": Augmentation(),
    "evaluation": Evaluation(),
    "backbones": Backbones(),
}
MANIFEST = pd.DataFrame({"image_id": ["x", "y"], "split": ["train", "test"], "group_id": ["p", "q"]})
SITES = {"manifest": MANIFEST, "target_manifest": MANIFEST, "target_image_cache": SimpleNamespace(key="there")}
TRIAL = Trial("full", "16", 0, {"training": {"per_class": 16}})


def key(tmp_path: Path, own: dict[str, Any], *, trial: Trial = TRIAL, cache: str = "c", chosen: str = "random") -> str:
    parameters = merged({name: block.model_dump(mode="json") for name, block in BLOCKS.items()}, own)
    folders = Folders(**dict.fromkeys(Folders.model_fields, tmp_path))
    place = Place("s", SessionFacts("test", "conf", {}, parameters, tmp_path, None), folders, {})
    handed = {**SITES, "image_cache": SimpleNamespace(key=cache), "transferability": {"chosen": chosen}}
    return key_of(place, trial, handed)


@pytest.mark.parametrize(
    "own",
    [
        {"images": {"workers": 3}},
        {"images": {"root": "elsewhere"}},
        {"images": {"kind": "folder", "root": "elsewhere"}},
        {"backbones": {"downloads": "elsewhere"}},
        {"run": {"seed": 9}, "study_finetuning": {"steps": 5}, "reporting": {"anything": 1}},
    ],
    ids=str,
)
def test_where_things_lie_and_how_they_are_read_does_not_change_a_trial(tmp_path, own):
    assert key(tmp_path, own) == key(tmp_path, {})


@pytest.mark.parametrize(
    "own",
    [
        {"model": {"dropout": 0.3}},
        {"training": {"batch_size": 64}},
        {"augmentation": {"policy": "none"}},
        {"evaluation": {"resamples": 300}},
        {"images": {"positive_class": "a"}},
        {"images": {"licence": "CC0"}},
    ],
    ids=str,
)
def test_what_shapes_a_trial_changes_its_key(tmp_path, own):
    assert key(tmp_path, own) != key(tmp_path, {})


def test_what_is_left_to_its_default_needs_no_entry():
    told = {**{name: {} for name in main_job.SHAPING}, "images": {"kind": "packaged"}}
    assert main_job.shaping(told)["images"] == {"positive_class": None, "licence": "unknown"}


def test_pixels_source_seed_and_own_parameters_change_the_key(tmp_path):
    others = [Trial("full", "16", 1, TRIAL.parameters), Trial("full", "16", 0, {"training": {"per_class": 8}})]
    keys = [key(tmp_path, {}, trial=trial) for trial in (TRIAL, *others)]
    keys += [key(tmp_path, {}, cache="d"), key(tmp_path, {}, chosen="efficientnet_lite0")]
    assert len(set(keys)) == 5


def test_a_second_site_counts_where_the_method_learns_from_it(tmp_path, monkeypatch):
    adapting = Trial("full", "16", 0, {"training": {"kind": "mmd"}})
    before = [key(tmp_path, {}), key(tmp_path, {}, trial=adapting)]
    monkeypatch.setitem(SITES, "target_image_cache", SimpleNamespace(key="elsewhere"))
    after = [key(tmp_path, {}), key(tmp_path, {}, trial=adapting)]
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


def test_the_text_of_every_stage_of_a_trial_is_part_of_the_key():
    stages = {f"medical_transfer.pipelines.{name}.nodes" for name in main_job.TRIED.names}
    assert stages <= set(main_job.SOURCE_MODULES)


@pytest.mark.parametrize(("spent", "reused", "expected"), [(2.0, 1.0, 18.5), (20.0, 1.0, 21.0)])
def test_a_trial_that_was_gone_on_with_costs_all_its_epochs(tmp_path, spent, reused, expected):
    """Epochs of 10, 8 and 0.5 s are 18.5 s; a last process of 2 s + 1 s found ready saw only the end of them."""
    told = tmp_path / "08_reporting"
    told.mkdir()
    (tmp_path / "06_models").mkdir()
    auroc = {"estimate": 0.9, "low": 0.8, "high": 1.0, "n": 7}
    write_json(told / "finetuned_evaluation.json", {"test": {"auroc": auroc}})
    write_json(tmp_path / "06_models/model_plan.json", {"trainable": 12})
    write_json(told / "timing.json", {"training": {"seconds": spent, "reused_seconds": reused}})
    pd.DataFrame({"phase": ["head", "trunk", "trunk"], "seconds": [10.0, 8.0, 0.5]}).to_parquet(
        told / "finetuned_history.parquet"
    )
    measured, seconds = main_job.measured_in(tmp_path)
    assert seconds == pytest.approx(expected)
    assert [(each.metric, each.value, each.n) for each in measured] == [
        ("auroc", 0.9, 7),
        ("trainable_parameters", 12, 7),
    ]


def test_what_was_measured_of_another_split_has_its_name(tmp_path):
    told = tmp_path / "08_reporting"
    told.mkdir()
    (tmp_path / "06_models").mkdir()
    rows = {"test": {"auroc": {"estimate": 0.9, "low": 0.8, "high": 1.0, "n": 7}}}
    rows["val"] = {"auroc": {"estimate": 0.7, "low": 0.6, "high": 0.8, "n": 5}}
    write_json(told / "finetuned_evaluation.json", rows)
    write_json(tmp_path / "06_models/model_plan.json", {"trainable": 12})
    write_json(told / "timing.json", {"training": {"seconds": 1.0, "reused_seconds": 0.0}})
    pd.DataFrame({"seconds": [1.0]}).to_parquet(told / "finetuned_history.parquet")
    measured, _ = main_job.measured_in(tmp_path, "val")
    assert [(each.metric, each.value, each.n) for each in measured] == [
        ("val_auroc", 0.7, 5),
        ("trainable_parameters", 12, 5),
    ]


def test_the_split_that_is_judged_changes_the_key(tmp_path):
    parameters = {name: block.model_dump(mode="json") for name, block in BLOCKS.items()}
    session = SessionFacts("test", "conf", {}, parameters, tmp_path, None)
    handed = {**SITES, "image_cache": SimpleNamespace(key="c"), "transferability": {"chosen": "random"}}
    place = Place("s", session, Folders(**dict.fromkeys(Folders.model_fields, tmp_path)), {})
    assert key_of(replace(place, judged="val"), TRIAL, handed) != key_of(place, TRIAL, handed)
