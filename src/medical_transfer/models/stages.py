"""A trunk: a pretrained network without its head, as ordered stages that can be frozen, cut and cached at a cut.

Shapes: images (N, 3, S, S), features (N, D). A cut is the index of a stage: 0 is before the first one, `len(stages)`
after the last one, where the activation is the feature vector.
"""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn

from medical_transfer.models.stage_plan import StagePlan, plan_stages, run_part
from medical_transfer.types import UserError


class Trunk(nn.Module):
    """A headless network with its stages; tensors keep the names that the network's own library gives them.

    The first `frozen_stages` stages stay in eval mode whatever `train()` says, so that neither their batch norm
    statistics nor their dropout move; `medical_transfer.models.freezing` sets it. With `frozen_statistics` the batch
    norms of all stages keep their running statistics and normalise by them, while their weights may learn.
    """

    def __init__(self, architecture: str, network: nn.Module) -> None:
        super().__init__()
        self.architecture = architecture
        self.plan: StagePlan = plan_stages(architecture)
        self.network = network
        self.frozen_stages = 0
        self.frozen_statistics = False

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages from the image to the features."""
        return tuple(stage.name for stage in self.plan.stages)

    @property
    def feature_dim(self) -> int:
        """D, the length of a feature vector."""
        return self.plan.feature_dim

    @property
    def cuttable(self) -> bool:
        """Whether the stages can be run one after the other."""
        return self.plan.cuttable

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D) of normalised images (N, 3, S, S)."""
        return self.run(x, 0, len(self.plan.stages))

    def forward_until(self, x: Tensor, cut: int) -> Tensor:
        """Activation before stage `cut`: what a cache keeps of a frozen part.

        Raises:
            UserError: where the network has no such cut.
        """
        return self.run(x, 0, cut)

    def forward_from(self, activation: Tensor, cut: int) -> Tensor:
        """Features (N, D) from the activation before stage `cut`.

        Raises:
            UserError: where the network has no such cut.
        """
        return self.run(activation, cut, len(self.plan.stages))

    def run(self, activation: Tensor, first: int, last: int) -> Tensor:
        """From the activation before stage `first` to the one before stage `last`.

        Raises:
            UserError: where the network has no such cut.
        """
        self._check(first)
        self._check(last)
        if not self.cuttable and first < last:
            features: Tensor = self.network(activation)
            return features
        for stage in self.plan.stages[first:last]:
            for part in stage.parts:
                activation = run_part(self.network, part, activation)
        return activation

    def stage_parameters(self, index: int) -> dict[str, nn.Parameter]:
        """Parameters of one stage by name."""
        return {name: self.network.get_parameter(name) for name in self.plan.stages[index].parameters}

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's signature
        """Set the mode of the stages that are not frozen; frozen ones go to eval mode."""
        super().train(mode)
        if self.frozen_stages == len(self.plan.stages):
            self.network.eval()
        for stage in self.plan.stages[: self.frozen_stages]:
            for module in self._modules_of(stage.parts):
                module.eval()
        if self.frozen_statistics:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def _modules_of(self, parts: tuple[str, ...]) -> list[nn.Module]:
        return [self.network.get_submodule(part) for part in parts if not part.endswith("()")]

    def _check(self, cut: int) -> None:
        last = len(self.plan.stages)
        if not 0 <= cut <= last:
            raise UserError(f"Cut {cut} does not exist: {self.architecture} has {last} stages, so cuts 0 to {last}.")
        if not self.cuttable and 0 < cut < last:
            raise UserError(
                f"{self.architecture} runs only as a whole and cannot be cut before stage {cut}: "
                f"freeze nothing of it or all of it where activations are cached, or choose another source."
            )
