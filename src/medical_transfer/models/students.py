"""The chapter's two networks for distillation (4.2): a large one to teach and a small one to learn.

They train from random weights. Departure from the chapter: its first linear layer fits pictures of 32 pixels alone;
here maps of others are averaged to the same 8 x 8, which changes nothing at 32. Tensors have the chapter's names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor, nn

GRID = 8
"""Side of the map that is flattened."""


class ChapterNetwork(nn.Module):
    """A chain of layers from images (N, 3, S, S) to logits (N, C)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        logits: Tensor = self.features(images)
        return logits


def chapter_teacher(classes: int) -> nn.Module:
    """The chapter's `TeacherModel`: four convolutions, 9,430,666 parameters for ten classes."""
    return ChapterNetwork(
        *_convolution(3, 128),
        *_convolution(128, 128),
        nn.MaxPool2d(2),
        *_convolution(128, 256),
        *_convolution(256, 256),
        nn.MaxPool2d(2),
        *_flattened(),
        nn.Linear(256 * GRID**2, 512),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(512, classes),
    )


def chapter_student(classes: int) -> nn.Module:
    """The chapter's `StudentModel`: two convolutions, 545,098 parameters for ten classes, 17.3 times fewer."""
    return ChapterNetwork(
        *_convolution(3, 32),
        nn.MaxPool2d(2),
        *_convolution(32, 64),
        nn.MaxPool2d(2),
        *_flattened(),
        nn.Linear(64 * GRID**2, 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


def _convolution(channels: int, filters: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()


def _flattened() -> tuple[nn.Module, nn.Module]:
    return nn.AdaptiveAvgPool2d(GRID), nn.Flatten()


CHAPTER: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {"chapter_teacher": chapter_teacher, "chapter_student": chapter_student}
)
"""By their names in `house/`."""
