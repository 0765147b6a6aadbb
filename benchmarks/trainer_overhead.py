"""What the Trainer and the loader add to a bare step of the full network, in turn, a few steps each.

    python benchmarks/trainer_overhead.py                                          # about two minutes on two cores
    python benchmarks/trainer_overhead.py --network resnet50 --policy chapter
    python benchmarks/trainer_overhead.py --clock cpu                              # where others use the machine too

Bare: network, cross-entropy, backward, AdamW on one batch that lies in memory, in the number format that `fit` chose.
Ours: what `fit` does for a step: rows from the decoded cache, floats, augmentation, memory format, the method's loss,
backward, clipping, AdamW, the schedule, the log and all callbacks. Augmentation is arithmetic that is asked for, not
overhead, so it is measured alone, on the same batch, and taken off; what remains is the goal's 5 %.

In each round the same number of steps of ours, of bare ones and of augmentations follow one another in one process, and
the ratio is that of the round. The first round warms up and does not count. What comes once an epoch (validation,
history, checkpoints) is no part of it: `chapter_loop.py` has it.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from chapter_loop import SIZES_PX
from our_fit import Enough, Ours, plain_torch, set_up, synchronize
from pictures import add_pictures, write_pictures
from report import Ratio, add_out, publish
from torch import Tensor
from torch.nn import functional

from medical_transfer.data.augment import POLICIES
from medical_transfer.data.loaders import Batch, Batches
from medical_transfer.methods.contract import Phase
from medical_transfer.methods.finetune import FineTune
from medical_transfer.models.classifier import Classifier
from medical_transfer.runtime.devices import NumberFormat, device
from medical_transfer.training.data import PhaseData, in_format
from medical_transfer.training.depthwise import slow_depthwise_in_fp32

GOAL = 1.05
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Round(NamedTuple):
    """Seconds of one step, three ways."""

    ours: float
    bare: float
    augmentation: float


class BareLoop:
    """A copy of the method's network, and steps on one batch."""

    def __init__(self, ours: Ours, data: PhaseData, number_format: NumberFormat) -> None:
        method: FineTune = copy.deepcopy(ours.method)
        (phase,) = method.phases()
        method.start(phase)
        memory_format = torch.channels_last if number_format.channels_last else torch.contiguous_format
        self.network: Classifier = method.classifier.to(device()).to(memory_format=memory_format).train()
        batch: Batch = next(iter(Batches(data.train, batch_size=data.batch_size, seed=1))).to(device())
        self.plain = PhaseData.as_float(batch.inputs)
        self.inputs: Tensor = in_format(self.plain, number_format)
        self.labels_N, self.policy = batch.labels_N, POLICIES[data.policy]
        self.number_format, self.low_precision = number_format, number_format.precision == "bf16"
        self.optimizer = torch.optim.AdamW(list(phase.groups))
        self.generator = torch.Generator().manual_seed(0)

    def step(self) -> None:
        self.optimizer.zero_grad()
        arithmetic = slow_depthwise_in_fp32(self.network, self.number_format)  # that of ours: a format like any other
        with arithmetic, torch.autocast(self.inputs.device.type, torch.bfloat16, enabled=self.low_precision):
            loss = functional.cross_entropy(self.network(self.inputs), self.labels_N)
        loss.backward()
        self.optimizer.step()

    def augment(self) -> None:
        self.policy(self.plain, self.generator)


@dataclass
class Turns:
    """Lets bare steps and augmentations have their turn after every few of ours."""

    steps: int
    rounds: int
    clock: Callable[[], float]
    bare: Callable[[], BareLoop]
    loop: BareLoop | None = None
    found: list[Round] = field(default_factory=list)
    begun: float | None = None

    def take(self) -> None:
        """Our steps are over: note them, let the others run, start the next.

        Raises:
            Enough: when all rounds are measured.
        """
        synchronize()
        now = self.clock()
        if self.loop is None:
            self.loop = self.bare()
        if self.begun is not None:
            ours = (now - self.begun) / self.steps
            self.found.append(Round(ours, self._seconds(self.loop.step), self._seconds(self.loop.augment)))
        if len(self.found) > self.rounds:
            raise Enough
        self.begun = self.clock()

    def _seconds(self, work: Callable[[], None]) -> float:
        with plain_torch():
            begun = self.clock()
            for _ in range(self.steps):
                work()
            synchronize()
            return (self.clock() - begun) / self.steps


class WatchedBatches:
    """Batches that stop for the turns after every few."""

    def __init__(self, batches: Batches, turns: Turns) -> None:
        self.batches, self.turns = batches, turns

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        batches = iter(self.batches)
        for number in range(len(self)):
            if number % self.turns.steps == 0:
                self.turns.take()  # before the batch is cut from its rows: that is part of our step
            yield next(batches)


@dataclass(frozen=True)
class WatchedRows(PhaseData):
    """The rows of a phase in one epoch that is long enough for all rounds."""

    turns: Turns = field(kw_only=True)

    def training(self, seed: int) -> Any:
        batches = super().training(seed)  # seed 0: only the number of steps, or a batch to time formats with, is wanted
        return WatchedBatches(batches, self.turns) if seed else batches


def measure(ours: Ours, arguments: argparse.Namespace, folder: Path) -> list[Round]:
    """All rounds but the first."""
    found: list[Turns] = []

    def watched(_: Phase, data: PhaseData) -> WatchedRows:
        def bare() -> BareLoop:
            choice = ours.choice()
            assert choice is not None
            return BareLoop(ours, data, choice.taken)

        found.append(Turns(arguments.steps, arguments.rounds, CLOCKS[arguments.clock], bare))
        steps = arguments.steps * (arguments.rounds + 2)
        return WatchedRows(**vars(replace(data, steps=steps)), turns=found[0])

    ours.run(watched, folder)
    return found[0].found[1:]


def main() -> None:
    arguments = _arguments()
    size = SIZES_PX[arguments.network]
    with tempfile.TemporaryDirectory(prefix="trainer_overhead_") as name:
        scratch = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")  # the number format is timed in this run
        write_pictures(scratch / "images/train", arguments.images, drawn=arguments.drawn)
        write_pictures(scratch / "images/val", 8, drawn=arguments.drawn, skip=arguments.images)
        ours = set_up(
            arguments.network,
            size=size,
            learns="full",
            images=scratch / "images",
            scratch=scratch,
            policy=arguments.policy,
            batch_size=arguments.batch_size,
        )
        rounds = measure(ours, arguments, scratch / "run")
        choice = ours.choice()
    case = f"{arguments.network}@{size}"
    table = summary(case, rounds)
    table["number format"] = str(choice.taken) if choice else None
    publish("trainer_overhead", table, arguments=arguments, ratios=ratios(case, rounds, arguments))


def summary(case: str, rounds: list[Round]) -> pd.DataFrame:
    """Medians in milliseconds."""
    middle = {name: 1000 * statistics.median(getattr(r, name) for r in rounds) for name in Round._fields}
    added = 1000 * statistics.median(r.ours - r.augmentation - r.bare for r in rounds)
    names = {"ours": "our ms/step", "bare": "bare ms/step", "augmentation": "augmentation ms/step"}
    row = {names[name]: value for name, value in middle.items()} | {"added ms/step": added}
    return pd.DataFrame([row], index=pd.Index([case], name="case"))


def ratios(case: str, rounds: list[Round], arguments: argparse.Namespace) -> list[Ratio]:
    """Of each round; the goal is for what is neither network nor augmentation."""
    return [
        Ratio(
            f"{case}: step of Trainer and loader without its augmentation / bare step",
            [(r.ours - r.augmentation) / r.bare for r in rounds],
            at_most=GOAL if arguments.network != "tiny" else None,
        ),
        Ratio(f"{case}: augmentation '{arguments.policy}' / bare step", [r.augmentation / r.bare for r in rounds]),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=SIZES_PX, default="efficientnet_lite0")
    parser.add_argument("--policy", choices=POLICIES, default="flips", help="default: that of the main job")
    parser.add_argument("--steps", type=int, default=3, help="of each kind in a round")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    add_pictures(parser, images=256)
    add_out(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
