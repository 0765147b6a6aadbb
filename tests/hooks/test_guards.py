from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medical_transfer.config.images import Images, TargetImages
from medical_transfer.hooks.guards import (
    DECLARED,
    Guards,
    check_parameters,
    check_places,
    check_sources,
)
from medical_transfer.hooks.second_site import check_adaptation
from medical_transfer.pipeline_registry import register_pipelines
from medical_transfer.types import UserError

REFUSED = {
    "an unknown block": ({"trainin": {}}, "Unknown parameter 'trainin': known are .* Did you mean 'training'"),
    "nothing like it": ({"xyzzy": 1}, "Unknown parameter 'xyzzy': known are .*study_tuning\\.$"),
    "an unknown key": ({"training": {"epoch": 3}}, "Unknown parameter 'training.epoch'. Did you mean 'epochs'"),
    "an unknown key further in": (
        {"training": {"finetune": {"learning_rat": 1}}},
        "Unknown parameter 'training.finetune.learning_rat'. Did you mean 'learning_rate'",
    ),
    "a negative rate": (
        {"training": {"finetune": {"learning_rate": -1}}},
        "Parameter 'training.finetune.learning_rate' is -1: it should be greater than 0",
    ),
    "not a number": ({"images": {"size": "big"}}, "Parameter 'images.size' is 'big': it should be a valid integer"),
    "an unknown kind": ({"images": {"kind": "nifti"}}, "Parameter 'images.kind' is 'nifti': it should be 'packaged', "),
    "a rule of one value": ({"images": {"group_pattern": "p[0-9]+"}}, "'images.group_pattern': .*has no group"),
    "a rule of several values": ({"images": {"kind": "folder"}}, "images.kind=folder needs images.root"),
    "a path with a colon": ({"images": {"root": {"/d/a": "b"}}}, "'images.root' is .'/d/a': 'b'., .*put it in quotes"),
    "a path that is a number": ({"images": {"root": 2024}}, "'images.root' is 2024, .*put it in quotes"),
    "no stage that learns": (
        {"model": {"freeze": "partial", "trainable_stages": 0}},
        "'model.trainable_stages': 0 would let no stage of the trunk learn; for the head alone set model.freeze=all.$",
    ),
    "no head that learns": ({"model": {"head": "none"}}, "'model.head' is 'none': it should be 'linear', "),
    "a head that learns for no time": (
        {"model": {"freeze": "all"}, "training": {"finetune": {"head_epochs": 0}}},
        "'training.finetune.head_epochs' is 0: it should be greater than or equal to 1",
    ),
    "a reversal that would help the discriminator": (
        {"training": {"dann": {"reversal": -1}}},
        "Parameter 'training.dann.reversal' is -1: it should be greater than or equal to 0",
    ),
    "a block that is no block": ({"training": 3}, "training.*should be a valid dictionary"),
    "two faults": ({"run": {"seed": "x"}, "model": {"dropout": 2}}, "'run.seed' is 'x'.*'model.dropout' is 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_full_name(case: str) -> None:
    parameters, sentence = REFUSED[case]
    with pytest.raises(UserError, match=sentence) as caught:
        check_parameters(parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("parameters", [{}, {"run_root": "x", "tracking": {"parent_run_id": ""}}, {"run": {"seed": 3}}])
def test_what_is_right_passes(parameters: dict[str, Any]) -> None:
    assert set(parameters) <= set(DECLARED)
    check_parameters(parameters)


# --- what needs more than one block, or the disk ----------------------------------------------------------------------

OWN = {"mine": {"path": "w.pth", "architecture": "timm/resnet18"}}
SOURCES: dict[str, tuple[list[str], dict[str, Any], str | None]] = {
    "of the menu": (["random", "resnet50"], {}, None),
    "of the libraries": (["timm/no_such_network", "torchvision/resnet34@DEFAULT"], {}, None),
    "an own one": (["mine", "random"], {"own": OWN}, None),
    "a slip": (
        ["efficientnet_lit0"],
        {},
        r"Unknown source 'efficientnet_lit0': known are .*Did you mean efficientnet_lite0\?",
    ),
    "a slip in an own one": (["mien", "random"], {"own": OWN}, r"Unknown source 'mien'.*Did you mean mine\?"),
    "side by side": (["mine+random+timm/no_such_network", "random"], {"own": OWN}, None),
    "a slip side by side": (["random+mien"], {"own": OWN}, r"Unknown source 'mien': .*Did you mean mine\?"),
    "one side alone": (
        ["random+"],
        {},
        r"two or more different names joined by \+, .*; found 'random', '' in 'random\+'",
    ),
    "beside itself": (["random+random"], {}, r"different names joined by \+, .*; found 'random', 'random' in"),
    "a library alone": (["timm/"], {}, "Unknown source 'timm/'"),
    "two": (["xx", "yyy"], {}, "Unknown source 'xx'.*Unknown source 'yyy'"),
    "no folder of weights": (["random"], {"weights_root": "/no/such"}, "/no/such/index.json is missing"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_sources_are_looked_up_before_the_first_node(case: str) -> None:
    names, backbones, sentence = SOURCES[case]
    guards, stages = Guards(), register_pipelines()
    guards.parameters = {"transferability": {"sources": names}, "backbones": backbones, "images": {}}
    guards.before_pipeline_run(stages["evaluation"])  # reads no source
    for name in ("transferability", "medical_transfer"):
        if sentence is None:
            guards.before_pipeline_run(stages[name])
        else:
            with pytest.raises(UserError, match=sentence):
                guards.before_pipeline_run(stages[name])


def test_looking_sources_up_imports_no_torch() -> None:
    program = "import json, sys; from medical_transfer.hooks.guards import check_sources as check\n"
    program += "check({'transferability': {'sources': ['random', 'timm/resnet18']}})\n"
    program += "print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "medical_transfer.models.backbones" in loaded
    assert not loaded & {"torch", "timm", "torchvision"}
    assert check_sources.__module__ in loaded


SECOND = {"kind": "folder", "root": "/no/such/films"}
COMPARED: dict[str, tuple[dict[str, Any], str | None]] = {
    "two sites": ({"target_images": SECOND}, None),
    "another backbone": ({"target_images": SECOND, "domain_distance": {"source": "resnet50"}}, None),
    "one site": (
        {},
        r"^target_images\.kind is none, but domain_distance compares two sites: set target_images\.kind and",
    ),
    "no such backbone": (
        {"target_images": SECOND, "domain_distance": {"source": "resnet5"}},
        r"Unknown source 'resnet5'.*Did you mean resnet50\?",
    ),
}


@pytest.mark.parametrize("case", COMPARED)
def test_two_sites_and_a_backbone_are_there_before_they_are_compared(case: str) -> None:
    given, sentence = COMPARED[case]
    guards, stages = Guards(), register_pipelines()
    guards.parameters = {"transferability": {}, "images": {}} | given
    guards.before_pipeline_run(stages["medical_transfer"])  # needs no second site
    if sentence is None:
        guards.before_pipeline_run(stages["domain_distance"])
    else:
        with pytest.raises(UserError, match=sentence):
            guards.before_pipeline_run(stages["domain_distance"])


PLACES = {
    "a comma": ("scans,2024", "scans"),
    "a hash": ("scans #2", "scans"),
    "another folder": ("scans_2", None),
    "nothing": (None, None),
}


@pytest.mark.parametrize("case", PLACES)
@pytest.mark.parametrize("name", ["root", "table"])
@pytest.mark.parametrize("block", [Images, TargetImages])
def test_a_path_that_was_cut_off_is_noticed(tmp_path: Path, case: str, name: str, block: type[Images]) -> None:
    there, cut = PLACES[case]
    if there is not None:
        (tmp_path / there).mkdir()
    images = block.model_validate({name: tmp_path / "scans"})
    if cut is None:
        check_places(images)
    else:
        with pytest.raises(
            UserError, match=rf"^{block.block}\.{name} is .*/scans, which does not exist, but .*/{there} does: "
        ):
            check_places(images)
    (tmp_path / "scans").mkdir()
    check_places(images)
    check_places(Images.model_validate({name: tmp_path / "no/such/parent"}))


@pytest.mark.parametrize("block", ["images", "target_images"])
def test_places_are_checked_where_images_are_read(tmp_path: Path, block: str) -> None:
    (tmp_path / "a,b").mkdir()
    guards, stages = Guards(), register_pipelines()
    guards.parameters = {"transferability": {}, "images": {}, block: {"kind": "folder", "root": tmp_path / "a"}}
    guards.before_pipeline_run(stages["training"])
    with pytest.raises(UserError, match=rf"^{block}\.root .* a comma or"):
        guards.before_pipeline_run(stages["ingestion"])


SITE = {"target_images": {"kind": "folder", "root": "there"}}
ADAPTING: dict[str, tuple[dict[str, Any], str | None]] = {
    "fine-tuning needs no second site": ({"training": {"kind": "finetune"}}, None),
    "a second site": ({"training": {"kind": "dann"}, **SITE}, None),
    "none": (
        {"training": {"kind": "dann"}},
        r"^training\.kind=dann learns from a second .*target_images\.kind is none",
    ),
    "another size": (
        {"training": {"kind": "mmd"}, "images": {"size": 96}, "target_images": {**SITE["target_images"], "size": 64}},
        r"images are 96 px, fit 'squash', and target_images 64 px",
    ),
    "nothing that moves": ({"training": {"kind": "dann"}, "model": {"freeze": "all"}, **SITE}, "a linear head alone"),
    "a hidden layer": (
        {"training": {"kind": "dann"}, "model": {"freeze": "all", "head": "chapter_2_1"}, **SITE},
        None,
    ),
    "no views": (
        {"training": {"kind": "self_training"}, "augmentation": {"policy": "none"}, **SITE},
        r"augmentation\.policy is none",
    ),
    "self-training": ({"training": {"kind": "self_training"}, **SITE}, None),
}


@pytest.mark.parametrize("case", ADAPTING)
def test_what_a_method_of_adaptation_lacks_is_said_before_the_first_node(case: str) -> None:
    parameters, sentence = ADAPTING[case]
    if sentence is None:
        check_adaptation(parameters)
        return
    with pytest.raises(UserError, match=sentence):
        check_adaptation(parameters)
    guards, stages = Guards(), register_pipelines()
    guards.parameters = {"transferability": {"sources": ["random"]}, **parameters}
    guards.before_pipeline_run(stages["ingestion"])  # reads no method
    with pytest.raises(UserError, match=sentence):
        guards.before_pipeline_run(stages["training"])
