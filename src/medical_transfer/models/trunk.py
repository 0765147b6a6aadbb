"""What the house needs of any trunk: a network without its head, as ordered stages to freeze, to cut and to cache at.

Three kinds meet it: `medical_transfer.models.stages.Trunk`, layers of torch;
`medical_transfer.models.graph_trunk.GraphTrunk`, an ONNX graph that runs as it is and learns nothing; and
`medical_transfer.models.fused_trunk.FusedTrunk`, several of these side by side, which learns nothing either.
Shapes: images (N, 3, S, S), features (N, D). A cut is the index of a stage: 0 is before the first one, `len(stages)`
after the last one, where the activation is the feature vector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from medical_transfer.types import UserError


class AnyTrunk(nn.Module, ABC):
    """A headless network as ordered stages, of which the first `frozen_stages` do not learn.

    With `frozen_statistics` the batch norms of all stages keep their running statistics.
    """

    learns: ClassVar[bool] = True
    """Whether it has parameters that training can move."""
    nature: ClassVar[str] = "is a network"
    """What a source with such a trunk is, to say why it does not learn."""
    exportable: ClassVar[bool] = True
    """Whether torch can export it; else `medical_transfer.models.runner` runs it as it is."""
    graph_output: str | None = None
    """Of an ONNX graph: the output that holds the features, for the model card."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.architecture = architecture
        self.frozen_stages = 0
        self.frozen_statistics = False

    @property
    @abstractmethod
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages from the image to the features."""

    @property
    @abstractmethod
    def feature_dim(self) -> int:
        """D, the length of a feature vector."""

    @property
    def feature_widths(self) -> tuple[int, ...]:
        """D of each network whose features stand side by side in a feature vector: one, unless a trunk has several."""
        return (self.feature_dim,)

    @property
    @abstractmethod
    def cuttable(self) -> bool:
        """Whether the stages can be run one after the other."""

    def is_compact(self, cut: int) -> bool:
        """Whether the activation before stage `cut`, in half precision, is no larger than its picture in bytes.

        Features are; a trunk whose other activations may be says so itself.
        """
        return cut == len(self.stage_names)

    @abstractmethod
    def stage_parameters(self, index: int) -> dict[str, nn.Parameter]:
        """Parameters of one stage by name."""

    @abstractmethod
    def stage_size(self, index: int) -> int:
        """Number of weights of one stage, those that can never learn included."""

    @abstractmethod
    def run_stages(self, activation: Tensor, first: int, last: int) -> Tensor:
        """What `run` gives; both cuts exist."""

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D) of normalised images (N, 3, S, S)."""
        return self.run(x, 0, len(self.stage_names))

    def forward_from(self, activation: Tensor, cut: int) -> Tensor:
        """Features (N, D) from the activation before stage `cut`.

        Raises:
            UserError: where the network has no such cut.
        """
        return self.run(activation, cut, len(self.stage_names))

    def run(self, activation: Tensor, first: int, last: int) -> Tensor:
        """From the activation before stage `first` to the one before stage `last`.

        Raises:
            UserError: where the network has no such cut.
        """
        self._check(first)
        self._check(last)
        return self.run_stages(activation, first, last)

    def _check(self, cut: int) -> None:
        last = len(self.stage_names)
        if not 0 <= cut <= last:
            raise UserError(f"Cut {cut} does not exist: {self.architecture} has {last} stages, so cuts 0 to {last}.")
        if not self.cuttable and 0 < cut < last:
            raise UserError(
                f"{self.architecture} runs only as a whole and cannot be cut before stage {cut}: "
                f"freeze nothing of it or all of it where activations are cached, or choose another source."
            )


class WholeTrunk(AnyTrunk):
    """One stage that learns nothing: images go in and features come out, with no place to cut between them."""

    learns: ClassVar[bool] = False
    exportable: ClassVar[bool] = False

    @property
    def cuttable(self) -> bool:
        """One stage has no place to cut it."""
        return True

    def stage_parameters(self, index: int) -> dict[str, nn.Parameter]:  # noqa: ARG002 - there is one stage
        """None that could learn."""
        return {}

    def run_stages(self, activation: Tensor, first: int, last: int) -> Tensor:
        """What `see` gives; an empty stretch gives back what it got."""
        return activation if first == last else self.see(activation)

    @abstractmethod
    def see(self, images: Tensor) -> Tensor:
        """Features (N, D) of images (N, 3, S, S)."""
