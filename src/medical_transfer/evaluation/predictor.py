"""A finished model ready for new images: calibrated probabilities, decision at the frozen threshold, abstention.

`load(folder).predict(images)` does from Python what `kedro run --pipeline=predict` does with files.

Shapes: n images, C classes, H features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.config.predict import NoveltyName, Predict
from medical_transfer.data.given_images import Given, as_given
from medical_transfer.data.manifest import manifest_rows
from medical_transfer.data.new_images import NewImages, find_new_images
from medical_transfer.evaluation.new_table import Seen, new_table
from medical_transfer.evaluation.novelty import Detector, fit_detector
from medical_transfer.evaluation.stream import parts_of
from medical_transfer.metrics.calibration import apply_temperature
from medical_transfer.models.card import ModelCard
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.inference import Look, looking
from medical_transfer.models.reference import read_reference
from medical_transfer.models.runner import as_images
from medical_transfer.types import UserError


@dataclass(frozen=True, eq=False)
class Predictor:
    """A model, what it expects of images, and when it abstains (`detector` is None: never)."""

    card: ModelCard
    look: Look
    detector: Detector | None

    def see(self, pixels_nSS3: NDArray[np.uint8]) -> Seen:
        """Probabilities and novelty of square pictures (n, S, S, 3), all at once."""
        logits_nC, features_nH = self.look(as_images(pixels_nSS3), self.card.symmetries)
        novelty_n = np.full(len(pixels_nSS3), np.nan) if self.detector is None else self.detector.score(features_nH)
        return Seen(apply_temperature(logits_nC, self.card.temperature), novelty_n, features_nH)

    @property
    def abstains_above(self) -> float:
        """The novelty from which on it abstains; infinite where it never does."""
        return math.inf if self.detector is None else self.detector.threshold

    def tables(self, new: NewImages, *, part_images: int, first: int = 0) -> Iterator[pd.DataFrame]:
        """The predictions table of new images in parts of so many rows, from part `first` on."""
        parts = parts_of(new, self.see, classes=len(self.card.classes), part_images=part_images, first=first)
        for part in parts:
            yield new_table(part.rows, part.reasons_N, part.seen, self.card, self.abstains_above)

    def predict(self, images: Iterable[Given] | Given, **reading: Any) -> pd.DataFrame:
        """Predict images: one row each, none is lost.

        Args:
            images: a folder, table or npz file; or paths, pictures of Pillow or arrays (uint8, H x W or H x W x 3), one
                or several.
            reading: fields of `config.predict.Predict`, such as `sixteen_bit` or `group_pattern`.

        Returns:
            `image_id, path, group_id, site, split, label, predicted, p_<class>..., decision, status, reason, novelty,
            abstained`, with status `quarantined` and a reason where an image cannot be read.

        Raises:
            UserError: there is no image, or the source of the images is not as expected.
        """
        asked = Predict.model_validate(reading)
        return pd.concat(self.tables(self._found(images, asked), part_images=asked.part_images), ignore_index=True)

    def _found(self, images: Iterable[Given] | Given, asked: Predict) -> NewImages:
        if isinstance(images, str | Path) and (Path(images).is_dir() or Path(images).suffix.lower() in _SOURCES):
            asked = asked.model_copy(update={"images": Path(images).expanduser()})
            return find_new_images(asked, self.card.wants, packages=Path(), scratch=None, block="predict")
        rule = self.card.sixteen_bit if asked.sixteen_bit is None else asked.sixteen_bit
        bounds = asked.model_dump(include={"min_side", "max_pixels"})
        how = Images(kind="none", size=self.card.size, fit=self.card.fit, sixteen_bit=rule, **bounds)
        reader = as_given(images, asked.max_pixels)
        return NewImages(manifest_rows(reader.find(), how, need_labels=False), reader, how)


_SOURCES = {".csv", ".parquet", ".pq", ".npz"}


def load(folder: str | Path, *, novelty: NoveltyName | None = None, false_abstain: float = 0.05) -> Predictor:
    """Load a finished model.

    Args:
        folder: the model's folder.
        novelty: the score by which it abstains; `none`: it never does; null: the default where the model has what it
            takes, else `none`.
        false_abstain: share of images like the validation images on which it may abstain.

    Raises:
        UserError: a file of the model is missing, damaged or was edited, or abstention is asked for and the model was
            saved without the features of its training images.
    """
    place = Path(folder).expanduser()
    classifier, card = load_checkpoint(place)
    reference = read_reference(place, card)
    name = novelty if novelty is not None else (DEFAULT_NOVELTY if reference else "none")
    if name == "none":
        return Predictor(card, looking(classifier, card.size), None)
    if reference is None:
        raise UserError(
            f"The model in {place} was saved without the features of its training images, so nothing says how novel "
            "an image is: train it again with this version, or set predict.novelty=none."
        )
    return Predictor(card, looking(classifier, card.size), fit_detector(reference, name, false_abstain))


DEFAULT_NOVELTY: NoveltyName = Predict().novelty
