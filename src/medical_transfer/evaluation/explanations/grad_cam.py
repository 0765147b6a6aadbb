"""Grad-CAM: which places of a network's last map speak for a class.

Source: Selvaraju et al. (2017), equations 1 and 2: alpha_k is the mean over places of the gradient of the class score
by map k, and the result ReLU(sum_k alpha_k A_k). captum computes it.
Shapes: images (N, 3, S, S), maps (N, g, g).
"""

from __future__ import annotations

import numpy as np
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn

from medical_transfer.models.classifier import Classifier
from medical_transfer.models.stage_plan import run_part
from medical_transfer.models.stages import Trunk
from medical_transfer.types import DoesNotApplyError


def grad_cam(network: nn.Module, layer: nn.Module, images: Tensor, targets_N: Tensor) -> NDArray[np.float64]:
    """Maps (N, g, g) >= 0 of the scores of `targets_N`.

    Args:
        network: from images to scores (N, C).
        layer: module of it that gives the maps A_k, (N, K, g, g).
        images: any shape that the network takes.
        targets_N: the class of each image.
    """
    found = LayerGradCam(network, layer).attribute(images, target=targets_N, relu_attributions=True)
    maps_Ngg: NDArray[np.float64] = found[:, 0].detach().double().cpu().numpy()
    return maps_Ngg


class Opened(nn.Module):
    """A classifier that shows the last map of its trunk as it passes by: `map` gives it, channels first.

    Raises:
        DoesNotApplyError: the trunk is not made of layers in a row, or none of them gives a map.
    """

    def __init__(self, classifier: Classifier, size: int) -> None:
        super().__init__()
        self.classifier, self.map = classifier, nn.Identity()
        trunk = classifier.trunk
        if not isinstance(trunk, Trunk):
            raise DoesNotApplyError(f"the model's trunk {trunk.nature}, so no gradient passes through it")
        if not trunk.cuttable:
            raise DoesNotApplyError(f"{trunk.architecture} runs only as a whole and shows no map on its way")
        self.network, parts = trunk.network, [part for stage in trunk.plan.stages for part in stage.parts]
        shapes = self._shapes(parts, size)
        self.channels_last = any(len(shape) == 3 and shape[0] == shape[1] != shape[2] for shape in shapes)
        self.before, self.after = self._divided(parts, shapes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C), those of the classifier."""
        activation = self._run(self.before, self.classifier.normalise(images))
        shown = self.map(activation.movedim(-1, 1) if self.channels_last else activation)
        going_on = shown.clone()  # later layers may overwrite what they get
        features_ND = self._run(self.after, going_on.movedim(1, -1) if self.channels_last else going_on)
        logits: Tensor = self.classifier.head(self.classifier.standardise(features_ND))
        return logits

    def _run(self, parts: list[str], activation: Tensor) -> Tensor:
        for part in parts:
            activation = run_part(self.network, part, activation)
        return activation

    @torch.no_grad()
    def _shapes(self, parts: list[str], size: int) -> list[torch.Size]:
        """Shape of one image's activation after each part."""
        activation, shapes = torch.zeros(1, 3, size, size, device=self.classifier.normalise.mean.device), []
        for part in parts:
            activation = run_part(self.network, part, activation)
            shapes.append(activation.shape[1:])
        return shapes

    def _divided(self, parts: list[str], shapes: list[torch.Size]) -> tuple[list[str], list[str]]:
        """The parts up to the last that gives a map of more than one place, and the others."""
        last = -2 if self.channels_last else -1  # rows stand before columns
        giving = [place for place, shape in enumerate(shapes, start=1) if len(shape) == 3 and shape[last] > 1]
        if not giving:
            raise DoesNotApplyError("no layer of the model's trunk gives a map")
        return parts[: giving[-1]], parts[giving[-1] :]
