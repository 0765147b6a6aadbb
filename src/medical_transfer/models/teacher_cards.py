"""Whether a trained model may teach: on the same images, split and classes. No torch: it is asked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medical_transfer.models.card import ModelCard, read_card_of_whole
from medical_transfer.types import UserError


def read_teachers(folders: Sequence[Path]) -> tuple[ModelCard, ...]:
    """The cards of all teachers, each with its tensors as they were saved.

    Raises:
        UserError: where none is named, or a file is missing or was changed.
    """
    if not folders:
        raise UserError(
            "training.kind=distill needs a teacher, but training.distill.teacher is empty: set it to the folder of a "
            "trained model, data/06_models/finetuned/<key>."
        )
    return tuple(read_card_of_whole(folder) for folder in folders)


def check_teachers(
    folders: Sequence[Path], *, classes: Sequence[str], split_hash: str, size: int, fit: str
) -> tuple[ModelCard, ...]:
    """Refuse a teacher that answers another question than the student is asked; its own card otherwise.

    Means and deviations of pixels, and the order of channels, may differ: each network has its own inside.

    Raises:
        UserError: where a teacher has other classes, another size or fit of its images, or learned on another split,
            on whose training images the student is tested perhaps.
    """
    cards = read_teachers(folders)
    for folder, card in zip(folders, cards, strict=True):
        if card.classes != tuple(classes):
            raise UserError(
                f"The teacher {folder} tells {', '.join(card.classes)} apart, the student is to tell "
                f"{', '.join(classes)}: name a teacher of the same classes, or set images.classes to its own."
            )
        check_pictures(folder, card, size=size, fit=fit)
        if card.split_hash != split_hash:
            raise UserError(
                f"The teacher {folder} learned on another split (hash {card.split_hash[:12]}, here "
                f"{split_hash[:12]}), so it may have seen images that are tested here: set run.seed, images and split "
                "as they were for it, or train a teacher on this split."
            )
    return cards


def check_pictures(folder: Path, card: ModelCard, *, size: int, fit: str) -> None:
    """Refuse a teacher of images of another size or fit.

    Raises:
        UserError: says both.
    """
    if (card.size, card.fit) != (size, fit):
        raise UserError(
            f"The teacher {folder} learned on images of {card.size} px, fit '{card.fit}', but these are of {size} px, "
            f"fit '{fit}', and both must see the same picture: set images.size={card.size} and "
            f"images.fit={card.fit}, or train a teacher on these."
        )


def facts_of_teachers(cards: Sequence[ModelCard]) -> dict[str, Any]:
    """What identifies teachers, wherever they lie, for content keys."""
    return {"teachers": [[card.sha256, card.card_sha256] for card in cards]}
