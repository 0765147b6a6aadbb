from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

import toy
from medical_transfer.methods.contract import Outputs
from medical_transfer.training.fit import fit


def started(method):
    phase = method.phases()[-1]
    method.start(phase)
    return method, phase


def numpy_cross_entropy(logits_NC, labels_N, weights_C, smoothing):
    """Sum over i, c of target_ic w_c (-log p_ic) over the sum of w_{y_i}: weighted, smoothed, mean by weight."""
    shifted = logits_NC - logits_NC.max(axis=1, keepdims=True)
    log_p_NC = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    total, weight = 0.0, 0.0
    classes = logits_NC.shape[1]
    for i, label in enumerate(labels_N):
        for c in range(classes):
            target = (1 - smoothing) * (c == label) + smoothing / classes
            total -= target * weights_C[c] * log_p_NC[i, c]
        weight += weights_C[label]
    return total / weight


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights_C", [None, [0.4, 1.6]])
def test_loss_is_weighted_smoothed_cross_entropy(smoothing, weights_C):
    weights = None if weights_C is None else torch.tensor(weights_C)
    method, phase = started(toy.finetune(toy.classifier(dropout=0), weights=weights, label_smoothing=smoothing))
    method.eval()
    batch = toy.batch(phase, method.classifier, n=7)
    terms = method.losses(batch, 0.0)
    logits_NC, labels_N = method.logits(batch).detach().double().numpy(), batch.labels_N.numpy()
    w = np.ones(2) if weights_C is None else np.array(weights_C)
    assert terms.total.item() == pytest.approx(numpy_cross_entropy(logits_NC, labels_N, w, smoothing), rel=1e-5)
    assert not terms.parts
    if smoothing == 0:
        p = np.exp(logits_NC) / np.exp(logits_NC).sum(axis=1, keepdims=True)
        assert terms.total.item() == pytest.approx(log_loss(labels_N, p, sample_weight=w[labels_N]), rel=1e-5)


def test_l2_sp_pulls_what_moves_of_the_trunk_back():
    alpha = 0.3
    method, phase = started(toy.finetune(toy.classifier(dropout=0).double(), l2_sp=alpha))
    method.eval()
    start = {name: p.detach().clone() for name, p in method.classifier.trunk.named_parameters()}
    batch = toy.batch(phase, method.classifier.float())  # the data are made in single precision
    method.double()
    batch = type(batch)(batch.inputs.double(), batch.labels_N, batch.rows_N)
    assert method.losses(batch, 0.0).parts["l2_sp"].item() == 0
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in method.classifier.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
    terms = method.losses(batch, 0.0)
    terms.parts["l2_sp"].backward(retain_graph=True)
    moves = {n: p for n, p in method.classifier.trunk.named_parameters() if n.startswith("network.layer3")}
    pull = sum(float(((p.detach() - start[n]) ** 2).sum()) for n, p in moves.items())
    assert terms.parts["l2_sp"].item() == pytest.approx(alpha / 2 * pull, rel=1e-12)
    for name, parameter in method.classifier.trunk.named_parameters():
        if name in moves:
            torch.testing.assert_close(
                parameter.grad, alpha * (parameter.detach() - start[name]), rtol=1e-12, atol=1e-15
            )
        else:
            assert parameter.grad is None
    assert all(parameter.grad is None for parameter in method.classifier.head.parameters())
    torch.testing.assert_close(terms.total, terms.parts["cross_entropy"] + terms.parts["l2_sp"])


def test_l2_sp_has_nothing_to_pull_while_only_the_head_learns():
    method = toy.finetune(toy.classifier(), l2_sp=0.3)
    head = method.phases()[0]
    method.start(head)
    assert not method.losses(toy.batch(head, method.classifier), 0.0).parts


@pytest.mark.parametrize(
    ("freeze", "stages", "head_first", "expected"),
    [
        ("all", 1, True, [("head", 4, 20, 1e-3)]),
        ("all", 1, False, [("head", 4, 20, 1e-3)]),
        ("partial", 1, True, [("head", 4, 20, 1e-3), ("trunk", 3, 6, 3e-4)]),
        ("partial", 3, True, [("head", 4, 20, 1e-3), ("trunk", 1, 6, 3e-4)]),
        ("partial", 1, False, [("trunk", 3, 6, 3e-4)]),
        ("none", 1, True, [("head", 4, 20, 1e-3), ("trunk", 0, 6, 3e-4)]),
        ("none", 1, False, [("trunk", 0, 6, 3e-4)]),
    ],
)
def test_phases_of_each_strategy(freeze, stages, head_first, expected):
    rates = {"head_epochs": 20, "head_learning_rate": 1e-3, "epochs": 6, "learning_rate": 3e-4}
    method = toy.finetune(toy.classifier(), freeze=freeze, stages=stages, head_first=head_first, **rates)
    phases = method.phases()
    found = [(p.name, p.cut, p.epochs, max(group["lr"] for group in p.groups)) for p in phases]
    assert found == expected


def test_stages_learn_slower_the_lower_they_are():
    groups = toy.finetune(toy.classifier(), freeze="none", learning_rate=1e-3, multiplier=2.0).phases()[-1].groups
    rates = {group["name"].removesuffix("/no_decay"): group["lr"] for group in groups}
    assert rates == pytest.approx(
        {"head": 1e-3, "layer3": 5e-4, "layer2": 2.5e-4, "layer1": 1.25e-4, "stem": 6.25e-5}, rel=1e-12
    )


def test_selection_is_the_auroc_of_validation():
    rng = np.random.default_rng(0)
    method = toy.finetune(toy.classifier())
    labels_N, logits_NC = np.arange(40) % 2, rng.normal(size=(40, 2))
    expected = roc_auc_score(labels_N, logits_NC[:, 1] - logits_NC[:, 0])
    assert method.selection(Outputs(logits_NC, labels_N)) == pytest.approx(expected, abs=1e-12)
    labels_N, logits_NC = np.arange(60) % 3, rng.normal(size=(60, 3))
    p_NC = np.exp(logits_NC) / np.exp(logits_NC).sum(axis=1, keepdims=True)
    expected = roc_auc_score(labels_N, p_NC, multi_class="ovr", average="macro")
    assert method.selection(Outputs(logits_NC, labels_N)) == pytest.approx(expected, abs=1e-12)


def test_the_trunk_starts_from_the_best_head(tmp_path, monkeypatch):
    hidden = toy.classifier(head="chapter_2_1")
    method = toy.finetune(hidden, head_epochs=3, epochs=1, head_learning_rate=0.01, schedule="constant")
    scores, heads, at_start = iter([0.5, 0.9, 0.7, 0.1]), [], []

    def selection(outputs):
        heads.append(method.classifier.head[1].weight.detach().clone())
        return next(scores)

    monkeypatch.setattr(method, "selection", selection)
    problem = toy.Problem(method.classifier)

    def data_of(phase):
        at_start.append((phase.name, method.classifier.head[1].weight.detach().clone()))
        return problem(phase)

    fit(method, data_of, training=toy.config(), seed=0, folder=tmp_path, name="toy")
    assert [name for name, _ in at_start] == ["head", "trunk"]
    assert not torch.equal(heads[1], heads[2])
    assert torch.equal(at_start[1][1], heads[1])
    assert torch.equal(load_file(tmp_path / "best.safetensors")["classifier.head.1.weight"], heads[1])


def test_the_head_phase_is_least_where_scikit_learns_logistic_regression_is():
    """mean CE + l2/2 ||W||^2 with W = (-w/2, w/2) is logistic regression with C = 2 / (n l2)."""
    n, l2 = 40, 0.3
    method = toy.finetune(toy.classifier(dropout=0.0), head_l2=l2)
    head = method.phases()[0]
    method.start(head)
    batch = toy.batch(head, method.classifier, n=n)
    features_ND = method.classifier.standardise(batch.inputs).double().numpy()
    labels_N = batch.labels_N.numpy()
    fitted = LogisticRegression(C=2 / (n * l2), tol=1e-10, max_iter=10_000).fit(features_ND, labels_N)
    linear = method.classifier.head[1]
    with torch.no_grad():
        half_D = torch.from_numpy(fitted.coef_[0] / 2).float()
        linear.weight.copy_(torch.stack([-half_D, half_D]))
        linear.bias.copy_(torch.tensor([-fitted.intercept_[0] / 2, fitted.intercept_[0] / 2]))
    method.losses(batch, 0.0).total.backward()
    assert linear.weight.grad.abs().max() < 1e-5
    assert linear.bias.grad.abs().max() < 1e-5


def test_a_head_with_hidden_units_has_weight_decay_instead_of_the_ridge():
    method = toy.finetune(toy.classifier(head="chapter_2_1"), head_l2=0.3, weight_decay=0.02)
    head = method.phases()[0]
    method.start(head)
    assert not method.losses(toy.batch(head, method.classifier), 0.0).parts
    assert {group["weight_decay"] for group in head.groups} == {0.02, 0.0}


def test_a_network_that_cannot_be_cut_learns_from_images(monkeypatch):
    network = toy.classifier()
    monkeypatch.setattr(type(network.trunk), "cuttable", property(lambda _: False))
    head, trunk = toy.finetune(network, freeze="partial", stages=1).phases()
    assert (head.cut, head.frozen) == (4, 4)
    assert (trunk.cut, trunk.frozen) == (0, 3)


def test_without_a_cache_every_phase_learns_from_images_and_freezes_the_same():
    cached, anew = (toy.finetune(toy.classifier(), head_l2=0.1, cached=cached).phases() for cached in (True, False))
    assert [(p.name, p.cut, p.frozen) for p in cached] == [("head", 4, 4), ("trunk", 3, 3)]
    assert [(p.name, p.cut, p.frozen) for p in anew] == [("head", 0, 4), ("trunk", 0, 3)]
    for one, other in zip(cached, anew, strict=True):
        assert (one.epochs, one.converges) == (other.epochs, other.converges)
        for a, b in zip(one.groups, other.groups, strict=True):
            assert [a[name] for name in ("name", "lr", "weight_decay")] == [
                b[name] for name in ("name", "lr", "weight_decay")
            ]


@pytest.mark.parametrize("number", [0, 1])
def test_losses_of_images_are_those_of_their_activations(number):
    found = []
    for cached in (True, False):
        method = toy.finetune(toy.classifier(dropout=0), head_l2=0.1, l2_sp=0.3, cached=cached)
        phase = method.phases()[number]
        method.start(phase)
        with torch.no_grad():
            for parameter in method.classifier.trunk.network.layer3.parameters():
                parameter.add_(0.01)  # so that both penalties count
        terms = method.eval().losses(toy.batch(phase, method.classifier), 0.0)
        found.append({"total": terms.total.item()} | {name: part.item() for name, part in terms.parts.items()})
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert set(found[0]) == {"total", "cross_entropy", ("head_l2", "l2_sp")[number]}


def test_training_on_cached_activations_ends_where_training_on_images_does(tmp_path):
    """Without augmentation and with the same order of batches both are the same computation."""
    ends = []
    for cached in (True, False):
        fields = {"head_l2": 0.1, "head_epochs": 2, "epochs": 2, "learning_rate": 1e-3, "cached": cached}
        method = toy.finetune(toy.classifier(dropout=0), **fields)
        folder = tmp_path / str(cached)
        fit(method, toy.Problem(method.classifier), training=toy.config(**fields), seed=0, folder=folder, name="toy")
        ends.append(torch.cat([p.detach().flatten() for p in method.parameters()]))
    start = torch.cat([p.detach().flatten() for p in toy.finetune(toy.classifier(dropout=0)).parameters()])
    assert (ends[0] - start).norm() > 0.05
    assert (ends[0] - ends[1]).norm() < 0.02 * (ends[0] - start).norm()
