"""A trunk of torch layers: a pretrained network without its head, divided into the stages of its plan."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn

from medical_transfer.models.derived import derived
from medical_transfer.models.derived_plan import plan_of
from medical_transfer.models.stage_plan import StagePlan, run_part
from medical_transfer.models.trunk import AnyTrunk


class Trunk(AnyTrunk):
    """A headless network with its stages; tensors keep the names that the network's own library gives them.

    The first `frozen_stages` stages stay in eval mode whatever `train()` says, so that neither their batch norm
    statistics nor their dropout move; `medical_transfer.models.freezing` sets it. With `frozen_statistics` the batch
    norms of all stages keep their running statistics and normalise by them, while their weights may learn.
    """

    def __init__(self, architecture: str, network: nn.Module) -> None:
        super().__init__(architecture)
        self.plan: StagePlan = plan_of(architecture)
        self.network = network
        if derived(architecture) is not None:
            self._drop_later_stages()

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

    def is_compact(self, cut: int) -> bool:
        """Whether half precision before stage `cut` is no larger than the picture: 2 bytes against 1 a number."""
        if cut == len(self.plan.stages):
            return True
        return self.cuttable and 2 * self.plan.stages[cut].entry <= 1

    def stage_parameters(self, index: int) -> dict[str, nn.Parameter]:
        """Parameters of one stage by name."""
        return {name: self.network.get_parameter(name) for name in self.plan.stages[index].parameters}

    def stage_size(self, index: int) -> int:
        """Number of parameters of one stage."""
        return sum(parameter.numel() for parameter in self.stage_parameters(index).values())

    def run_stages(self, activation: Tensor, first: int, last: int) -> Tensor:
        """The parts of the stages one after the other, or the whole network where it cannot be cut."""
        if not self.cuttable and first < last:
            features: Tensor = self.network(activation)
            return features
        for stage in self.plan.stages[first:last]:
            for part in stage.parts:
                activation = run_part(self.network, part, activation)
        return activation

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

    def _drop_later_stages(self, within: str = "") -> None:
        """Take out what belongs to no stage of the plan, in place."""
        kept = tuple(f"{part}." for stage in self.plan.stages for part in stage.parts)
        for name, _ in self.network.get_submodule(within).named_children():
            path = f"{within}.{name}".removeprefix(".")
            if f"{path}.".startswith(kept):
                continue
            if any(part.startswith(f"{path}.") for part in kept):
                self._drop_later_stages(path)
            else:
                self.network.set_submodule(path, nn.Identity())

    def _modules_of(self, parts: tuple[str, ...]) -> list[nn.Module]:
        return [self.network.get_submodule(part) for part in parts if not part.endswith("()")]
