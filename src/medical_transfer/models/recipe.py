"""What shapes a model beside the images. No torch: a finished model is found by it, and nothing of training loaded."""

from __future__ import annotations

from dataclasses import dataclass

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.backbones import Backbones
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images
from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.models.source import Source


@dataclass(frozen=True)
class Recipe:
    """All that shapes a model beside the images."""

    source: Source
    images: Images
    model: Model
    training: Training
    augmentation: Augmentation
    evaluation: Evaluation
    backbones: Backbones
    folders: Folders
    seed: int
