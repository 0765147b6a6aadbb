"""Baselines on frozen features against scikit-learn, and episodes that are judged."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from medical_transfer.data.episodes import Shape, task_set
from medical_transfer.evaluation.episode_intervals import mean_interval
from medical_transfer.evaluation.episodes import judge
from medical_transfer.evaluation.few_shot_baselines import BASELINES, answer, linear_probe

DIM, SHOTS = 20, 4


def clouds(ways: int, each: int = SHOTS, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(ways), each)
    centres = np.random.default_rng(99).normal(0, 1, (ways, DIM))
    return torch.from_numpy(centres[labels] + rng.normal(0, 1, (len(labels), DIM))), torch.from_numpy(labels)


@pytest.mark.parametrize("ways", [2, 3])
def test_the_probe_is_scikit_learns_on_all_features(ways):
    (known, labels), (asked, _) = clouds(ways), clouds(ways, seed=1)
    expected = (
        LogisticRegression(max_iter=2000, tol=1e-8).fit(known.numpy(), labels.numpy()).predict_proba(asked.numpy())
    )
    found = answer("linear_probe", known, labels, asked, ways=ways).softmax(dim=1)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)
    weights, biases = linear_probe(known, labels, ways=ways)
    assert weights.shape == (ways, DIM)
    assert biases.shape == (ways,)


@pytest.mark.parametrize("ways", [2, 3])
def test_the_centroid_is_scikit_learns(ways):
    (known, labels), (asked, _) = clouds(ways), clouds(ways, seed=1)
    expected = NearestCentroid().fit(known.numpy(), labels.numpy()).predict(asked.numpy())
    assert answer("nearest_centroid", known, labels, asked, ways=ways).argmax(dim=1).tolist() == expected.tolist()


@pytest.mark.parametrize("name", BASELINES)
def test_each_learns_what_is_easy_and_the_same_twice(name):
    known, labels = clouds(3)
    known = known + 4 * torch.nn.functional.one_hot(labels, DIM)
    first, again = (answer(name, known, labels, known, ways=3) for _ in range(2))
    assert first.argmax(dim=1).tolist() == labels.tolist()
    assert torch.equal(first, again)


def some_set():
    rows, labels = clouds(3, each=8)
    return task_set(
        rows.numpy().astype(np.float32), [f"c{each}" for each in labels], [str(n) for n in range(len(rows))]
    )


def test_all_are_asked_the_same_and_lost_tasks_are_left_out(caplog):
    seen: dict[str, list] = {"one": [], "other": []}

    def asked(name):
        def answered(task):
            seen[name].append(task.query)
            logits = torch.nn.functional.one_hot(task.query_labels, 3).float()
            return logits * math.nan if len(seen[name]) == 2 else logits

        return answered

    results = [judge(asked(name), some_set(), Shape(3, 2, 3), episodes=4, seed=5) for name in seen]
    assert all(torch.equal(one, other) for one, other in zip(*seen.values(), strict=True))
    for result in results:
        np.testing.assert_array_equal(result.accuracy_E, [1, math.nan, 1, 1])
        assert len(result.skipped) == 1
        assert result.interval().estimate == 1
    assert "skipped (1)" in caplog.text


def test_the_interval_is_that_of_a_mean():
    found = mean_interval(np.array([0.2, 0.4, 0.6, math.nan, 0.8]))
    half = 1.959964 * np.std([0.2, 0.4, 0.6, 0.8], ddof=1) / 2
    assert (found.estimate, found.low, found.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    assert math.isnan(mean_interval(np.array([0.3])).low)
    assert math.isnan(mean_interval(np.array([math.nan])).estimate)
