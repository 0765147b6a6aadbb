"""What every method of meta-learning must do: one table, adding a method = adding its row; and what each one is."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from medical_transfer.config.few_shot import META_KINDS, MetaLearning
from medical_transfer.data.episodes import EpisodeBatches, Shape, TaskSet, task_set
from medical_transfer.layers.class_means import imprinted
from medical_transfer.layers.fast_weights import adapted, descend, each_task, run, weights_of
from medical_transfer.losses.kd import soft_divergence
from medical_transfer.methods import META_LEARNING
from medical_transfer.schedules import warmup_cosine
from medical_transfer.training.meta_train import EpisodeFeed, meta_train, new_method
from medical_transfer.types import UserError

WAYS, DIM, SIZE = 3, 6, 16
ADAPTING = [kind for kind in META_KINDS if kind != "prototypical"]

each_method = pytest.mark.parametrize("kind", META_KINDS)
each_input = pytest.mark.parametrize("pictures", [False, True], ids=["features", "pictures"])


def some_tasks(*, pictures: bool = False, classes: int = 8, each: int = 6, seed: int = 0) -> TaskSet:
    """Classes as clouds; a teacher's features are the cloud without most of its noise."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 2, (classes, DIM))
    labels = np.repeat(np.arange(classes), each)
    features = (centres[labels] + rng.normal(0, 0.5, (len(labels), DIM))).astype(np.float32)
    told = (centres[labels] + rng.normal(0, 0.1, (len(labels), DIM))).astype(np.float32)
    inputs = features
    if pictures:
        inputs = rng.integers(0, 90, (len(labels), SIZE, SIZE, 3), dtype=np.uint8)
        for row, label in enumerate(labels):
            inputs[row, (2 * label) % SIZE : (2 * label) % SIZE + 3] += 120
    names = [f"c{label}" for label in labels]
    tasks = task_set(inputs, names, [str(row) for row in range(len(labels))])
    return tasks.told({"features": (told,)})


def config(kind: str = "maml", **own) -> MetaLearning:
    fields = {"steps": 4, "learning_rate": 0.01} | ({} if kind == "prototypical" else {"test_steps": 3}) | own
    shape = {"ways": WAYS, "shots": [2], "queries": 2, "tasks": 2, "rounds": 2, "val_episodes": 4, "width": 3}
    return MetaLearning(**shape, **{kind: fields})


def make(kind: str, *, pictures: bool = False, seed: int = 0, **own):
    return new_method(kind, config(kind, **own), some_tasks(pictures=pictures), seed=seed)


def batch(*, pictures: bool = False, seed: int = 0, tasks: TaskSet | None = None, count: int = 2):
    source = tasks or some_tasks(pictures=pictures)
    (found,) = EpisodeBatches(source, ways=WAYS, shots=[2], queries=2, tasks=count, steps=1, seed=seed)
    return found.with_inputs(lambda x: x.permute(0, 3, 1, 2).float() / 255) if pictures else found


def one_task(found):
    tasks = found.tasks()
    told = [{name: each[0] for name, each in part.items()} for part in (tasks.told, tasks.told_query)]
    return type(tasks)(*(each[0] for each in tasks[:4]), *told)


def test_every_method_has_its_row():
    assert set(META_KINDS) == set(META_LEARNING)


@each_method
@each_input
def test_every_parameter_gets_a_gradient_and_is_in_the_group(kind, pictures):
    method = make(kind, pictures=pictures)
    (phase,) = method.phases()
    method.losses(batch(pictures=pictures), 0.0).total.backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None, name
        if "convolution.bias" not in name:  # the norm behind it takes a constant away
            assert parameter.grad.abs().max() > 0, name
    grouped = [id(parameter) for group in phase.groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in method.parameters())


@each_method
@each_input
def test_answers_do_not_hang_on_other_queries(kind, pictures):
    method, task = make(kind, pictures=pictures), one_task(batch(pictures=pictures))
    with torch.no_grad():
        whole, alone = method.answers(task), method.answers(task._replace(query=task.query[:1]))
    torch.testing.assert_close(whole[:1], alone, rtol=1e-4, atol=1e-5)


@each_method
def test_same_seed_same_loss(kind):
    losses = [make(kind, seed=seed).losses(batch(), 0.0).total.item() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


@each_method
def test_one_batch_can_be_learned_by_heart(kind):
    own = {"inner_learning_rate": 0.3} if kind in ADAPTING else {}
    method = make(kind, **own)
    found, optimizer = batch(), torch.optim.Adam(method.parameters(), lr=0.03)
    for _ in range(40):
        optimizer.zero_grad()
        method.losses(found, 0.0).total.backward()
        optimizer.step()
    with torch.no_grad():
        predictions = method.predictions(found)
    assert (predictions.logits.argmax(dim=1) == predictions.labels).float().mean() > 0.9


@each_method
def test_answers_by_step_end_where_answers_are(kind):
    method, task = make(kind), one_task(batch())
    with torch.no_grad():
        by_step = method.answers_by_step(task, 4)
        assert by_step.shape == (5, WAYS * 2, WAYS)
        torch.testing.assert_close(by_step[4], method.answers(task, 4))
        torch.testing.assert_close(by_step[0], method.answers(task, 0))
    assert (kind == "prototypical") == torch.allclose(by_step[0], by_step[4])


@each_method
def test_meta_training_goes_through_the_one_fit(kind, tmp_path):
    tasks = some_tasks()
    train, val = tasks.only(["c0", "c1", "c2", "c3"]), tasks.only(["c4", "c5", "c6"])
    before = {name: each.clone() for name, each in new_method(kind, config(kind), train, seed=1).state_dict().items()}
    method = meta_train(kind, config(kind), train, val, seed=1, folder=tmp_path)
    assert any(not torch.equal(each.cpu(), before[name]) for name, each in method.state_dict().items())
    assert (tmp_path / "history.json").exists()
    again = meta_train(kind, config(kind), train, val, seed=1, folder=tmp_path)  # it is finished: nothing is trained
    assert all(torch.equal(each, again.state_dict()[name]) for name, each in method.state_dict().items())


def test_too_few_classes_stop_before_training(tmp_path):
    tasks = some_tasks()
    with pytest.raises(UserError, match="2 classes for meta-training, fewer than the 3"):
        meta_train("maml", config(), tasks.only(["c0", "c1"]), None, seed=0, folder=tmp_path)
    with pytest.raises(UserError, match="meta-validation"):
        meta_train("maml", config(), tasks, tasks.only(["c0", "c1"]), seed=0, folder=tmp_path)


@pytest.mark.parametrize("kind", ADAPTING)
def test_an_inner_rate_that_is_not_positive_is_refused(kind):
    for rate in (0, -0.1):
        with pytest.raises(ValueError, match="inner_learning_rate"):
            config(kind, inner_learning_rate=rate)


@pytest.mark.parametrize("pictures", [False, True])
def test_a_task_that_ends_in_nan_is_named_skipped_and_counted(pictures, caplog):
    method, found = make("maml", pictures=pictures), batch(pictures=pictures)
    alone = method.losses(batch_without_first(found), 0.0)
    inputs = found.inputs.clone()
    inputs[0] = torch.nan
    method.zero_grad()
    with caplog.at_level(logging.WARNING):
        terms = method.losses(replace(found, inputs=inputs), 0.0)
    assert method.skipped == terms.parts["skipped"] == 1
    assert found.names[0] in caplog.text
    assert found.names[1] not in caplog.text
    terms.total.backward()
    torch.testing.assert_close(terms.total, alone.total)
    assert all(torch.isfinite(parameter.grad).all() for parameter in method.parameters())
    with torch.no_grad():
        assert len(method.predictions(replace(found, inputs=inputs)).labels) == WAYS * 2
    with pytest.raises(UserError, match=r"all 2 tasks.*inner_learning_rate"):
        method.losses(replace(found, inputs=inputs * torch.nan), 0.0)


def batch_without_first(found):
    half, names = len(found) // 2, found.names[1:]
    told = {name: each[half:] for name, each in found.told.items()}
    parts = {"inputs": found.inputs[half:], "labels_N": found.labels_N[half:], "rows_N": found.rows_N[half:]}
    return replace(found, **parts, told=told, names=names)


def test_mamls_meta_gradient_is_that_of_finite_differences():
    method, task = make("maml", inner_steps=2, inner_learning_rate=0.2).double(), one_task(batch())
    task = task._replace(support=task.support.double(), query=task.query.double())
    method.task_loss(task).backward()
    for parameter in method.parameters():
        place = int(parameter.grad.abs().argmax())
        flat, step, sides = parameter.data.view(-1), 1e-6, []
        for sign in (1, -1):
            flat[place] += sign * step
            sides.append(method.task_loss(task).item())
            flat[place] -= sign * step
        assert parameter.grad.view(-1)[place].item() == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5)


def test_first_order_maml_is_another_gradient_of_the_same_loss():
    found, slopes = batch(), []
    for first_order in (False, True):
        method = make("maml", first_order=first_order)
        terms = method.losses(found, 0.0)
        terms.total.backward()
        slopes.append((terms.total.item(), next(method.parameters()).grad))
    assert slopes[0][0] == pytest.approx(slopes[1][0])
    assert not torch.allclose(slopes[0][1], slopes[1][1])


@pytest.mark.parametrize("kind", ["maml", "anil", "meta_distill"])
@pytest.mark.parametrize("pictures", [False, True])
def test_no_inner_steps_are_plain_supervised_training(kind, pictures):
    method, task = make(kind, pictures=pictures, inner_steps=0), one_task(batch(pictures=pictures))
    known = len(task.support)
    plain = method.network(torch.cat([task.support, task.query]), known)[known:]
    torch.testing.assert_close(method.task_loss(task), functional.cross_entropy(plain, task.query_labels))


def test_anil_moves_the_head_alone():
    method, task = make("anil", inner_steps=3), one_task(batch())
    assert set(method.adapt(task, 3)) == {"weight", "bias"}
    features = method.network.embed(task.support, len(task.support)).detach()
    head = {name: each.detach().clone() for name, each in method.network.head.named_parameters()}
    for _ in range(3):  # by hand
        wrong = functional.linear(features, **head).softmax(dim=1) - functional.one_hot(task.labels, WAYS)
        head["weight"] -= 0.1 * wrong.T @ features / len(features)
        head["bias"] -= 0.1 * wrong.mean(dim=0)
    for name, each in method.adapt(task, 3).items():
        torch.testing.assert_close(each.detach(), head[name])


def test_the_gradient_of_reptile_is_the_way_to_the_adapted_weights():
    method, task = make("reptile", inner_steps=3), one_task(batch())
    whole = task._replace(
        support=torch.cat([task.support, task.query]), labels=torch.cat([task.labels, task.query_labels])
    )
    ends = method.adapt(whole, 3)
    method.task_loss(task).backward()
    for name, parameter in weights_of(method.network).items():
        torch.testing.assert_close(parameter.grad, (parameter - ends[name]).detach())


def test_a_prototype_is_the_mean_of_its_class():
    method, task = make("prototypical"), one_task(batch())
    features = method.network.embed(torch.cat([task.support, task.query]), len(task.support)).detach()
    expected = torch.stack(
        [-(features[6:] - features[:6][task.labels == c].mean(dim=0)).square().sum(dim=1) for c in range(WAYS)], dim=1
    )
    torch.testing.assert_close(method.answers(task), expected)


def test_meta_distillation_adapts_to_the_teacher_and_not_to_labels():
    method, task = make("meta_distill", inner_steps=2), one_task(batch())
    shuffled = task._replace(labels=task.labels.flip(0))
    torch.testing.assert_close(method.answers(task), method.answers(shuffled))
    other = task._replace(told={"features": task.told["features"].flip(0)})
    assert not torch.allclose(method.answers(task), method.answers(other))


def test_meta_distillation_by_hand():
    """One step on T^2 KL at the first weights, and the queries answered with the weights after it."""
    method, task = make("meta_distill", inner_steps=1, temperature=2.0), one_task(batch())
    teacher = imprinted(task.told["features"], task.told["features"], ways=WAYS)
    weights = {name: each.detach().requires_grad_() for name, each in weights_of(method.network).items()}
    student = run(method.network, weights, task.support, len(task.support))
    q, p = (each / 2.0 for each in (teacher, student))
    divergence = (q.softmax(1) * (q.log_softmax(1) - p.log_softmax(1))).sum(dim=1).mean() * 4.0
    slopes = torch.autograd.grad(divergence, list(weights.values()))
    moved = {name: each - 0.1 * slope for (name, each), slope in zip(weights.items(), slopes, strict=True)}
    known = len(task.support)
    after = run(method.network, moved, torch.cat([task.support, task.query]), known)[known:]
    torch.testing.assert_close(method.task_loss(task), functional.cross_entropy(after, task.query_labels))


def test_the_teachers_answers_to_queries_count_where_asked_for():
    whole = make("meta_distill", query_weight=1.0)
    task = one_task(batch())
    logits = whole.queries(task, whole.adapt(task, whole.own.inner_steps))
    teacher = imprinted(task.told["features"], task.told_query["features"], ways=WAYS)
    torch.testing.assert_close(whole.task_loss(task), soft_divergence(logits, teacher, temperature=3.0))


def test_no_gradient_reaches_the_teacher_and_without_one_it_is_said():
    method, task = make("meta_distill"), one_task(batch())
    told = {"features": task.told["features"].clone().requires_grad_()}
    method.task_loss(task._replace(told=told)).backward()
    assert told["features"].grad is None
    with pytest.raises(UserError, match="needs a teacher"):
        method.task_loss(task._replace(told={}, told_query={}))


class Sinusoids(torch.nn.Module):
    """A small regression network, to be adapted to one sine after another (Finn et al. 2017, 5.1)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(1, 20), torch.nn.Tanh(), torch.nn.Linear(20, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def test_more_inner_steps_on_a_sinusoid_lower_the_query_loss():
    torch.manual_seed(0)
    net, generator = Sinusoids(), torch.Generator().manual_seed(1)

    def tasks(n: int) -> dict[str, torch.Tensor]:
        amplitude, phase = (1 + 2 * torch.rand(n, 1, 1, generator=generator) for _ in range(2))
        x = 6 * torch.rand(n, 20, 1, generator=generator) - 3
        return {"x": x, "y": amplitude * torch.sin(x + phase)}

    def loss_on(task, part: slice):
        return lambda weights: functional.mse_loss(run(net, weights, task["x"][part]), task["y"][part])

    def query_loss(task):
        fast = adapted(loss_on(task, slice(10)), weights_of(net), steps=3, learning_rate=0.03)
        return loss_on(task, slice(10, None))(fast)

    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        each_task(query_loss, tasks(10), together=True).mean().backward()
        optimizer.step()

    def curve(task):
        steps = descend(loss_on(task, slice(10)), weights_of(net), steps=6, learning_rate=0.03)
        return torch.stack([loss_on(task, slice(10, None))(now).detach() for now in steps])

    losses = each_task(curve, tasks(100), together=True).mean(dim=0)
    assert losses[1] < losses[0]
    assert losses[3] < losses[1]
    assert losses[3] < 0.5 * losses[0]


def test_prototypes_may_be_learned_among_more_classes_than_are_asked_for(tmp_path):
    tasks, meta = some_tasks(), config("prototypical", ways=5, queries=3, tasks=1)
    feed = EpisodeFeed(tasks, None, meta, meta.prototypical, seed=0)
    (learned, *_), (asked,) = feed.training(0), feed.validation()
    assert (learned.shape, len(learned.names)) == (Shape(5, 2, 3), 1)
    assert next(iter(asked)).shape == Shape(WAYS, 2, 2)
    method, task = new_method("prototypical", meta, tasks, seed=0), one_task(learned)
    with torch.no_grad():
        known, query = method.network.embed(task.support, 10), method.network.embed(task.query, 10)
        distances = torch.cdist(query.double(), known.double().reshape(5, 2, -1).mean(dim=1)) ** 2
        loss = method.losses(learned, 0.0).total
    by_hand = -torch.log_softmax(-distances, dim=1)[torch.arange(15), task.query_labels].mean()
    torch.testing.assert_close(loss.double(), by_hand, rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match="4 classes for meta-training, fewer than the 5"):
        meta_train("prototypical", meta, tasks.only(["c0", "c1", "c2", "c3"]), tasks, seed=0, folder=tmp_path)


def test_the_rate_of_prototypes_falls_to_nothing():
    (phase,) = make("prototypical").phases()
    assert phase.schedule(1.0, 2) == pytest.approx(warmup_cosine(1.0, 2))
    assert phase.schedule(2.0, 2) == pytest.approx(0, abs=1e-12)
