"""Episodes: small classification problems drawn from many classes, a few labelled images each and some to be judged on.

Sources: Vinyals et al. 2016, "Matching Networks for One Shot Learning" (N-way K-shot episodes); Santoro et al. 2016
(quarter turns of a character are classes of their own). Any labelled images of a manifest will do: a class of a set is
a class here, and with several sets a class of each site (`domains_C`); one episode takes its classes from one of them.
Shapes: N rows, C classes, T episodes of a batch, M = ways (shots + queries) rows of an episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medical_transfer.data.loaders import Batch, Rows
from medical_transfer.types import UserError

QUARTER_TURNS = 4


class Shape(NamedTuple):
    """So many classes (`ways`), of each so many images to learn from (`shots`) and to be judged on (`queries`)."""

    ways: int
    shots: int
    queries: int

    @property
    def support(self) -> int:
        """Images to learn from."""
        return self.ways * self.shots

    @property
    def rows(self) -> int:
        """All images of an episode, those to learn from first."""
        return self.ways * (self.shots + self.queries)


NO_SHAPE = Shape(0, 0, 0)


class Task(NamedTuple):
    """One episode, or T of them stacked: what is learned from, and what is judged.

    `told` and `told_query` hold what a teacher's frozen trunk made of the same images, by name.
    """

    support: Tensor
    labels: Tensor
    query: Tensor
    query_labels: Tensor
    told: dict[str, Tensor]
    told_query: dict[str, Tensor]


@dataclass(frozen=True)
class TaskSet:
    """Images of many classes, of which episodes are drawn.

    A class under another view of `rows` (a quarter turn) is another class. Two images of one group (a patient) never
    stand in one class of an episode, so that none is learned from and judged too.
    """

    rows: Rows
    groups_N: NDArray[np.int64]
    names_C: tuple[str, ...]
    domains_C: tuple[str, ...]
    classes: tuple[int, ...]
    """Those of the C classes that this set draws from."""

    @property
    def views(self) -> int:
        """How many classes each class gives."""
        return len(self.rows.views_V)

    def only(self, names: Sequence[str]) -> TaskSet:
        """The same images, drawing from some of the classes alone."""
        return replace(self, classes=tuple(self.names_C.index(name) for name in names))

    def turned(self) -> TaskSet:
        """Each class also under the three quarter turns of its images (N, S, S, ...)."""
        turns = range(QUARTER_TURNS)
        views = tuple(np.rot90(self.rows.views_V[0], turn, axes=(1, 2)) for turn in turns)
        return replace(self, rows=replace(self.rows, views_V=views, slots_VN=self.rows.slots_VN[:1] * QUARTER_TURNS))

    def told(self, told_V: Mapping[str, tuple[NDArray[Any], ...]]) -> TaskSet:
        """With what a teacher's trunk makes of each row under each view."""
        return replace(self, rows=replace(self.rows, told_V=told_V))

    def domains(self) -> dict[str, list[int]]:
        """Domain -> its classes."""
        found: dict[str, list[int]] = {}
        for number in self.classes:
            found.setdefault(self.domains_C[number], []).append(number)
        return found

    def check(self, shape: Shape, what: str) -> None:
        """Refuse episodes that cannot be drawn.

        Args:
            shape: of the episodes.
            what: what the classes are for, for the sentence ("meta-training").

        Raises:
            UserError: a domain has fewer classes than `ways`, or a class fewer images than `shots` and `queries`.
        """
        for domain, classes in self.domains().items():
            if len(classes) * self.views < shape.ways:
                raise UserError(
                    f"{domain} has {len(classes) * self.views} classes for {what}, fewer than the {shape.ways} of an "
                    "episode: lower `ways`, or give it more classes."
                )
        for number in self.classes:
            mine_N = self.rows.labels_N == number
            groups = len(np.unique(self.groups_N[mine_N]))
            if groups < shape.shots + shape.queries:
                raise UserError(
                    f"Class '{self.names_C[number]}' has {mine_N.sum()} images of {groups} groups (patients) for "
                    f"{what}, fewer than the {shape.shots} to learn from and {shape.queries} to be judged on of an "
                    "episode, each of another group: lower `shots` or `queries`, or give it more images."
                )

    def draw(self, shape: Shape, rng: np.random.Generator) -> Episode:
        """One episode; for the same random numbers fewer shots are among more, and the queries are the same."""
        domains = self.domains()
        classes = domains[sorted(domains)[rng.integers(len(domains))]]
        chosen = rng.permutation(len(classes) * self.views)[: shape.ways]
        support, query, views = [], [], []
        for each in chosen:
            number, view = classes[each // self.views], int(each % self.views)
            drawn = self._one_of_each_group(number, rng)
            query.append(drawn[: shape.queries])
            support.append(drawn[shape.queries : shape.queries + shape.shots])
            views.append((number, view))
        rows, of_view, labels = _laid_out(shape, support, query, [view for _, view in views])
        name = ", ".join(self._named(number, view) for number, view in views)
        return Episode(rows, of_view, labels, name)

    def _one_of_each_group(self, number: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of a class in random order, of each group the first."""
        shuffled = rng.permutation(np.flatnonzero(self.rows.labels_N == number))
        firsts = np.unique(self.groups_N[shuffled], return_index=True)[1]
        return np.asarray(shuffled[np.sort(firsts)], dtype=np.int64)

    def _named(self, number: int, view: int) -> str:
        return self.names_C[number] + (f" turned by {90 * view}" if view else "")


class Episode(NamedTuple):
    """Rows (M,) of an episode, their views and their labels within it: the support first, class by class."""

    rows_M: NDArray[np.int64]
    views_M: NDArray[np.int64]
    labels_M: NDArray[np.int64]
    name: str


@dataclass(frozen=True)
class EpisodeBatch(Batch):
    """T episodes of one shape, their rows one after the other; labels are those within each episode."""

    shape: Shape = NO_SHAPE
    names: tuple[str, ...] = ()

    def tasks(self) -> Task:
        """The episodes stacked: support (T, ways shots, ...) and so on."""
        support = self.shape.support

        def cut(rows: Tensor) -> tuple[Tensor, Tensor]:
            by_task = rows.reshape(len(self.names), self.shape.rows, *rows.shape[1:])
            return by_task[:, :support], by_task[:, support:]

        told = {name: cut(each) for name, each in self.told.items()}
        inputs, labels = cut(self.inputs), cut(self.labels_N)
        return Task(
            inputs[0],
            labels[0],
            inputs[1],
            labels[1],
            {name: each[0] for name, each in told.items()},
            {name: each[1] for name, each in told.items()},
        )


class EpisodeBatches:
    """An epoch of `steps` batches of `tasks` episodes; the shots of each batch are drawn from `shots`.

    Every batch has random numbers of its own, from the seed and its number.
    """

    def __init__(
        self, task_set: TaskSet, *, ways: int, shots: Sequence[int], queries: int, tasks: int, steps: int, seed: int
    ) -> None:
        self.task_set, self.tasks, self.steps, self.seed = task_set, tasks, steps, seed
        self.shapes = [Shape(ways, each, queries) for each in shots]

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[EpisodeBatch]:
        for step in range(self.steps):
            rng = np.random.default_rng([self.seed, step])
            shape = self.shapes[int(rng.integers(len(self.shapes)))]
            yield self._batch(shape, [self.task_set.draw(shape, rng) for _ in range(self.tasks)])

    def _batch(self, shape: Shape, episodes: list[Episode]) -> EpisodeBatch:
        rows, views, labels = (np.concatenate(parts) for parts in list(zip(*episodes, strict=True))[:3])
        source = self.task_set.rows
        return EpisodeBatch(
            source.take(rows, views),
            torch.from_numpy(labels),
            torch.from_numpy(rows),
            told=source.told(rows, views),
            shape=shape,
            names=tuple(each.name for each in episodes),
        )


def divide_classes(
    names: Sequence[str], counts: tuple[int, int, int], rng: np.random.Generator
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Disjoint classes for meta-training, meta-validation and meta-test, drawn at random.

    Quarter turns are no classes yet, so those of a character stay together.

    Raises:
        UserError: there are fewer classes than are asked for.
    """
    if sum(counts) > len(names):
        raise UserError(
            f"{sum(counts)} classes are asked for ({counts[0]} for meta-training, {counts[1]} for meta-validation, "
            f"{counts[2]} for meta-test), but there are {len(names)}: ask for fewer."
        )
    shuffled = [sorted(names)[place] for place in rng.permutation(len(names))]
    train, val, test = counts
    return (
        tuple(shuffled[:train]),
        tuple(shuffled[train : train + val]),
        tuple(shuffled[train + val : train + val + test]),
    )


def task_set(
    inputs_N: NDArray[Any], labels: Sequence[str], groups: Sequence[str], domains: Mapping[str, str] | None = None
) -> TaskSet:
    """A set to draw from.

    Args:
        inputs_N: images (N, S, S, 3) uint8 or features (N, D), row i of image i.
        labels: class of each image.
        groups: patient of each image.
        domains: class -> domain; None: all are of one.
    """
    names = tuple(sorted(set(labels)))
    place = {name: number for number, name in enumerate(names)}
    labels_N = np.array([place[label] for label in labels], dtype=np.int64)
    groups_N = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1].astype(np.int64)
    where = tuple("the set" if domains is None else domains[name] for name in names)
    rows = Rows((inputs_N,), (np.arange(len(labels_N)),), labels_N)
    return TaskSet(rows, groups_N, names, where, tuple(range(len(names))))


def _laid_out(
    shape: Shape, support: list[NDArray[np.int64]], query: list[NDArray[np.int64]], views: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    labels = [np.repeat(np.arange(shape.ways), each) for each in (shape.shots, shape.queries)]
    labels_M = np.concatenate(labels)
    return np.concatenate([*support, *query]), np.asarray(views, dtype=np.int64)[labels_M], labels_M
