"""Episodes: what is drawn, from whom, and what is refused; Omniglot's archive."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.config.images import Images
from medical_transfer.data.cache import build_image_cache
from medical_transfer.data.decode import Unreadable
from medical_transfer.data.episodes import EpisodeBatches, Shape, TaskSet, divide_classes, task_set
from medical_transfer.data.omniglot import OmniglotReader
from medical_transfer.types import UserError

CLASSES, EACH = 6, 8


def some_set(*, shots_of_a_patient: int = 1, domains: dict[str, str] | None = None) -> TaskSet:
    """Row i of class c holds 100 c + i; patients have one row each, or several of one class."""
    labels = [f"c{number}" for number in range(CLASSES) for _ in range(EACH)]
    inputs = np.array([[100.0 * number + row] for number in range(CLASSES) for row in range(EACH)], dtype=np.float32)
    groups = [f"{label}/{row % EACH // shots_of_a_patient}" for row, label in enumerate(labels)]
    return task_set(inputs, labels, groups, domains)


def batch_of(tasks: TaskSet, *, seed: int = 0, shots: tuple[int, ...] = (2,), ways: int = 3, count: int = 2):
    (batch,) = EpisodeBatches(tasks, ways=ways, shots=shots, queries=3, tasks=count, steps=1, seed=seed)
    return batch


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), ways=st.integers(2, CLASSES), shots=st.integers(1, 4), queries=st.integers(1, 4))
def test_an_episode_has_its_shape_and_no_image_twice(seed, ways, shots, queries):
    tasks, shape = some_set(), Shape(ways, shots, queries)
    episode = tasks.draw(shape, np.random.default_rng(seed))
    assert len(episode.rows_M) == shape.rows == len(set(episode.rows_M))
    classes = tasks.rows.labels_N[episode.rows_M]
    support, query = classes[: shape.support], classes[shape.support :]
    for label in range(ways):  # a label is one class, the same in support and queries
        mine = {
            *support[episode.labels_M[: shape.support] == label],
            *query[episode.labels_M[shape.support :] == label],
        }
        assert len(mine) == 1
    assert len(set(classes)) == ways
    assert list(np.bincount(episode.labels_M[: shape.support])) == [shots] * ways
    assert list(episode.labels_M[: shape.support]) == sorted(episode.labels_M[: shape.support])


def test_same_seed_same_episodes_and_batches_differ():
    tasks = some_set()
    batches = [list(EpisodeBatches(tasks, ways=3, shots=[1], queries=2, tasks=2, steps=3, seed=s)) for s in (0, 0, 1)]
    rows = [[each.rows_N.tolist() for each in epoch] for epoch in batches]
    assert rows[0] == rows[1] != rows[2]
    assert rows[0][0] != rows[0][1]


def test_labels_of_a_class_change_from_episode_to_episode():
    tasks, shape = some_set(), Shape(CLASSES, 1, 1)
    places = {
        tuple(tasks.rows.labels_N[tasks.draw(shape, np.random.default_rng(s)).rows_M[:CLASSES]]) for s in range(9)
    }
    assert len(places) > 5


def test_a_batch_is_cut_into_tasks():
    batch = batch_of(some_set())
    tasks = batch.tasks()
    assert tasks.support.shape == (2, 6, 1)
    assert tasks.query.shape == (2, 9, 1)
    assert tasks.labels.tolist() == [[0, 0, 1, 1, 2, 2]] * 2
    assert tasks.query_labels.tolist() == [[0, 0, 0, 1, 1, 1, 2, 2, 2]] * 2
    for task in range(2):  # labels and inputs belong together
        for place in range(6):
            assert tasks.support[task, place, 0] // 100 == tasks.query[task, place // 2 * 3, 0] // 100
    moved = batch.to("cpu").with_inputs(lambda inputs: inputs + 1)
    assert torch.equal(moved.tasks().query, tasks.query + 1)
    assert len(batch.names) == 2
    assert batch.names[0].count("c") == 3


def test_fewer_shots_are_among_more_and_queries_stay():
    tasks = some_set()
    few, many = (tasks.draw(Shape(3, shots, 3), np.random.default_rng(5)) for shots in (1, 5))
    assert few.rows_M[3:].tolist() == many.rows_M[15:].tolist()
    assert few.rows_M[:3].tolist() == many.rows_M[:15:5].tolist()


def test_no_patient_is_learned_from_and_judged():
    tasks, shape = some_set(shots_of_a_patient=2), Shape(4, 2, 2)
    for seed in range(10):
        rows = tasks.draw(shape, np.random.default_rng(seed)).rows_M
        assert len(set(tasks.groups_N[rows])) == shape.rows
    with pytest.raises(UserError, match=r"8 images of 4 groups.*fewer than the 2 to learn from and 3"):
        tasks.check(Shape(4, 2, 3), "meta-test")


def test_an_episode_stays_in_its_domain():
    domains = {f"c{number}": "ct" if number < 3 else "ultrasound" for number in range(CLASSES)}
    tasks, seen = some_set(domains=domains), set()
    for seed in range(12):
        rows = tasks.draw(Shape(2, 1, 1), np.random.default_rng(seed)).rows_M
        (domain,) = {tasks.domains_C[number] for number in tasks.rows.labels_N[rows]}
        seen.add(domain)
    assert seen == {"ct", "ultrasound"}
    with pytest.raises(UserError, match="ct has 3 classes for meta-training, fewer than the 4"):
        tasks.check(Shape(4, 1, 1), "meta-training")


def test_too_few_images_are_refused():
    some_set().check(Shape(6, 4, 4), "meta-training")
    with pytest.raises(UserError, match=r"Class 'c0' has 8 images.*lower `shots` or `queries`"):
        some_set().check(Shape(6, 4, 5), "meta-training")


def test_only_some_classes_are_drawn():
    tasks = some_set().only(["c4", "c1"])
    rows = np.concatenate([tasks.draw(Shape(2, 1, 1), np.random.default_rng(seed)).rows_M for seed in range(5)])
    assert set(tasks.rows.labels_N[rows]) == {1, 4}


def test_quarter_turns_are_classes_of_their_own():
    pictures = np.arange(3 * 4 * 2 * 2 * 3, dtype=np.uint8).reshape(12, 2, 2, 3)
    tasks = task_set(pictures, [f"c{row // 4}" for row in range(12)], [str(row) for row in range(12)]).turned()
    tasks.check(Shape(12, 2, 2), "meta-training")
    episode = tasks.draw(Shape(12, 1, 1), np.random.default_rng(0))
    places = zip(tasks.rows.labels_N[episode.rows_M[:12]], episode.views_M[:12], strict=True)
    assert len(set(places)) == 12
    taken = tasks.rows.take(episode.rows_M, episode.views_M).numpy()
    for row, view, found in zip(episode.rows_M, episode.views_M, taken, strict=True):
        assert np.array_equal(found, np.rot90(pictures[row], view))


def test_meta_splits_share_no_class():
    names = [f"c{number}" for number in range(20)]
    parts = divide_classes(names, (10, 4, 5), np.random.default_rng(0))
    assert [len(part) for part in parts] == [10, 4, 5]
    assert len({*parts[0], *parts[1], *parts[2]}) == 19
    assert parts == divide_classes(names[::-1], (10, 4, 5), np.random.default_rng(0))
    with pytest.raises(UserError, match=r"21 classes are asked for .* but there are 20"):
        divide_classes(names, (10, 6, 5), np.random.default_rng(0))


def small_omniglot(path, **changed):
    rng = np.random.default_rng(0)
    ink = rng.integers(0, 2, (6, 105 * 105), dtype=np.uint8)
    arrays = {
        "ink_packed": np.packbits(ink, axis=1),
        "names": np.array([f"greek/alpha/{n}.png" for n in range(3)] + [f"greek/beta/{n}.png" for n in range(3)]),
        "labels": np.array([0, 0, 0, 1, 1, 1]),
        "drawer": np.array([1, 2, 3, 1, 2, 3]),
        "class_names": np.array(["greek/alpha", "greek/beta"]),
    } | changed
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return ink.reshape(6, 105, 105)


def test_omniglot_is_read_bit_by_bit(tmp_path):
    path = tmp_path / "omniglot.npz"
    ink = small_omniglot(path)
    images = Images(kind="omniglot", root=path, size=28, workers=1)
    reader = OmniglotReader(images, tmp_path)
    found = reader.find()
    assert list(found["label"]) == ["greek/alpha"] * 3 + ["greek/beta"] * 3
    assert list(found["group_id"]) == ["greek/1", "greek/2", "greek/3"] * 2
    assert np.array_equal(reader.read("greek/beta/1.png"), ink[4] * 255)
    with pytest.raises(Unreadable):
        reader.read("greek/gamma/1.png")
    cache = build_image_cache(images, tmp_path, tmp_path)
    assert cache.pixels_NSS3.shape == (6, 28, 28, 3)
    assert set(cache.audit["status"]) == {"ok"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"drawer": None}, "lacks the arrays"),
        ({"ink_packed": np.zeros((6, 7), dtype=np.uint8)}, "1379"),
        ({"labels": np.zeros(5, dtype=int)}, "one per drawing"),
        ({"names": np.array(["one"] * 6)}, "twice"),
    ],
)
def test_another_archive_is_refused(tmp_path, changed, said):
    small_omniglot(tmp_path / "x.npz", **changed)
    with pytest.raises(UserError, match=said):
        OmniglotReader(Images(kind="omniglot", root=tmp_path / "x.npz"), tmp_path).find()
    with pytest.raises(UserError, match="no file"):
        OmniglotReader(Images(kind="omniglot", root=tmp_path / "none.npz"), tmp_path).find()


@pytest.mark.shared
def test_the_real_omniglot(shared_set, tmp_path):
    reader = OmniglotReader(Images(kind="omniglot", root=shared_set("omniglot_background")), tmp_path)
    found = reader.find()
    assert len(found) == 964 * 20
    assert (found.groupby("label")["group_id"].nunique() == 20).all()
    share = np.mean([reader.read(path).mean() / 255 for path in found["path"][::1000]])
    assert 0.01 < share < 0.2  # ink is the smaller part
