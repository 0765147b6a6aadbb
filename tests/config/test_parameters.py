"""The parameters that come with the project, and what is refused of a user's."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from medical_transfer.config.adaptation import ADAPTING
from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.backbones import Backbones, OwnSource
from medical_transfer.config.base import Block, Run, UserPath
from medical_transfer.config.blocks import changed
from medical_transfer.config.drift import Drift
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.explain import Explain
from medical_transfer.config.images import Images, TargetImages
from medical_transfer.config.layer_choice import LayerChoice
from medical_transfer.config.medical_adaptation import MedicalAdaptation
from medical_transfer.config.model import Model
from medical_transfer.config.predict import Predict
from medical_transfer.config.split import SplitConfig
from medical_transfer.config.studies import Studies
from medical_transfer.config.study_adaptation import StudyAdaptation
from medical_transfer.config.study_distillation import StudyDistillation
from medical_transfer.config.study_few_shot import StudyFewShot
from medical_transfer.config.study_few_shot_medical import StudyFewShotMedical
from medical_transfer.config.study_finetuning import StudyFinetuning
from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.config.study_tuning import StudyTuning
from medical_transfer.config.training import Finetune, Training
from medical_transfer.config.transferability import Transferability
from medical_transfer.config.validate import Validate
from medical_transfer.data.augment import POLICIES
from medical_transfer.methods import METHODS
from medical_transfer.models.heads import HEADS
from medical_transfer.schedules import SCHEDULES

REPOSITORY = Path(__file__).parents[2]

BLOCKS: dict[str, type[Block]] = {
    "augmentation": Augmentation,
    "backbones": Backbones,
    "drift": Drift,
    "evaluation": Evaluation,
    "explain": Explain,
    "images": Images,
    "layer_choice": LayerChoice,
    "medical_adaptation": MedicalAdaptation,
    "model": Model,
    "predict": Predict,
    "run": Run,
    "split": SplitConfig,
    "studies": Studies,
    "study_distillation": StudyDistillation,
    "study_adaptation": StudyAdaptation,
    "study_few_shot": StudyFewShot,
    "study_few_shot_medical": StudyFewShotMedical,
    "study_finetuning": StudyFinetuning,
    "study_transferability": StudyTransferability,
    "study_tuning": StudyTuning,
    "target_images": TargetImages,
    "training": Training,
    "transferability": Transferability,
    "validate": Validate,
}

OF_METHODS = [type(getattr(Training(), name)) for name in ("adaptation", "distill", *ADAPTING)]
"""Blocks inside `training` that methods of adaptation read."""


def parameters(environment: str) -> dict:
    found: dict = {}
    for path in sorted((REPOSITORY / "conf" / environment / "parameters").glob("*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        assert not found.keys() & content.keys(), path
        found |= content
    return found


def merged(base: dict, over: dict) -> dict:
    both = base | over
    for key in base.keys() & over.keys():
        if isinstance(base[key], dict) and isinstance(over[key], dict):
            both[key] = merged(base[key], over[key])
    return both


@pytest.mark.parametrize("environment", ["base", "test", "gpu", "quick"])
def test_the_projects_own_parameters_are_valid(environment):
    content = merged(parameters("base"), {} if environment == "base" else parameters(environment))
    for name, block in BLOCKS.items():
        if name in content:
            block.model_validate(content[name])


def test_every_block_of_the_base_is_written_out():
    assert BLOCKS.keys() <= parameters("base").keys()


@pytest.mark.parametrize("name", BLOCKS)
def test_what_the_base_file_states_is_what_the_model_says(name):
    """Two places for one default must agree, so that reading either is enough."""
    stated = BLOCKS[name].model_validate(parameters("base")[name])
    assert stated == BLOCKS[name]()


@pytest.mark.parametrize("block", [*BLOCKS.values(), Finetune, *OF_METHODS])
def test_an_unknown_key_is_refused_by_name(block):
    with pytest.raises(ValidationError, match=r"(?s)learning_rat\n.*not permitted"):
        block.model_validate({"learning_rat": 1})


@pytest.mark.parametrize("block", [*BLOCKS.values(), Finetune, *OF_METHODS])
def test_blocks_are_frozen(block):
    name = next(iter(block.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(block(), name, None)


REFUSED = [
    (Training, {"finetune": {"learning_rate": -1}}, "finetune.learning_rate"),
    (Training, {"finetune": {"learning_rate": 0}}, "finetune.learning_rate"),
    (Training, {"finetune": {"head_learning_rate": -1e-3}}, "finetune.head_learning_rate"),
    (Training, {"finetune": {"head_epochs": 0}}, "finetune.head_epochs"),
    (Training, {"finetune": {"multiplier": 0.5}}, "finetune.multiplier"),
    (Training, {"finetune": {"weight_decay": -0.1}}, "finetune.weight_decay"),
    (Training, {"finetune": {"l2_sp": -0.1}}, "finetune.l2_sp"),
    (Training, {"finetune": {"label_smoothing": 1.0}}, "finetune.label_smoothing"),
    (Training, {"finetune": {"schedule": "linear"}}, "finetune.schedule"),
    (Training, {"finetune": {"batch_norm": "off"}}, "finetune.batch_norm"),
    (Training, {"finetune": {"unfreezing": "slowly"}}, "finetune.unfreezing"),
    (Training, {"distill": {"temperature": 0}}, "distill.temperature"),
    (Training, {"distill": {"temperature": -1}}, "distill.temperature"),
    (Training, {"distill": {"soft_weight": 1.01}}, "distill.soft_weight"),
    (Training, {"distill": {"soft_weight": -0.1}}, "distill.soft_weight"),
    (Training, {"distill": {"hints_weight": -1}}, "distill.hints_weight"),
    (Training, {"distill": {"loss": "mse"}}, "distill.loss"),
    (Training, {"dann": {"reversal": -0.1}}, "dann.reversal"),
    (Training, {"cdan": {"reversal": -1}}, "cdan.reversal"),
    (Training, {"mcd": {"reversal": -1}}, "mcd.reversal"),
    (Training, {"mmd": {"weight": -1}}, "mmd.weight"),
    (Training, {"self_training": {"threshold": 1.5}}, "self_training.threshold"),
    (Training, {"adaptation": {"selection": "target"}}, "adaptation.selection"),
    (Training, {"adaptation": {"batch_norm": "adapt"}}, "adaptation.batch_norm"),
    (Training, {"kind": "magic"}, "kind"),
    (Training, {"epochs": 0}, "epochs"),
    (Training, {"epochs": 2.5}, "epochs"),
    (Training, {"batch_size": 1}, "batch_size"),
    (Training, {"patience": 0}, "patience"),
    (Training, {"per_class": 0}, "per_class"),
    (Training, {"steps_per_epoch": 0}, "steps_per_epoch"),
    (Training, {"gradient_clip": 0}, "gradient_clip"),
    (Training, {"number_format": "fp16"}, "number_format"),
    (StudyFinetuning, {"seeds": []}, "seeds"),
    (StudyFinetuning, {"seeds_whole": []}, "seeds_whole"),
    (StudyFinetuning, {"strategies": ["everything_frozen"]}, "strategies"),
    (StudyFinetuning, {"sizes": [0]}, "sizes"),
    (Studies, {"executor": "threads"}, "executor"),
    (Studies, {"cpus_per_trial": 0}, "cpus_per_trial"),
    (Studies, {"gpus_per_trial": -1}, "gpus_per_trial"),
    (StudyTuning, {"trials": 1}, "trials"),
    (StudyTuning, {"random_trials": 0}, "random_trials"),
    (StudyTuning, {"metric": "brier"}, "metric"),
    (StudyTuning, {"seeds": []}, "seeds"),
    (MedicalAdaptation, {"methods": ["finetune"]}, "methods"),
    (MedicalAdaptation, {"choose_by": "auroc"}, "choose_by"),
    (Model, {"freeze": "some"}, "freeze"),
    (Model, {"dropout": 1}, "dropout"),
    (Model, {"trainable_stages": 0}, "trainable_stages"),
    (Model, {"head": "mlp"}, "head"),
    (Augmentation, {"policy": "wild"}, "policy"),
    (Augmentation, {"views": 0}, "views"),
    (SplitConfig, {"val_fraction": 0}, "val_fraction"),
    (SplitConfig, {"test_fraction": 1}, "test_fraction"),
    (SplitConfig, {"hash_distance": 17}, "hash_distance"),
    (Evaluation, {"resamples": 10}, "resamples"),
    (Evaluation, {"coverage": 1}, "coverage"),
    (Evaluation, {"threshold": "best"}, "threshold"),
    (Transferability, {"sources": []}, "sources"),
    (Transferability, {"folds": 1}, "folds"),
    (Transferability, {"fuse": 0}, "fuse"),
    (Backbones, {"own": {"a+b": {"path": "x.pth", "architecture": "timm/resnet18"}}}, "own"),
    (LayerChoice, {"scores": ["lgme"]}, "scores"),
    (LayerChoice, {"folds": 1}, "folds"),
    (LayerChoice, {"max_images": 19}, "max_images"),
    (Images, {"kind": "jpeg"}, "kind"),
    (Images, {"root": "~nobody-of-this-name/images"}, "root"),
    (Images, {"size": 8}, "size"),
    (Images, {"group_pattern": "(["}, "group_pattern"),
    (Images, {"group_pattern": "person"}, "group_pattern"),
    (Images, {"sixteen_bit": [5, 5]}, "sixteen_bit"),
    (Images, {"group_block": 0}, "group_block"),
    (Backbones, {"own": {"mine": {"path": "x"}}}, "own.mine.architecture"),
    (Backbones, {"own": {"mine": {"path": "x", "architecture": "y", "std": [1, 0, 1]}}}, "own.mine.std"),
    (Backbones, {"own": {"mine": {"path": "x", "architecture": "y", "sha256": "abc"}}}, "own.mine.sha256"),
]


@pytest.mark.parametrize(("block", "content", "name"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_makes_no_sense_is_refused_by_name(block, content, name):
    with pytest.raises(ValidationError) as refused:
        block.model_validate(content)
    places = [".".join(str(part) for part in error["loc"]) for error in refused.value.errors()]
    assert any(place == name or place.startswith(f"{name}.") for place in places), places


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"seeds": [1, 2, 1]}, r"study_finetuning\.seeds is \[1, 2, 1\]: name each once"),
        ({"sizes": ["all", 8, "all"]}, r"study_finetuning\.sizes is .* name each once"),
        ({"steps": 100, "rounds": 8}, "steps is 100, which is not a multiple of study_finetuning.rounds, 8"),
        ({"steps": 21, "rounds": 3}, "rounds is 3, an odd number, but lp_ft trains the head for half of the rounds"),
    ],
)
def test_a_study_compares_each_thing_once_at_equal_budgets(content, message):
    with pytest.raises(ValidationError, match=message):
        StudyFinetuning(**content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"seeds": [0, 0]}, r"study_transferability\.seeds is \[0, 0\]: name each once"),
        ({"seeds": []}, "seeds"),
        ({"sources": ["random"]}, "sources"),
        ({"sources": ["a", "a"]}, r"study_transferability\.sources is .* name each once"),
        ({"steps": 10, "rounds": 4}, "steps is 10, which is not a multiple of study_transferability.rounds, 4"),
        ({"targets": {"x": {"images": {"kind": "folder"}}}}, r"images: images\.kind=folder needs images\.root"),
        ({"targets": {"x": {"images": {"knid": "npz"}}}}, r"images\.knid"),
        ({"targets": {"x": {"augmentation": {"policy": "odd"}}}}, r"augmentation\.policy"),
    ],
)
def test_what_a_study_of_scores_cannot_be(content, message):
    with pytest.raises(ValidationError, match=message):
        StudyTransferability(**content)


def test_a_target_may_be_taken_out():
    assert StudyTransferability(targets={"brain_mri": None}).targets == {"brain_mri": None}


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    images = Images(kind="table", root="~/scans", table="~/labels.csv")
    assert (images.root, images.table) == (Path("/home/anna/scans"), Path("/home/anna/labels.csv"))
    assert Images(kind="folder", root="a/~/b").root == Path("a/~/b")


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_fractions_must_leave_something_to_train_on(val, test):
    if val + test < 1:
        SplitConfig(val_fraction=val, test_fraction=test)
    else:
        with pytest.raises(ValidationError, match="leaves nothing to train on"):
            SplitConfig(val_fraction=val, test_fraction=test)


@pytest.mark.parametrize(("kind", "missing"), [("folder", "root"), ("npz", "root"), ("table", "table")])
def test_a_kind_of_images_needs_its_place(kind, missing):
    with pytest.raises(ValidationError, match=rf"images\.kind={kind} needs images\.{missing}"):
        Images(kind=kind)
    Images(kind=kind, **{missing: "/somewhere"})


def test_a_second_site_is_absent_by_default_and_names_itself():
    assert TargetImages().kind == "none"
    with pytest.raises(ValidationError, match=r"target_images\.kind=folder needs target_images\.root"):
        TargetImages(kind="folder")


def test_a_second_site_is_decoded_as_the_first_unless_it_says_otherwise():
    first = Images(size=224, fit="pad", workers=2, limit=10, sixteen_bit="full")
    beside = TargetImages(kind="folder", root="/there", fit="squash").beside(first)
    assert (beside.size, beside.fit, beside.workers) == (224, "squash", 2)
    assert (beside.limit, beside.sixteen_bit, beside.root) == (None, "quarantine", Path("/there"))


def choices(block: type[Block], field: str) -> set[str]:
    return set(get_args(block.model_fields[field].annotation))


def test_every_choice_has_its_function_and_the_other_way_round():
    assert choices(Augmentation, "policy") == set(POLICIES)
    assert choices(Finetune, "schedule") == set(SCHEDULES)
    assert choices(Model, "head") == set(HEADS)
    assert choices(Training, "kind") == set(METHODS)


@pytest.mark.parametrize("block", [*BLOCKS.values(), Finetune, *OF_METHODS, OwnSource])
def test_fields_are_explained_where_a_name_alone_does_not(block):
    plain = {"val_fraction", "test_fraction"}
    unexplained = {name for name, field in block.model_fields.items() if not field.description} - plain
    blocks = {"finetune", "adaptation", "distill", *ADAPTING} if block is Training else set()
    assert not unexplained - blocks


def test_only_what_its_method_reads_shapes_a_training():
    read = {"finetune": {"l2_sp": 0.1}, "adaptation": {"selection": "bnm"}, "dann": {"reversal": 0.5}}
    given = Training(kind="dann", epochs=9, mmd={"weight": 7}, **read)
    assert given.as_read() == Training(kind="dann", epochs=9, **read)
    plain = Training(mmd={"weight": 7}, epochs=9, **read)
    assert plain.as_read() == Training(epochs=9, finetune={"l2_sp": 0.1})


def test_a_teacher_shapes_a_training_by_what_it_is_and_not_by_its_place():
    given = [Training(kind="distill", distill={"teacher": place, "temperature": 2}) for place in ("a", ["b", "c"])]
    assert given[0].distill.teacher == (Path("a"),)
    assert given[0].as_read() == given[1].as_read() == Training(kind="distill", distill={"temperature": 2})
    assert Training(distill={"temperature": 2}).as_read() == Training()


def test_a_path_may_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/here")
    own = {"path": "~/w.pth", "architecture": "timm/resnet18"}
    found = Backbones(weights_root="~/w", downloads="~", own={"mine": own})
    assert (found.weights_root, found.downloads) == (Path("/here/w"), Path("/here"))
    assert found.own["mine"].path == Path("/here/w.pth")
    assert TypeAdapter(UserPath).validate_python("a/~/b") == Path("a/~/b")
    with pytest.raises(ValidationError, match="~nobody-of-this-name/w names a home folder"):
        Backbones(weights_root="~nobody-of-this-name/w")


def test_class_names_that_yaml_reads_as_something_else():
    from medical_transfer.config.images import Images  # noqa: PLC0415
    from medical_transfer.config.transferability import Transferability  # noqa: PLC0415

    images = Images(positive_class=1, classes={0: "healthy", 1: None})
    assert (images.positive_class, images.classes) == ("1", {"0": "healthy", "1": None})
    for values in ({"positive_class": True}, {"classes": {True: "tumour"}}):
        with pytest.raises(ValueError, match="in quotes"):
            Images(**values)
    with pytest.raises(ValueError, match="'zzz'; the sources are a, b"):
        Transferability(sources=["a", "b"], chosen="zzz")
    with pytest.raises(ValueError, match="names a twice"):
        Transferability(sources=["a", "a"])


def test_what_differs_from_the_defaults_is_named_and_places_are_not():
    stated = parameters("base")
    assert changed(stated) == {}
    other = stated | {"model": {"freeze": "all"}, "run": {"seed": 3}, "unknown": {"x": 1}}
    other["training"] = stated["training"] | {"finetune": {"head_l2": 0.2}}
    assert changed(other) == {"model.freeze": "all", "training.finetune.head_l2": "0.2"}


@pytest.mark.parametrize(
    ("given", "point"),
    [
        ({"target_sensitivity": 0.9}, ("sensitivity", 0.9, 1.0)),
        ({"target_sensitivity": None}, ("sensitivity", 0.95, 1.0)),
        ({"target_specificity": 0.8}, ("specificity", 0.8, 1.0)),
        ({"cost_ratio": 10}, ("costs", 0.95, 10.0)),
        ("youden", ("youden", 0.95, 1.0)),
    ],
)
def test_an_operating_point_may_be_named_by_its_target(given, point):
    assert Evaluation.model_validate({"threshold": given}).operating_point == point


@pytest.mark.parametrize("given", [{}, {"target_sensitivity": 0.9, "cost_ratio": 2}, {"target": 0.9}])
def test_an_operating_point_is_one(given):
    with pytest.raises(ValidationError, match="expected a rule or one of"):
        Evaluation.model_validate({"threshold": given})


@pytest.mark.parametrize("given", [{"target_sensitivity": 1.5}, {"cost_ratio": 0}])
def test_an_operating_point_is_possible(given):
    with pytest.raises(ValidationError):
        Evaluation.model_validate({"threshold": given})


def test_a_comparison_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"methods and simple_means are both empty: name at least one"):
        MedicalAdaptation(methods=[], simple_means=[])
