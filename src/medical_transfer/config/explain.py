"""Where a finished model looks (`kedro run --pipeline=explain`), and how such maps are put to the test."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block, UserPath

MethodName = Literal["grad_cam", "occlusion"]


class Hiding(Block):
    """The patch that occlusion pushes over an image."""

    patch: int | None = Field(default=None, ge=1)
    """Side of the patch in pixels; null: a fifth of the image's side."""
    stride: int | None = Field(default=None, ge=1)
    """Pixels from one place of the patch to the next, and side of a cell of the map; null: half the patch."""

    def sides(self, size: int) -> tuple[int, int]:
        """Patch and stride in pixels, for images of `size` pixels."""
        patch = self.patch if self.patch is not None else max(1, size // 5)
        return patch, self.stride if self.stride is not None else max(1, patch // 2)

    @model_validator(mode="after")
    def _nothing_stays_unseen(self) -> Self:
        if self.patch is not None and self.stride is not None and self.stride > self.patch:
            raise ValueError(f"stride={self.stride} is above patch={self.patch}: pixels between would never be hidden")
        return self


class Explain(Block):
    """Maps of test images by Grad-CAM and occlusion, and the tests of these maps."""

    model: UserPath | None = None
    """Folder of the model, `data/06_models/<task>/<key>`; null: the fine-tuned model of this run_root. Another one must
    have been trained on the same split of the same images."""
    methods: list[MethodName] = Field(default=["grad_cam", "occlusion"], min_length=1)
    """Which maps are made; Grad-CAM needs a network of layers with maps before its last one."""
    examples: int = Field(default=3, ge=1)
    """So many test images are shown of each class, right and wrong: the most confident ones, of different patients."""
    measured: int = Field(default=20, ge=2)
    """Test images of different patients, drawn by the seed, on which the maps are tested: what is shown is not drawn by
    chance and would say nothing of other images."""
    sanity_images: int = Field(default=8, ge=2)
    """So many of these are compared with networks of random weights, which cost most."""
    repeats: int = Field(default=3, ge=1)
    """Random networks of each kind."""
    steps: int = Field(default=16, ge=2)
    """Steps in which pixels are deleted or inserted."""
    random_orders: int = Field(default=3, ge=1)
    """Random orders beside that of a map."""
    occlusion: Hiding = Hiding()
    """The patch that hides, and its steps."""
