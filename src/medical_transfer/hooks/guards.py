"""Guards at the door of a run: a parameter that nobody reads, or that has an impossible value, stops it at once.

What needs more than one block, or the disk, is checked where the chosen stages read it, also before the first node.

Kedro checks typed parameters too, but ignores unknown blocks, looks only at the pipeline that runs, and names a block
instead of the parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.base import Block
from medical_transfer.config.blocks import BLOCKS
from medical_transfer.config.compare import Compare
from medical_transfer.config.domain_distance import DomainDistance
from medical_transfer.config.explain import Explain
from medical_transfer.config.images import Images, TargetImages
from medical_transfer.config.layer_choice import LayerChoice
from medical_transfer.config.medical_distillation import MedicalDistillation
from medical_transfer.config.predict import Predict
from medical_transfer.config.training import Training
from medical_transfer.config.transferability import Transferability
from medical_transfer.hooks.second_site import check_adaptation, check_candidates
from medical_transfer.runtime.nearest import did_you_mean
from medical_transfer.types import UserError

DECLARED = ("run_root", "cache_root", "tracking", *BLOCKS)
"""All top-level parameters; the first three are read by the configuration itself and by the record of runs."""


class Guards:
    """Refuses parameters that nothing reads and values that cannot be."""

    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check the parameters of files and command line together, before a catalog or a record of the run exists.

        Raises:
            UserError: with the full name of the parameter.
        """
        self.parameters = context.config_loader["parameters"]
        check_parameters(self.parameters)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Check what the stages that run would read, before the run takes its root or is recorded.

        Raises:
            UserError: where a source is unknown or has no layers to choose between, a path of images was cut off, or a
                method lacks what it learns from.
        """
        for needed, check in READ:
            if needed in pipeline.inputs():
                check(self.parameters)
        if "finetuned_model" in pipeline.all_outputs():
            check_adaptation(self.parameters)
            check_teacher(self.parameters)
        if "adaptation_candidates" in pipeline.all_outputs():
            check_candidates(self.parameters)
        if "audit" in pipeline.all_outputs():
            for block in (Images, TargetImages):
                check_places(block.model_validate(self.parameters.get(block.block, {})))


def check_parameters(parameters: dict[str, Any]) -> None:
    """Check names and values of all parameters.

    Raises:
        UserError: names every fault that was found.
    """
    for name in parameters:
        if name not in DECLARED:
            raise UserError(
                f"Unknown parameter '{name}': known are {', '.join(DECLARED)}.{did_you_mean(name, DECLARED)}"
            )
    faults = [
        fault for name, block in BLOCKS.items() if name in parameters for fault in _faults(name, block, parameters)
    ]
    if faults:
        raise UserError(" ".join(faults))


def check_sources(parameters: dict[str, Any]) -> None:
    """Check the names of the sources that compete against those that there are.

    Raises:
        UserError: names what is unknown, and what may have been meant.
    """
    from medical_transfer.models.backbones import check_names  # noqa: PLC0415 - numpy, which few commands need

    transferability = Transferability.model_validate(parameters["transferability"])
    check_names(transferability.sources, Backbones.model_validate(parameters.get("backbones", {})))


def check_student(parameters: dict[str, Any]) -> None:
    """Check that the student is a source that there is, and a network of layers, which can be exported.

    Raises:
        UserError: names what may have been meant, or what to do.
    """
    from medical_transfer.models.backbones import check_names, known_sources  # noqa: PLC0415 - numpy

    student = MedicalDistillation.model_validate(parameters.get("medical_distillation", {})).student
    backbones = Backbones.model_validate(parameters.get("backbones", {}))
    check_names([student], backbones)
    known = known_sources(backbones).get(student)
    if known is not None and not known.trainable:
        raise UserError(
            f"medical_distillation.student is {student!r}, which exists only as a graph: nothing of it can learn or be "
            "exported. Name a network of layers, for instance first5.1/efficientnet_lite0."
        )


def check_two_sites(parameters: dict[str, Any]) -> None:
    """Check that there is a second site to compare, and the name of the backbone that compares.

    Raises:
        UserError: says what to set.
    """
    from medical_transfer.models.backbones import check_names  # noqa: PLC0415 - numpy, which few commands need

    if TargetImages.model_validate(parameters.get("target_images", {})).kind == "none":
        raise UserError(
            "target_images.kind is none, but domain_distance compares two sites: set target_images.kind and "
            "target_images.root (or target_images.table) to the images of the second one."
        )
    source = DomainDistance.model_validate(parameters.get("domain_distance", {})).source
    if source is not None:
        check_names([source], Backbones.model_validate(parameters.get("backbones", {})))


def check_layers(parameters: dict[str, Any]) -> None:
    """Check that the source whose layers are compared has some.

    Raises:
        UserError: names the source and what to do.
    """
    from medical_transfer.models.layered_source import layered_source  # noqa: PLC0415 - numpy, and then torch

    layered_source(
        LayerChoice.model_validate(parameters["layer_choice"]).source,
        Transferability.model_validate(parameters["transferability"]).sources,
        Backbones.model_validate(parameters.get("backbones", {})),
    )


def check_teacher(parameters: dict[str, Any]) -> None:
    """Check that a student has a teacher whose files are as they were saved, for images of its size.

    Raises:
        UserError: says which is missing, damaged, or of another size.
    """
    training = Training.model_validate(parameters.get("training", {}))
    if training.kind != "distill":
        return
    from medical_transfer.models.teacher_cards import check_pictures, read_teachers  # noqa: PLC0415 - numpy

    images = Images.model_validate(parameters.get("images", {}))
    folders = training.distill.teacher
    for folder, card in zip(folders, read_teachers(folders), strict=True):
        check_pictures(folder, card, size=images.size, fit=images.fit)


def check_compared(parameters: dict[str, Any]) -> None:
    """Check that both models that are compared are named and there.

    Raises:
        UserError: says which is not, and what was expected.
    """
    from medical_transfer.evaluation.sides import place_of  # noqa: PLC0415 - pandas, which few commands need

    compare = Compare.model_validate(parameters.get("compare", {}))
    for name in ("a", "b"):
        place_of(name, getattr(compare, name))


def check_new_images(parameters: dict[str, Any], *, block: str) -> None:
    """Check that new images are named and there, before a model is looked for.

    Raises:
        UserError: says what to set.
    """
    from medical_transfer.data.new_images import kind_of  # noqa: PLC0415 - numpy, which few commands need

    asked = BLOCKS[block].model_validate(parameters.get(block, {}))
    assert isinstance(asked, Predict)
    kind_of(asked, block)


def check_explained(parameters: dict[str, Any]) -> None:
    """Check that a model that is named for explanation is there, and that the patch of occlusion fits into an image.

    Raises:
        UserError: says what was found, and what to do.
    """
    from medical_transfer.evaluation.explanations.asked import check_asked  # noqa: PLC0415 - pandas

    images = Images.model_validate(parameters.get("images", {}))
    check_asked(Explain.model_validate(parameters.get("explain", {})), images.size)


READ: tuple[tuple[str, Callable[[dict[str, Any]], None]], ...] = (
    ("params:transferability", check_sources),
    ("params:domain_distance", check_two_sites),
    ("params:layer_choice", check_layers),
    ("params:medical_distillation", check_student),
    ("params:compare", check_compared),
    ("params:predict", partial(check_new_images, block="predict")),
    ("params:validate", partial(check_new_images, block="validate")),
    ("params:drift", partial(check_new_images, block="drift")),
    ("params:explain", check_explained),
)
"""What a pipeline reads -> the check of it."""


def check_places(images: Images) -> None:
    """Notice a path that the command line cut off: it is not there, but one that begins like it is.

    Raises:
        UserError: names both.
    """
    for name, path in (("root", images.root), ("table", images.table)):
        longer = _longer(path) if path is not None else []
        if longer:
            raise UserError(
                f"{images.block}.{name} is {path}, which does not exist, but {longer[0]} does: in --params a comma or "
                "' #' ends a value, so write such a path in quotes into conf/local/parameters.yml."
            )


def _longer(path: Path) -> list[Path]:
    """What is there in place of a missing path: neighbours whose names go on where the command line cuts."""
    try:
        if path.exists():
            return []
        return sorted(
            each for each in path.parent.iterdir() if each.name.startswith((f"{path.name},", f"{path.name} #"))
        )
    except OSError:  # no such parent, or one that must not be read: what is missing is said by its reader
        return []


def _faults(name: str, block: type[Block], parameters: dict[str, Any]) -> list[str]:
    try:
        block.model_validate(parameters[name])
    except ValidationError as error:
        return [_sentence(name, block, details) for details in error.errors()]
    return []


def _sentence(name: str, block: type[Block], details: ErrorDetails) -> str:
    place = [str(part) for part in details["loc"]]
    full_name = ".".join([name, *place])
    if details["type"] == "extra_forbidden":
        return f"Unknown parameter '{full_name}'.{did_you_mean(place[-1], _names(block))}"
    if details["type"] == "path_type":
        return f"Parameter '{full_name}' is {details['input']!r}, which YAML does not read as text: put it in quotes."
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not place:  # a rule of the whole block names its parameters itself
        return f"Parameter block '{name}': {message}."
    return (
        f"Parameter '{full_name}' is {details['input']!r}: it {message}."
        if message.startswith("should")
        else (f"Parameter '{full_name}': {message}.")
    )


def _names(block: type[Block]) -> list[str]:
    """Names of a block and of the blocks in it."""
    inner = [field.annotation for field in block.model_fields.values()]
    blocks = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, Block)]
    return [*block.model_fields, *(name for kind in blocks for name in _names(kind))]
