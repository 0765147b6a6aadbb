"""The curve over inner steps, and test episodes that cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medical_transfer.config.few_shot import MetaLearning
from medical_transfer.data.episodes import Shape, TaskSet, task_set
from medical_transfer.evaluation.episodes import accuracy_by_step, judge, judge_method
from medical_transfer.training.meta_train import new_method
from medical_transfer.types import UserError

SHAPE, EPISODES = Shape(2, 1, 3), 5


def some_tasks() -> TaskSet:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 5)
    features = (labels[:, None] * 3 + rng.normal(0, 0.1, (20, 3))).astype(np.float32)
    return task_set(features, [f"c{label}" for label in labels], [str(row) for row in range(20)])


def right(task) -> torch.Tensor:
    return torch.nn.functional.one_hot(task.query_labels, SHAPE.ways).float()


def test_the_curve_ends_where_the_method_does_and_has_nan_where_there_is_no_number():
    meta = MetaLearning(ways=2, width=2, maml={"test_steps": 2, "inner_learning_rate": 0.05})
    tasks = some_tasks()
    method = new_method("maml", meta, tasks, seed=0)
    curve = accuracy_by_step(method, tasks, SHAPE, steps=2, episodes=EPISODES, seed=0)
    np.testing.assert_allclose(curve[:, 2], judge_method(method, tasks, SHAPE, episodes=EPISODES, seed=0).accuracy_E)
    wild = new_method("maml", MetaLearning(ways=2, width=2, maml={"inner_learning_rate": 1e30}), tasks, seed=0)
    curve = accuracy_by_step(wild, tasks, SHAPE, steps=3, episodes=2, seed=0)
    assert np.isfinite(curve[:, 0]).all()
    assert np.isnan(curve[:, 3]).all()


def test_episodes_that_cannot_be_drawn_are_refused():
    with pytest.raises(UserError, match="fewer than the 5"):
        judge(right, some_tasks(), Shape(5, 1, 1), episodes=1, seed=0)
    with pytest.raises(UserError, match="3 to learn from and 3"):
        judge(right, some_tasks(), Shape(2, 3, 3), episodes=1, seed=0)
