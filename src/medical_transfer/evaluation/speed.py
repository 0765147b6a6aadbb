"""How quickly each engine predicts on this machine, measured in turn so that what else it does hits all alike.

A prediction is the whole of it: from pixels to the calibrated mean over mirror images.
Shapes: N images, S pixels of a side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from medical_transfer.models.card import TrainedModel
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.classifier_graph import Shipped
from medical_transfer.models.shipped_graph import open_shipped
from medical_transfer.runtime.cores import cores

BATCHES = (1, 32)
Predict = Callable[[NDArray[np.uint8]], object]


class Latency(TypedDict):
    """Seconds of one call on a batch: median and quartiles, and images per second at the median."""

    batch: int
    median_s: float
    low_s: float
    high_s: float
    images_per_s: float


def torch_engines(model: TrainedModel) -> dict[str, Predict]:
    """A model in torch on the CPU, as it lies in memory by default and channels-last: which is faster varies."""
    plain, last = (_loaded(model) for _ in range(2))
    last.classifier.to(memory_format=torch.channels_last)
    return {"contiguous": _in_torch(plain), "channels_last": _in_torch(last)}


def graph_engine(path: Path) -> Predict:
    """An exported graph, with images dealt out to the cores."""
    return open_shipped(path).probabilities


def time_in_turn(
    engines: Mapping[str, Predict], pixels_NSS3: NDArray[np.uint8], *, rounds: int
) -> dict[str, list[Latency]]:
    """Time every engine on batches of `BATCHES` images, each once per round; one call before them warms it up."""
    found: dict[str, list[Latency]] = {name: [] for name in engines}
    with _all_cores():
        for batch in BATCHES:
            images = np.ascontiguousarray(np.resize(pixels_NSS3, (batch, *pixels_NSS3.shape[1:])))
            seconds: dict[str, list[float]] = {name: [] for name in engines}
            for number in range(rounds + 1):
                for name, predict in engines.items():
                    started = time.perf_counter()
                    predict(images)
                    if number:
                        seconds[name].append(time.perf_counter() - started)
            for name in engines:
                found[name].append(_latency(batch, seconds[name]))
    return found


def _latency(batch: int, seconds: list[float]) -> Latency:
    low, median, high = (float(each) for each in np.quantile(seconds, [0.25, 0.5, 0.75]))
    return Latency(batch=batch, median_s=median, low_s=low, high_s=high, images_per_s=batch / median)


def _loaded(model: TrainedModel) -> Shipped:
    classifier, card = load_checkpoint(model.folder)
    return Shipped(classifier, temperature=card.temperature, symmetries=card.symmetries).eval()


def _in_torch(shipped: Shipped) -> Predict:
    @torch.inference_mode()
    def predict(pixels_NSS3: NDArray[np.uint8]) -> object:
        return shipped(torch.from_numpy(pixels_NSS3))

    return predict


@contextmanager
def _all_cores() -> Iterator[None]:
    """Let torch use as many threads as the graphs have."""
    before = torch.get_num_threads()
    torch.set_num_threads(cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)
