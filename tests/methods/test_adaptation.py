"""What must hold of every method that learns from a second domain without its labels, and what one of them does."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scipy.special import softmax
from sklearn.metrics import roc_auc_score
from torch.nn import functional

import toy
from medical_transfer.config.adaptation import ADAPTING
from medical_transfer.losses.cdan import conditional_domain_confusion, entropy_weights
from medical_transfer.losses.coral import coral
from medical_transfer.losses.domain_confusion import domain_confusion
from medical_transfer.losses.jmmd import jmmd2
from medical_transfer.losses.mmd import linear_mmd2, mmd2
from medical_transfer.losses.pseudo_labels import (
    adamatch,
    aligned_probabilities,
    confident,
    fixmatch,
    relative_threshold,
)
from medical_transfer.methods import METHODS
from medical_transfer.methods.adaptation import SCORES, Seen, dev_of, strength_at
from medical_transfer.methods.contract import LossTerms, Outputs
from medical_transfer.metrics.importance_weighted import deep_embedded_validation
from medical_transfer.metrics.label_free import TARGET_SCORES
from medical_transfer.runtime.files import read_json
from medical_transfer.schedules import reversal_strength
from medical_transfer.training import callbacks
from medical_transfer.training.fit import fit
from medical_transfer.types import UserError

each_kind = pytest.mark.parametrize("kind", ADAPTING)

WITHOUT = {
    "dann": {"reversal": 0},
    "cdan": {"reversal": 0},
    "mmd": {"weight": 0},
    "jmmd": {"weight": 0},
    "coral": {"weight": 0},
    "self_training": {"weight": 0},
    "dann_self_training": {"reversal": 0, "weight": 0},
}
"""Settings that must be the same as no adaptation; MCD always has a second head that learns."""


def train(folder, method, *, policy="none", **problem):
    data_of = toy.Problem(method.classifier, policy=policy, **{"n_target": 40} | problem)
    return fit(method, data_of, training=toy.config(), seed=4, folder=folder, name="toy")


def make(kind, *, dropout=0.5, **fields):
    quick = {"head_epochs": 1, "epochs": 2, "learning_rate": 1e-3}
    return toy.adapting(kind, toy.classifier(dropout=dropout), **quick | fields)


def started(kind, **fields):
    method = make(kind, dropout=0.0, **fields)
    phase = method.phases()[-1]
    method.start(phase)
    return method, toy.batch(phase, method.classifier)


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_menu_and_the_configuration_name_the_same_methods():
    assert set(METHODS) == {"finetune", "distill", *ADAPTING}
    assert len(SCORES) == len(TARGET_SCORES)


@each_kind
def test_poisoned_target_labels_change_no_bit_of_weights_history_or_choice(kind, tmp_path):
    found = []
    for label in (-1, 0, 1):
        folder = tmp_path / str(label)
        history = train(folder, make(kind), target_label=label).drop(columns="seconds")
        found.append((history, load_file(folder / "best.safetensors"), read_json(folder / "best.json")))
    for history, weights, best in found[1:]:
        pd.testing.assert_frame_equal(history, found[0][0], check_exact=True)
        assert same(weights, found[0][1])
        assert best == found[0][2]


@pytest.mark.parametrize("batch_norm", ["together", "per_domain"])
@pytest.mark.parametrize("kind", WITHOUT)
def test_without_strength_it_is_training_without_the_domain_term_bit_by_bit(kind, batch_norm, tmp_path, monkeypatch):
    method = make(kind, own=WITHOUT[kind], batch_norm=batch_norm, selection="source")
    train(tmp_path / "zero", method)
    plain = make(kind, own=WITHOUT[kind], batch_norm=batch_norm, selection="source")
    monkeypatch.setattr(plain, "domain_term", lambda *_: LossTerms(torch.zeros(())))
    train(tmp_path / "plain", plain)
    assert same(method.classifier.state_dict(), plain.classifier.state_dict())
    images = torch.rand(4, 3, toy.SIZE, toy.SIZE)
    assert torch.equal(*(each.predictor().eval().features(images) for each in (method, plain)))


@each_kind
def test_with_strength_it_is_another_network(kind, tmp_path):
    own = {"schedule": "constant"} if kind in ("dann", "cdan", "mcd", "dann_self_training") else {"weight": 5}
    own |= {"rule": "fixmatch", "threshold": 0.5} if kind == "self_training" else {}
    method, plain = make(kind, own=own, selection="source"), make(kind, selection="source")
    train(tmp_path / "adapted", method)
    plain.domain_term = lambda *_: LossTerms(torch.zeros(()))
    train(tmp_path / "plain", plain)
    one, other = (last_weights(tmp_path / name) for name in ("adapted", "plain"))
    assert any(not torch.equal(one[name], other[name]) for name in one if name.startswith("network.classifier.trunk"))


def last_weights(folder):
    return torch.load(folder / "trunk/last.ckpt", weights_only=True)["state_dict"]


def test_with_frozen_statistics_and_no_strength_it_is_fine_tuning(tmp_path):
    """Up to rounding: the two domains go through the network as one batch."""
    fields = {"head_epochs": 1, "epochs": 2, "learning_rate": 1e-3, "batch_norm": "frozen"}
    adapted = toy.adapting("dann", toy.classifier(dropout=0.0), own={"reversal": 0}, selection="source", **fields)
    plain = toy.finetune(toy.classifier(dropout=0.0), **fields)
    for name, method in (("adapted", adapted), ("plain", plain)):
        # as many rows of the source as of the target, so that epochs are as long
        data_of = toy.Problem(method.classifier, n_target=24 if name == "adapted" else 0)
        fit(method, data_of, training=toy.config(), seed=4, folder=tmp_path / name, name="toy")
    columns = {"adapted": "train_cross_entropy", "plain": "train_loss"}
    ours, theirs = (read_json(tmp_path / name / "history.json")[-1][column] for name, column in columns.items())
    assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize("kind", ["dann", "cdan"])
def test_the_discriminator_learns_at_full_rate_whatever_the_strength(kind):
    gradients = {}
    for strength in (0.0, 0.5, 1.0):
        own = {"reversal": strength, "schedule": "constant", "dropout": 0}
        method, batch = started(kind, own=own | ({"entropy": False} if kind == "cdan" else {}))
        method.losses(batch, 0.0).total.backward()
        gradients[strength] = [p.grad.clone() for p in method.adversary.parameters()]
        assert min(each.abs().max() for each in gradients[strength]) > 0
    assert all(torch.equal(*pair) for pair in zip(gradients[0.0], gradients[1.0], strict=True))
    assert all(torch.equal(*pair) for pair in zip(gradients[0.0], gradients[0.5], strict=True))


def test_only_the_reversed_branch_is_scaled_and_by_minus_the_strength():
    """Gradient of the trunk = that of the labels - strength times that of the discriminator's loss."""

    def gradient(strength, progress=0.0, schedule="constant"):
        method, batch = started("dann", own={"reversal": strength, "schedule": schedule, "dropout": 0})
        method.losses(batch, progress).total.backward()
        return torch.cat([p.grad.flatten() for p in method.classifier.trunk.parameters() if p.requires_grad]).double()

    labels_only = gradient(0)
    method, batch = started("dann", own={"dropout": 0})
    source, target, _ = method._see(batch)
    domain_N = torch.arange(2).repeat_interleave(8)
    logits = method.adversary.layers(torch.cat([source.features, target.features]))
    torch.nn.functional.cross_entropy(logits, domain_N).backward()
    domain = torch.cat([p.grad.flatten() for p in method.classifier.trunk.parameters() if p.requires_grad]).double()
    for strength in (0.3, 2.0):
        torch.testing.assert_close(gradient(strength), labels_only - strength * domain, rtol=1e-3, atol=1e-6)
    at = reversal_strength(0.4)
    torch.testing.assert_close(gradient(1.0, 0.4, "rising"), labels_only - at * domain, rtol=1e-3, atol=1e-6)


def test_the_strength_rises_by_the_share_of_steps():
    assert strength_at(0.0, 2.0, "rising") == 0
    assert strength_at(0.3, 2.0, "rising") == pytest.approx(2 * (2 / (1 + math.exp(-3)) - 1))
    assert strength_at(0.0, 2.0, "constant") == 2.0


def test_the_two_heads_raise_what_the_trunk_lowers():
    method, batch = started("mcd", own={"schedule": "constant"})
    with_term = {name: grad_of(method, batch, name) for name in ("trunk", "head")}
    method.own = method.own.model_copy(update={"reversal": 0.0})
    no_trunk = {name: grad_of(method, batch, name) for name in ("trunk", "head")}
    torch.testing.assert_close(with_term["head"], no_trunk["head"])
    source, target, _ = method._see(batch)
    apart = method.domain_term(source_with(source, batch), target, None, 1.0).parts["disagreement"]
    method.zero_grad()
    apart.backward()  # reversed with strength 0: reaches the heads alone
    raised = torch.cat([p.grad.flatten() for p in method.classifier.head.parameters()])
    method.own = method.own.model_copy(update={"weight": 0.0})
    torch.testing.assert_close(no_trunk["head"], grad_of(method, batch, "head") - raised, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(with_term["trunk"], no_trunk["trunk"])


def source_with(source: Seen, batch) -> Seen:
    return Seen(source.features, source.logits, batch.labels_N)


def test_mcd_is_the_second_heads_loss_less_what_both_heads_disagree_about_on_the_target():
    method, batch = started("mcd", own={"weight": 2.0})
    source, target, _ = method._see(batch)
    second = functional.cross_entropy(method.adversary(source.features), batch.labels_N)
    of_both = [head(target.features).softmax(dim=1) for head in (method.classify, method.adversary)]
    expected = second - 2 * (of_both[0] - of_both[1]).abs().mean()
    torch.testing.assert_close(method.domain_term(source_with(source, batch), target, None, 0.5).total, expected)


def grad_of(method, batch, part):
    method.zero_grad()
    method.losses(batch, 1.0).total.backward()
    parameters = getattr(method.classifier, part).parameters()
    return torch.cat([p.grad.flatten() for p in parameters if p.requires_grad])


def test_mmd_brings_the_features_of_both_domains_together(tmp_path):
    apart = {}
    for weight in (0, 5):
        method = make("mmd", own={"weight": weight}, epochs=6, dropout=0.0, batch_norm="frozen", freeze="none")
        method.selection = partial(lambda steps, _: float(next(steps)), iter(range(100)))  # the last epoch is kept
        train(tmp_path / str(weight), method)
        pictures = (toy.pixels(64, 3)[0], toy.other_pixels(64, 4))
        images = (torch.from_numpy(each).permute(0, 3, 1, 2).float() / 255 for each in pictures)
        with torch.no_grad():
            apart[weight] = mmd2(*(method.classifier.eval().embed(each, 0) for each in images)).item()
    assert apart[5] < 0.5 * apart[0]


# --- the choice of an epoch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "own", "loss"),
    [
        ("mmd", {}, mmd2),
        ("mmd", {"biased": True}, partial(mmd2, biased=True)),
        ("mmd", {"kernel": "linear"}, linear_mmd2),
        ("mmd", {"kernel": "linear", "biased": True}, partial(linear_mmd2, biased=True)),
        ("coral", {}, coral),
    ],
)
def test_a_discrepancy_is_that_of_its_own_block_times_its_weight(kind, own, loss):
    method, batch = started(kind, own={"weight": 3.0, **own})
    source, target, _ = method._see(batch)
    term = method.domain_term(source, target, None, 0.5)
    expected = loss(source.features, target.features)
    torch.testing.assert_close(term.parts[kind], expected)
    torch.testing.assert_close(term.total, 3 * expected)


@pytest.mark.parametrize("entropy", [False, True])
def test_cdan_weighs_images_by_their_certainty_where_it_is_asked_to(entropy):
    method, batch = started("cdan", own={"entropy": entropy, "schedule": "constant"})
    method.adversary.eval()
    source, target, _ = method._see(batch)
    domains = [method.adversary(each, 1.0) for each in (source, target)]
    weights = [entropy_weights(each.logits) for each in (source, target)]
    weighted = conditional_domain_confusion(*domains, source_weights_N=weights[0], target_weights_M=weights[1])
    plain = domain_confusion(*domains)
    assert not torch.allclose(weighted, plain)
    torch.testing.assert_close(method.domain_term(source, target, None, 0.5).total, weighted if entropy else plain)


def test_what_cdan_tells_domains_apart_by_is_features_times_probabilities():
    method, _ = started("cdan")
    seen = drawn(0, spread=2.0, width=method.aligned_dim)
    rows = torch.einsum("nd,nc->ndc", seen.features, seen.logits.softmax(dim=1)).flatten(1)
    discriminator = method.adversary.discriminator.eval()
    torch.testing.assert_close(method.adversary(seen, 1.0), discriminator.layers(rows))


def drawn(seed: int, *, spread: float, width: int = 3) -> Seen:
    """Features and logits of 12 images, surer with a larger `spread`."""
    rng = np.random.default_rng(seed)
    features, logits = rng.normal(size=(12, width)), rng.normal(0, spread, size=(12, 2))
    return Seen(torch.from_numpy(features).float(), torch.from_numpy(logits).float())


def test_self_training_counts_images_by_the_rule_that_is_asked_for():
    own = {"threshold": 0.6, "share": 0.9}
    method, _ = started("self_training", own={"rule": "fixmatch", **own})
    source, target, again = drawn(1, spread=4.0), drawn(2, spread=0.7), drawn(3, spread=0.7)
    weak_MC, source_NC = (each.logits.softmax(dim=1) for each in (target, source))
    fixed = method.domain_term(source, target, again, 0.5).parts
    torch.testing.assert_close(fixed["pseudo"], fixmatch(target.logits, again.logits, threshold=0.6))
    torch.testing.assert_close(fixed["confident"], (weak_MC.amax(dim=1) >= 0.6).float().mean())
    method.own = method.own.model_copy(update={"rule": "adamatch"})
    relative = method.domain_term(source, target, again, 0.5).parts
    aligned_MC = aligned_probabilities(weak_MC, source_mean_C=source_NC.mean(dim=0), target_mean_C=weak_MC.mean(dim=0))
    counted_M = confident(aligned_MC, relative_threshold(source_NC, share=0.9))
    assert 0 < counted_M.sum() < len(counted_M)
    torch.testing.assert_close(relative["pseudo"], adamatch(aligned_MC, again.logits, counted_M))
    torch.testing.assert_close(relative["confident"], counted_M.float().mean())
    assert fixed["pseudo"] != relative["pseudo"]


@pytest.mark.parametrize("biased", [False, True])
def test_jmmd_is_that_of_features_and_probabilities_together(biased):
    method, batch = started("jmmd", own={"weight": 2.0, "biased": biased})
    source, target, _ = method._see(batch)
    layers = [(each.features, each.logits.softmax(dim=1)) for each in (source, target)]
    torch.testing.assert_close(method.domain_term(source, target, None, 0.5).total, 2 * jmmd2(*layers, biased=biased))


@pytest.fixture
def outputs():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(40, 6)), rng.normal(0.5, 1, size=(30, 6))
    return Outputs(rng.normal(size=(40, 2)), np.arange(40) % 2, source, rng.normal(size=(30, 2)), target)


def test_the_score_that_is_named_picks_the_epoch(outputs):
    auroc = roc_auc_score(outputs.labels_N, softmax(outputs.logits_NC, axis=1)[:, 1])
    assert make("dann", selection="source").selection(outputs) == pytest.approx(auroc)
    assert make("dann", selection="dev").selection(outputs) == dev_of(outputs)
    p_MC = softmax(outputs.target_logits_MC, axis=1)
    expected = {
        "entropy": (p_MC * np.log(p_MC)).sum(axis=1).mean(),
        "bnm": np.linalg.svd(p_MC)[1].sum() / np.sqrt(30 * 2),
        "im": -(p_MC.mean(axis=0) * np.log(p_MC.mean(axis=0))).sum() + (p_MC * np.log(p_MC)).sum(axis=1).mean(),
    }
    for name, value in expected.items():
        method = make("dann", selection=name)
        assert method.selection(outputs) == pytest.approx(value)
        assert method.scores(outputs)[name] == pytest.approx(value)
    assert set(method.scores(outputs)) == {"val_auroc", *SCORES}


def test_dev_judges_each_half_by_a_ratio_that_it_had_no_part_in(outputs):
    log_p_NC = np.log(softmax(outputs.logits_NC, axis=1))
    losses_N = -np.array([row[label] for row, label in zip(log_p_NC, outputs.labels_N, strict=True)])
    even, odd = slice(0, None, 2), slice(1, None, 2)
    by_hand = [
        deep_embedded_validation(
            losses_N[mine],
            outputs.features_NH[mine],
            source_features_MD=outputs.features_NH[other],
            target_features_KD=outputs.target_features_MH,
        )
        for mine, other in ((even, odd), (odd, even))
    ]
    assert dev_of(outputs) == pytest.approx(np.mean(by_hand))


def test_the_history_has_all_scores_and_the_result_is_an_adapted_epoch(tmp_path):
    history = train(tmp_path, make("dann", selection="bnm"))
    assert set(history) >= {"selection", "val_auroc", "val_loss", "train_cross_entropy", "train_domain", *SCORES}
    adapted = history[history["phase"] == "trunk"].reset_index()
    assert adapted["selection"].tolist() == adapted["bnm"].tolist()
    best = read_json(tmp_path / "best.json")
    assert (best["phase"], best["epoch"]) == ("trunk", int(adapted["bnm"].argmax()))


# --- batch norm, frozen trunks, kills ---------------------------------------------------------------------------------


def test_batch_norm_is_an_explicit_choice(monkeypatch):
    seen = []
    for choice in ("together", "per_domain", "frozen"):
        method, batch = started("coral", batch_norm=choice)
        norm = [m for m in method.classifier.trunk.modules() if isinstance(m, torch.nn.BatchNorm2d)][-1]
        sizes = []
        norm.register_forward_hook(lambda _, inputs, __, sizes=sizes: sizes.append(len(inputs[0])))
        before = norm.running_mean.clone()
        method.train().losses(batch, 0.0)
        seen.append((sizes, bool(torch.equal(before, norm.running_mean))))
    assert seen == [([16], False), ([8, 8], False), ([16], True)]


def test_each_domain_is_judged_by_its_own_statistics_and_those_of_the_target_are_saved(tmp_path):
    method = make("coral", batch_norm="per_domain", epochs=4)
    train(tmp_path, method)
    method.eval()
    phase = method.phases()[-1]
    method.start(phase)
    batch = toy.batch(phase, method.classifier)
    of_source, of_target = (method.predictions(batch, of_target=flag).logits for flag in (False, True))
    assert not torch.allclose(of_source, of_target)
    assert torch.equal(method.predictor().forward_from(batch.inputs, phase.cut), of_target)


def test_with_a_frozen_trunk_the_hidden_layer_adapts_and_a_linear_head_is_refused():
    network = toy.classifier(head="chapter_2_1")
    head, adapt = toy.adapting("dann", network, freeze="all").phases()
    assert (head.name, head.pairs, head.warms_up) == ("head", False, True)
    assert (adapt.name, adapt.pairs, adapt.cut) == ("adapt", True, 4)
    assert network.embedded_dim == 512
    with pytest.raises(UserError, match=r"model\.freeze=all leaves a linear head alone: set model\.freeze=partial, or"):
        toy.adapting("dann", toy.classifier(), freeze="all").phases()


def test_with_a_frozen_trunk_nothing_of_it_can_be_aligned():
    with pytest.raises(UserError, match=r"not with training\.adaptation\.align=trunk"):
        toy.adapting("dann", toy.classifier(head="chapter_2_1"), freeze="all", align="trunk").phases()


WIDTHS = {
    ("hidden", "linear"): 64,
    ("trunk", "linear"): 64,
    ("hidden", "chapter_2_1"): 512,
    ("trunk", "chapter_2_1"): 64,
}
"""A ResNet-20 ends with 64 channels, the chapter's head has 512 hidden units."""


@pytest.mark.parametrize(("align", "head"), WIDTHS)
def test_the_discriminator_is_as_wide_as_what_is_aligned(align, head):
    method = toy.adapting("dann", toy.classifier(head=head), align=align)
    assert method.adversary.layers[0].in_features == WIDTHS[align, head]


@each_kind
def test_aligning_the_trunk_moves_it_and_leaves_hidden_layers_to_the_classes(kind):
    """What the domain term asks of trunk and head: the head's own layers see nothing of a discrepancy of features."""
    own = {"schedule": "constant"} if kind in ("dann", "cdan", "mcd", "dann_self_training") else {}
    method = toy.adapting(kind, toy.classifier(head="chapter_2_1", dropout=0.0), align="trunk", own=own)
    phase = method.phases()[-1]
    method.start(phase)
    source, target, again = method._see(toy.batch(phase, method.classifier))
    labels_N = toy.batch(phase, method.classifier).labels_N
    method.domain_term(Seen(source.features, source.logits, labels_N), target, again, 0.5).total.backward()
    moved = {
        part: max(
            (p.grad.abs().max().item() for p in getattr(method.classifier, part).parameters() if p.grad is not None),
            default=0.0,
        )
        for part in ("trunk", "head")
    }
    assert moved["trunk"] > 0 or kind == "self_training"  # its answers may all be unsure at first
    if kind in ("dann", "mmd", "coral"):
        assert moved["head"] == 0


def test_with_a_linear_head_both_ways_to_align_are_the_same(tmp_path):
    found = []
    for align in ("hidden", "trunk"):
        method = toy.adapting("dann", toy.classifier(dropout=0.0), align=align, epochs=2, head_epochs=1)
        train(tmp_path / align, method)
        found.append(last_weights(tmp_path / align))
    assert same(*found)


def test_what_the_last_layer_sees_gives_the_networks_own_answer():
    for head in ("linear", "chapter_2_1", "chapter_5_1"):
        network = toy.classifier(head=head).eval()
        images = torch.rand(4, 3, toy.SIZE, toy.SIZE)
        assert torch.equal(network.classify(network.embed(images, 0)), network(images))
        assert network.embed(images, 0).shape == (4, network.embedded_dim)
        assert network.classes == 2


def test_the_adversary_has_its_own_rate_and_its_gradient_is_clipped_by_itself(tmp_path, monkeypatch):
    method = make("dann", own={"learning_rate": 0.05})
    group = method.phases()[-1].groups[-1]
    assert (group["name"], group["lr"]) == ("adversary", 0.05)
    norms = []
    step = torch.optim.AdamW.step

    def watched(self, closure=None):
        found = step(self, closure)
        parts = {}
        for each in self.param_groups:
            parts.setdefault(each.get("part"), []).extend(p.grad.norm() ** 2 for p in each["params"])
        norms.append({part: torch.stack(squares).sum().sqrt().item() for part, squares in parts.items()})
        return found

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    fit(
        method,
        toy.Problem(method.classifier, n_target=40),
        training=toy.config(gradient_clip=1e-3),
        seed=4,
        folder=tmp_path,
        name="toy",
    )
    paired = [each for each in norms if "adversary" in each]
    assert paired
    for each in paired:
        assert each["adversary"] == pytest.approx(1e-3, rel=1e-3)
        assert each[None] == pytest.approx(1e-3, rel=1e-3)


class Killed(BaseException):
    """Like a signal."""


@pytest.mark.parametrize("kind", ["dann", "self_training"])
def test_killed_among_pairs_and_started_again_it_ends_the_same(kind, tmp_path, monkeypatch):
    def run(folder):
        train(folder, make(kind, batch_norm="per_domain", epochs=3, freeze="none"), policy="gentle")
        return pd.DataFrame(read_json(folder / "history.json")).drop(columns="seconds")

    whole = run(tmp_path / "whole")
    check = callbacks.StopOnNaN.on_train_batch_end

    def dying(self, trainer, module, outputs, batch, batch_idx):
        check(self, trainer, module, outputs, batch, batch_idx)
        if (module.phase.name, trainer.current_epoch, batch_idx) == ("trunk", 1, 1):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.StopOnNaN, "on_train_batch_end", dying)
        with pytest.raises(Killed):
            run(tmp_path / "killed")
    pd.testing.assert_frame_equal(run(tmp_path / "killed"), whole, check_exact=True)
    assert same(*(load_file(tmp_path / name / "best.safetensors") for name in ("whole", "killed")))


def test_dann_with_self_training_is_the_sum_of_the_two_and_the_augmented_view_has_no_domain():
    own = {"threshold": 0.5, "weight": 3.0, "dropout": 0.0, "schedule": "constant", "reversal": 0.7}
    method, _ = started("dann_self_training", own=own)
    rng = torch.Generator().manual_seed(1)
    width = method.classifier.embedded_dim
    source, target, again = (
        Seen(torch.randn(n, width, generator=rng, requires_grad=True), torch.randn(n, 2, generator=rng))
        for n in (5, 4, 4)
    )
    term = method.domain_term(source, target, again, 0.5)
    domains = [method.adversary.layers(each.features) for each in (source, target)]
    pseudo = fixmatch(target.logits, again.logits, threshold=0.5)
    assert float(term.total.detach()) == pytest.approx(
        float((domain_confusion(*domains) + 3 * pseudo).detach()), rel=1e-6
    )
    counted = confident(target.logits.softmax(dim=1), 0.5).float().mean()
    assert float(term.parts["confident"]) == float(counted) == 1, "two classes: one has half at least"
    term.total.backward()
    assert again.features.grad is None
    plain = torch.autograd.grad(
        domain_confusion(*(method.adversary.layers(f) for f in (source.features, target.features))), source.features
    )
    torch.testing.assert_close(source.features.grad, -0.7 * plain[0])
