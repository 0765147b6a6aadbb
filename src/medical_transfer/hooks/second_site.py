"""What learns from a second site needs one: checks of parameters before the first node."""

from __future__ import annotations

from typing import Any

from medical_transfer.config.images import Images, TargetImages
from medical_transfer.config.medical_adaptation import MedicalAdaptation
from medical_transfer.config.model import NOTHING_ADAPTS, Model
from medical_transfer.config.training import Training
from medical_transfer.types import UserError


def check_adaptation(parameters: dict[str, Any], kind: str | None = None) -> None:
    """Check that a method which learns from a second site has one, decoded alike, and views where it needs some.

    The method is that of `training.kind`, unless another is given.

    Raises:
        UserError: says which parameters contradict each other.
    """
    asked = {"kind": kind} if kind else {}
    training = Training.model_validate({**parameters.get("training", {}), **asked})
    if not training.adapts:
        return
    check_second_site(parameters, f"training.kind={training.kind}", ", or training.kind=finetune")
    model = Model.model_validate(parameters.get("model", {}))
    if model.freeze == "all" and (model.head == "linear" or training.adaptation.align == "trunk"):
        raise UserError(NOTHING_ADAPTS)
    if (
        training.kind in {"self_training", "dann_self_training"}
        and parameters.get("augmentation", {}).get("policy") == "none"
    ):
        raise UserError(
            f"training.kind={training.kind} learns from augmented views of the target, but augmentation.policy is "
            "none: set it to flips or another policy."
        )


def check_candidates(parameters: dict[str, Any]) -> None:
    """Check all that `medical_adaptation` sets side by side.

    Raises:
        UserError: says which parameters contradict each other.
    """
    asked = MedicalAdaptation.model_validate(parameters.get("medical_adaptation", {}))
    for kind in asked.methods:
        check_adaptation(parameters, kind)
    for name in asked.simple_means:
        check_second_site(parameters, f"medical_adaptation.simple_means={name}")


def check_second_site(parameters: dict[str, Any], who: str, instead: str = "") -> None:
    """Check that there is a second site, decoded as the first.

    Raises:
        UserError: says who needs it, and what to set (or `instead`).
    """
    images = Images.model_validate(parameters.get("images", {}))
    target = TargetImages.model_validate(parameters.get("target_images", {}))
    if target.kind == "none":
        raise UserError(
            f"{who} learns from a second site without its labels, but target_images.kind is none: set "
            f"target_images.kind and target_images.root to its images{instead}."
        )
    pixels, beside = ((each.size, each.fit) for each in (images, target.beside(images)))
    if pixels != beside:
        raise UserError(
            f"{who} needs both sites alike, but images are {pixels[0]} px, fit '{pixels[1]}', and target_images "
            f"{beside[0]} px, fit '{beside[1]}': leave target_images.size and target_images.fit out."
        )
