"""A small problem that is learned in a second: dark left halves among noise, and a ResNet-20 on 16 x 16 pixels."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from medical_transfer.config.model import Model
from medical_transfer.config.training import Finetune, Training
from medical_transfer.data.loaders import Batch, Rows
from medical_transfer.methods import METHODS
from medical_transfer.methods.adaptation import Adaptation
from medical_transfer.methods.contract import Phase
from medical_transfer.methods.distill import Distill
from medical_transfer.methods.finetune import FineTune
from medical_transfer.models.architectures import behead, build_architecture
from medical_transfer.models.classifier import Classifier, build_classifier
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.stages import Trunk
from medical_transfer.models.teacher import Teacher
from medical_transfer.training.data import PhaseData

SIZE = 16
ARCHITECTURE = "house/resnet20_cifar"


def pixels(n: int, seed: int = 0, classes: int = 2) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, S, S, 3) uint8 and their classes 0, 1, ... in turn: the higher the class, the darker the left half."""
    rng = np.random.default_rng(seed)
    images = rng.integers(40, 215, (n, SIZE, SIZE, 3), dtype=np.uint8)
    labels_N = np.arange(n, dtype=np.int64) % classes
    darker = 1 - 0.35 * labels_N / (classes - 1)
    left = images[:, :, : SIZE // 2]
    images[:, :, : SIZE // 2] = (left * darker[:, None, None, None]).astype(np.uint8)
    return images, labels_N


def other_pixels(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """Images of the same problem from another site: a negative of low contrast."""
    return 60 + (255 - pixels(n, seed)[0]) // 2


def classifier(
    *,
    seed: int = 0,
    head: str = "linear",
    dropout: float = 0.2,
    classes: int = 2,
    architecture: str = ARCHITECTURE,
) -> Classifier:
    trunk = as_if_pretrained(Trunk(architecture, behead(build_architecture(architecture, seed=seed))))
    network = build_classifier(
        trunk, Preprocessing(size=SIZE), head=head, dropout=dropout, classes=classes, seed=seed + 100
    )
    network.standardise.fit(activations(network, pixels(32, seed=9)[0], len(trunk.stage_names)))
    return network


@torch.no_grad()
def as_if_pretrained(trunk: Trunk) -> Trunk:
    """Every branch counts (timm starts the last norm of each block at 0), and norms know their activations."""
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.fill_(1)
            module.momentum = None  # the plain mean over all batches
    images = PhaseData.as_float(torch.from_numpy(pixels(16, seed=9)[0]))
    trunk.train()((images - 0.45) / 0.225)
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    return trunk


def finetune(
    network: Classifier, *, freeze: str = "partial", stages: int = 1, weights: torch.Tensor | None = None, **fields
) -> FineTune:
    """`fields` are those of `Training` or of `Finetune`, whichever has them."""
    return FineTune(
        network,
        model=Model(freeze=freeze, trainable_stages=stages),
        training=config(**fields),
        class_weights_C=weights,
    )


def adapting(
    kind: str,
    network: Classifier,
    *,
    freeze: str = "partial",
    stages: int = 1,
    seed: int = 0,
    batch_norm: str = "together",
    align: str = "hidden",
    own: dict | None = None,
    **fields,
) -> Adaptation:
    """A method of adaptation; `own` are fields of its block, the others as for `finetune`."""
    shared = {"batch_norm": batch_norm, "align": align, "selection": fields.pop("selection", "im")}
    training = config(kind=kind, adaptation=shared, **{kind: own or {}}, **fields)
    return METHODS[kind](network, model=Model(freeze=freeze, trainable_stages=stages), training=training, seed=seed)


def distilling(
    network: Classifier,
    *,
    freeze: str = "partial",
    stages: int = 1,
    seed: int = 0,
    own: dict | None = None,
    teacher: Teacher | None = None,
    weights: torch.Tensor | None = None,
    **fields,
) -> Distill:
    """A student of a teacher that looks at each view itself; `own` are fields of `Distill`, others of `finetune`."""
    training = config(**{"kind": "distill", "distill": own or {}, "cached": False} | fields)
    return Distill(
        network,
        model=Model(freeze=freeze, trainable_stages=stages),
        training=training,
        class_weights_C=weights,
        seed=seed,
        teacher=teacher or knowing_teacher(network.classes),
    )


@functools.cache
def knowing_teacher(classes: int = 2) -> Teacher:
    """One that learned the problem: the untrained trunk with a head that was fitted to many of its images."""
    network = classifier(seed=50, dropout=0, classes=classes)
    images, labels_N = pixels(200, seed=60, classes=classes)
    features = network.standardise(activations(network, images, len(network.trunk.stage_names)))
    fitted = LogisticRegression(max_iter=500).fit(features.numpy(), labels_N)
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if classes == 2:  # scikit-learn has one row for two classes
        coefficients, intercepts = np.vstack([-coefficients, coefficients]) / 2, np.r_[-intercepts, intercepts] / 2
    last = next(module for module in network.head.modules() if isinstance(module, torch.nn.Linear))
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(coefficients))
        last.bias.copy_(torch.from_numpy(intercepts))
    return Teacher([network])


def config(**fields) -> Training:
    own = {"head_l2": 0.0} | {name: value for name, value in fields.items() if name in Finetune.model_fields}
    rest = {name: value for name, value in fields.items() if name not in own}
    return Training(**({"epochs": 3, "batch_size": 8, "patience": 3, "number_format": "fp32"} | rest), finetune=own)


def batch(phase: Phase, network: Classifier, n: int = 8, seed: int = 0) -> Batch:
    """What the trainer would hand to the method in this phase."""
    images, labels_N = pixels(n, seed)
    plain = Batch(activations(network, images, phase.cut), torch.from_numpy(labels_N), torch.arange(n))
    if phase.pairs:
        target = activations(network, other_pixels(n, seed + 50), phase.cut)
        plain = replace(plain, target=target, target_again=target * 1 if phase.twice else None)
    return plain.with_inputs(PhaseData.as_float) if phase.cut == 0 else plain


@torch.no_grad()
def activations(network: Classifier, images: NDArray[np.uint8], cut: int) -> torch.Tensor:
    """Activations before stage `cut`; cut 0: the pixels themselves."""
    if cut == 0:
        return torch.from_numpy(images)
    modes = [(module, module.training) for module in network.modules()]
    pictures = network.eval().normalise(PhaseData.as_float(torch.from_numpy(images)))
    found = network.trunk.run(pictures, 0, cut)
    for module, mode in modes:
        module.training = mode
    return found


@dataclass(frozen=True)
class Problem:
    """Rows for any phase of a method on `network`, as `fit` asks for them."""

    network: Classifier
    n_train: int = 24
    n_val: int = 16
    batch_size: int = 8
    policy: str = "none"
    n_target: int = 0
    target_label: int = -1

    def __call__(self, phase: Phase) -> PhaseData:
        learn, judge = (self._rows(n, seed, phase.cut) for n, seed in ((self.n_train, 1), (self.n_val, 2)))
        plain = PhaseData(learn, judge, self.batch_size, self.policy)
        if not self.n_target:
            return plain
        beside, judged = (self._target_rows(n, seed, phase) for n, seed in ((self.n_target, 51), (self.n_val, 52)))
        return replace(plain, target=beside if phase.pairs else None, target_val=judged, twice=phase.twice)

    def _rows(self, n: int, seed: int, cut: int) -> Rows:
        images, labels_N = pixels(n, seed)
        return Rows((activations(self.network, images, cut).numpy(),), (np.arange(n),), labels_N)

    def _target_rows(self, n: int, seed: int, phase: Phase) -> Rows:
        """Two views where activations are cached: as it is, and flipped."""
        images, labels_N = other_pixels(n, seed), np.full(n, self.target_label)
        views = (images, images[:, ::-1]) if phase.cut else (images,)
        arrays = tuple(activations(self.network, np.ascontiguousarray(view), phase.cut).numpy() for view in views)
        return Rows(arrays, (np.arange(n),) * len(arrays), labels_N)
