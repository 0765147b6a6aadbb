"""New images through a finished model, once: the way that prediction, validation and drift share."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medical_transfer.config.folders import Folders
from medical_transfer.config.predict import Predict
from medical_transfer.config.validate import Validate
from medical_transfer.data.cache import frame_hash
from medical_transfer.data.new_images import NewImages, find_new_images, kind_of
from medical_transfer.models.card import CARD_FILE, ModelCard, TrainedModel
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.types import UserError

MODULES = [
    f"medical_transfer.{name}"
    for name in (
        "data",
        "evaluation.new_table",
        "evaluation.novelty",
        "evaluation.parts",
        "evaluation.predict",
        "evaluation.predictor",
        "evaluation.stream",
        "metrics.calibration",
        "metrics.thresholds",
        "models",
        "transferability.h_score",
    )
]
CURRENT = "finetuned.json"


def model_of(asked: Predict, folders: Folders, block: str) -> TrainedModel:
    """The model that is asked for, or the fine-tuned one of this run_root.

    Raises:
        UserError: there is none.
    """
    if asked.model is not None:
        if not (asked.model / CARD_FILE).is_file():
            raise UserError(
                f"{block}.model is {asked.model}, which holds no model ({CARD_FILE} is missing): name the folder of a "
                "model, data/06_models/<task>/<key>."
            )
        return TrainedModel(asked.model)
    pointer = folders.models / CURRENT
    if not pointer.is_file():
        raise UserError(
            f"{block}.model is not set and there is no fine-tuned model here ({pointer} does not exist): name the "
            "folder of a model, or run the main job first."
        )
    return TrainedModel(pointer.parent / read_json(pointer)["folder"])


def predictions_of(asked: Predict, folders: Folders, task: str) -> pd.DataFrame:
    """The predictions table of all images that are asked for; parameters are called `<task>.<name>`.

    Raises:
        UserError: there is no model or no image, one of both is not as expected, or results would lie among the images.
    """
    model = model_of(asked, folders, task)
    _results_lie_outside(asked, folders, task)
    new, card = found_images(asked, model, folders, task), model.card
    if isinstance(asked, Validate):
        _check_labels(new, card)
    key = content_key(
        inputs={
            "model": card.model_dump(mode="json"),
            "rows": frame_hash(new.rows),
            "files": new.reader.fingerprint(),
            "asked": asked.model_dump(
                mode="json", include={"novelty", "false_abstain", "part_images", "min_side", "max_pixels"}
            ),
            "read": new.images.model_dump(mode="json", include={"sixteen_bit", "dicom"}),
        },
        parameters=(),
        modules=MODULES,
    )

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.parts import write_in_parts  # noqa: PLC0415 - brings torch
        from medical_transfer.evaluation.predictor import load  # noqa: PLC0415

        predictor = load(model.folder, novelty=asked.novelty, false_abstain=asked.false_abstain)
        write_in_parts(folder, predictor, new, part_images=asked.part_images)

    return pd.read_parquet(once(folders.predictions / task, key, compute) / "predictions.parquet")


def found_images(asked: Predict, model: TrainedModel, folders: Folders, task: str) -> NewImages:
    """Rows of the images, and what reads them as the model wants them."""
    folders.predictions.mkdir(parents=True, exist_ok=True)
    return find_new_images(asked, model.card.wants, packages=folders.packages, scratch=folders.predictions, block=task)


def shown_name(asked: Predict) -> str:
    """What a page calls the images: the name of their folder or file, which may name a patient where they are DICOM."""
    kind, path = kind_of(asked, "images")
    return "DICOM images" if kind == "dicom" else path.name


def _check_labels(new: NewImages, card: ModelCard) -> None:
    """Refuse labels that the model does not know, before anything is predicted."""
    used = new.rows[(new.rows["status"] == "ok") & new.rows["split"].ne("excluded").fillna(value=True)]
    names = sorted(used["label"].dropna().unique())
    unknown = [name for name in names if name not in card.classes]
    if unknown or not names:
        found = f"has the labels {unknown}" if unknown else "has no labels"
        raise UserError(
            f"validate.images {found}, but the model knows {list(card.classes)}: map each found name to one of these "
            "with validate.classes (null leaves a class out), or give class sub-folders or a column 'label'."
        )


def _results_lie_outside(asked: Predict, folders: Folders, task: str) -> None:
    root = asked.images.resolve() if asked.images is not None else None
    if root is not None and root.is_dir() and folders.predictions.resolve().is_relative_to(root):
        raise UserError(
            f"Results would be written to {folders.predictions}, inside {task}.images ({root}), and be taken for "
            "images by the next run: set run_root to another place."
        )
