"""Networks for digits of 32 x 32 pixels, as the literature of adaptation has them; they are trained from random.

The convolutions have no padding, so 32 pixels become 28, 14, 10 and 5 (`dann_maps` leaves the margin out: 28, 24, 12, 8
and 4). Where a network has batch norm it stands before the pooling (`dann_maps_norm`: after it), and ReLU after it:
pooling by the maximum and ReLU can be exchanged, and so ReLU has a quarter of the work.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import nn

SIDE = 32
"""Side of the images in pixels."""
MAP = 5 * 5
"""Places of the map after both convolutions."""
SMALL_MAP = 4 * 4
"""The same of pictures without their margin."""
MARGIN = 2
"""Pixels around a digit that make 32 of 28."""


def dann_chapter(classes: int, *, batch_norm: bool = False) -> nn.Sequential:
    """The chapter's DANN (section 3.2): convolutions of 64 and 128, 1,024 features, dropout.

    Departure: its class head has a hidden layer of 256 of its own; here it is what `model.head` says.
    """
    return _convolutional((64, 128), (1024,), classes, batch_norm=batch_norm, dropout=0.5)


def dann_paper(classes: int, *, batch_norm: bool = False) -> nn.Sequential:
    """The paper's net for MNIST -> MNIST-M (Ganin et al. 2016, figure 4a): convolutions of 32 and 48, twice 100 units.

    Departures: 32 pixels where the paper has 28, and what adapts are the last 100 units, not the maps before the first.
    `dann_maps` has neither.
    """
    return _convolutional((32, 48), (100, 100), classes, batch_norm=batch_norm)


def dann_maps(classes: int) -> nn.Sequential:
    """The convolutions of the paper's net on its 28 pixels: 768 features, the maps that its discriminator sees.

    With `model.head=dann_paper` and `training.adaptation.align=trunk` it is the paper's net, discriminator and all.
    """
    return _maps((32, 48), classes)


def dann_maps_norm(classes: int) -> nn.Sequential:
    """The same on standardised pictures, with batch norm.

    Each picture has mean 0 and deviation 1, so that brightness and contrast say nothing (Shu et al. 2018, "A DIRT-T
    Approach", for digits, there by channel). Batch norm after pooling has a quarter of the work.
    """
    return _maps((32, 48), classes, standardised=True)


def mmdnet(classes: int) -> nn.Sequential:
    """The chapter's MMDNet (section 3.3): 512 and 256 units with dropout.

    Departure: its input is 3 x 32 x 32 numbers, where the chapter's is 784 grey ones.
    """
    layers = {"flatten": nn.Flatten(), **_dense(3 * SIDE**2, (512, 256), batch_norm=False, dropout=0.5)}
    return nn.Sequential(OrderedDict({**layers, "classifier": nn.Linear(256, classes)}))


def _maps(channels: tuple[int, int], classes: int, *, standardised: bool = False) -> nn.Sequential:
    layers: dict[str, nn.Module] = {"crop": nn.ZeroPad2d(-MARGIN)}
    layers |= {"standard": nn.GroupNorm(1, 3, affine=False)} if standardised else {}
    inputs = 3
    for place, outputs in enumerate(channels, start=1):
        layers |= {f"conv{place}": nn.Conv2d(inputs, outputs, 5), f"pool{place}": nn.MaxPool2d(2)}
        layers |= {f"norm{place}": nn.BatchNorm2d(outputs)} if standardised else {}
        layers[f"relu{place}"] = nn.ReLU()
        inputs = outputs
    return nn.Sequential(
        OrderedDict({**layers, "flatten": nn.Flatten(), "classifier": nn.Linear(inputs * SMALL_MAP, classes)})
    )


def _convolutional(
    channels: tuple[int, int], units: Sequence[int], classes: int, *, batch_norm: bool, dropout: float = 0.0
) -> nn.Sequential:
    layers: dict[str, nn.Module] = {}
    inputs = 3
    for place, outputs in enumerate(channels, start=1):
        layers[f"conv{place}"] = nn.Conv2d(inputs, outputs, 5)
        layers |= {f"norm{place}": nn.BatchNorm2d(outputs)} if batch_norm else {}
        layers |= {f"pool{place}": nn.MaxPool2d(2), f"relu{place}": nn.ReLU()}
        inputs = outputs
    layers |= {"flatten": nn.Flatten(), **_dense(inputs * MAP, units, batch_norm=batch_norm, dropout=dropout)}
    return nn.Sequential(OrderedDict({**layers, "classifier": nn.Linear(units[-1], classes)}))


def _dense(inputs: int, units: Sequence[int], *, batch_norm: bool, dropout: float) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    for place, outputs in enumerate(units, start=1):
        layers[f"dense{place}"] = nn.Linear(inputs, outputs)
        layers |= {f"dense_norm{place}": nn.BatchNorm1d(outputs)} if batch_norm else {}
        layers[f"dense_relu{place}"] = nn.ReLU()
        layers |= {f"dropout{place}": nn.Dropout(dropout)} if dropout else {}
        inputs = outputs
    return layers


DIGIT_NETS: dict[str, Callable[[int], nn.Module]] = {
    "dann_chapter": dann_chapter,
    "dann_chapter_bn": lambda classes: dann_chapter(classes, batch_norm=True),
    "dann_maps": dann_maps,
    "dann_maps_norm": dann_maps_norm,
    "dann_paper": dann_paper,
    "dann_paper_bn": lambda classes: dann_paper(classes, batch_norm=True),
    "mmdnet": mmdnet,
}
"""Name behind `house/` -> builder."""
