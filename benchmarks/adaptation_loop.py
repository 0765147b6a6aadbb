"""The chapter's `train_dann` (3.2) beside our DANN on its own network: images per second, in turn, epoch by epoch.

    python benchmarks/adaptation_loop.py                       # 64 steps a round, on two cores 2 to 4 minutes
    python benchmarks/adaptation_loop.py --steps 300 --rounds 5

Theirs: two plain `DataLoader`s (shuffled, no workers) over pictures in memory that torchvision makes tensors of singly,
the network once for each domain, fp32 in NCHW, one Adam. Ours: batches cut from one array, both domains through the
network together, the number format that this machine does fastest (timed anew here), and the one `fit` with validation,
label-free scores, history and checkpoints. Both have batches of 32 and 32 pictures of 32 x 32 pixels; noise does as
well as digits, for speed asks for none. Their class head has a hidden layer of 256 that ours has not (.26 of 3.5
million parameters). The first epoch of ours and the first step of theirs warm up and do not count.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from chapter_loop import Epoch, Turns, WatchedRows
from our_fit import ENDLESS, PACKAGES, Enough, synchronize
from report import Ratio, add_out, publish
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_tensor

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.model import Model
from medical_transfer.config.training import Finetune, Training
from medical_transfer.data.loaders import Rows
from medical_transfer.methods.dann import Dann
from medical_transfer.models.backbones import find_source
from medical_transfer.models.building import build
from medical_transfer.runtime.devices import device
from medical_transfer.training.fit import fit

SIDE, CLASSES, BATCH = 32, 10, 32
NETWORK = "random/dann_chapter"


class _Reversal(torch.autograd.Function):
    """The chapter's `GradientReversalLayer`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float) -> Tensor:
        ctx.alpha = alpha
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.alpha * gradient, None


class ChapterDann(nn.Module):
    """The chapter's `DANN`, as it is printed."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor = nn.Sequential(
            *(nn.Conv2d(3, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 128, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(128 * 5 * 5, 1024), nn.ReLU(), nn.Dropout(0.5)),
        )
        self.class_classifier, self.domain_classifier = (
            nn.Sequential(nn.Linear(1024, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, outputs))
            for outputs in (CLASSES, 2)
        )

    def forward(self, x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
        features = self.feature_extractor(x)
        reversed_: Tensor = _Reversal.apply(features, alpha)
        return self.class_classifier(features), self.domain_classifier(reversed_)


class Pictures(Dataset[tuple[Tensor, int]]):
    """Pictures in memory, made tensors one by one."""

    def __init__(self, rows: Rows) -> None:
        self.pixels_NSS3, self.labels_N = rows.views_V[0], rows.labels_N

    def __len__(self) -> int:
        return len(self.labels_N)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return to_tensor(self.pixels_NSS3[index]), int(self.labels_N[index])


class ChapterLoop:
    """The chapter's `train_dann`, epoch by epoch."""

    def __init__(self, source: Rows, target: Rows) -> None:
        self.loaders = [DataLoader(Pictures(rows), batch_size=BATCH, shuffle=True) for rows in (source, target)]
        self.device = device()
        self.model = ChapterDann().to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def epoch(self) -> Epoch:
        begun = time.perf_counter()
        self.model.train()
        for (images, labels), (others, _) in zip(*self.loaders, strict=False):
            self.step(images, labels, others)
        synchronize()
        seconds = time.perf_counter() - begun
        return Epoch(seconds, seconds)

    def step(self, images: Tensor, labels: Tensor, others: Tensor, alpha: float = 0.5) -> None:
        images, labels, others = (each.to(self.device) for each in (images, labels, others))
        classes, here = self.model(images, alpha)
        _, there = self.model(others, alpha)
        loss = functional.cross_entropy(classes, labels)
        for domain, logits in enumerate((here, there)):
            loss = loss + functional.cross_entropy(logits, torch.full((len(logits),), domain, device=self.device))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def warm_up(self) -> None:
        (images, labels), (others, _) = (next(iter(loader)) for loader in self.loaders)
        self.step(images, labels, others)


def pictures(count: int, rng: np.random.Generator) -> Rows:
    """Noise with labels."""
    pixels_NSS3 = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return Rows((pixels_NSS3,), (np.arange(count),), rng.integers(0, CLASSES, count))


def our_method() -> Dann:
    """DANN on the chapter's network, all of which learns."""
    classifier = build(
        find_source(NETWORK, Backbones()),
        Model(freeze="none", dropout=0.0),
        classes=CLASSES,
        seed=0,
        backbones=Backbones(),
        packages_folder=PACKAGES,
    )
    return Dann(classifier, model=Model(freeze="none"), training=_training(), seed=1)


def _training() -> Training:
    finetune = Finetune(head_first=False, multiplier=1.0, learning_rate=1e-3, schedule="constant")
    return Training(kind="dann", epochs=ENDLESS, patience=ENDLESS, batch_size=BATCH, finetune=finetune)


def measure(arguments: argparse.Namespace, scratch: Path) -> pd.DataFrame:
    """One row per round: images of both domains per second."""
    rng, images = np.random.default_rng(0), arguments.steps * BATCH
    source, target, judged = (pictures(count, rng) for count in (images, images, 2 * BATCH))
    turns: Turns = Turns(ChapterLoop(source, target), arguments.rounds)  # type: ignore[arg-type]  # it asks for no more
    rows = WatchedRows(source, judged, BATCH, "none", target=target, target_val=judged, turns=turns)
    try:
        fit(our_method(), lambda _: rows, training=_training(), seed=0, folder=scratch / "run", name=NETWORK)
    except Enough:
        print(f"{len(turns.theirs)} rounds", file=sys.stderr, flush=True)
    return pd.DataFrame([_round(theirs, ours, 2 * images) for theirs, ours in turns.pairs])


def _round(theirs: Epoch, ours: Epoch, images: int) -> dict[str, float]:
    return {
        "chapter images/s": images / theirs.training_s,
        "our images/s": images / ours.training_s,
        "chapter s/epoch": theirs.whole_s,
        "our s/epoch": ours.whole_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=64, help="of a round, for each side")
    parser.add_argument("--rounds", type=int, default=3)
    add_out(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="adaptation_loop_") as name:
        os.environ["XDG_CACHE_HOME"] = str(Path(name) / "cache")  # the number format is timed in this run
        rounds = measure(arguments, Path(name))
    table = rounds.median().to_frame("dann_chapter@32").T
    ratio = (rounds["our images/s"] / rounds["chapter images/s"]).tolist()
    said = "dann_chapter@32: images per second of training, ours / chapter's loop"
    publish("adaptation_loop", table, arguments=arguments, ratios=[Ratio(said, ratio, at_least=1.0)])


if __name__ == "__main__":
    main()
