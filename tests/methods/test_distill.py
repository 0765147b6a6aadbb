"""What distillation does with a teacher, beside what all methods must do."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn

import toy
from medical_transfer.losses.attention_transfer import attention_transfer
from medical_transfer.losses.dist import relations
from medical_transfer.losses.dkd import decoupled_divergence
from medical_transfer.losses.kd import soft_divergence
from medical_transfer.losses.logit_standardisation import standardised
from medical_transfer.losses.rkd import angle_relation, distance_relation
from medical_transfer.models.teacher import Teacher, map_of
from medical_transfer.training.produce import undo_class_weights
from medical_transfer.types import UserError

BATCH = 7
FEATURES = {"hints_weight": 0.5, "attention_weight": 2.0, "distance_weight": 3.0, "angle_weight": 4.0}


def started(own: dict | None = None, *, phase: int = -1, freeze: str = "none", **fields):
    network = fields.pop("network", None) or toy.classifier(dropout=0)
    method = toy.distilling(network, freeze=freeze, own=own, **fields)
    chosen = method.phases()[phase]
    method.start(chosen)
    return method.eval(), toy.batch(chosen, network, n=BATCH)


def teacher_logits(method, batch) -> np.ndarray:
    with torch.no_grad():
        return method.teacher.members[0](batch.inputs).double().numpy()


def test_the_loss_is_the_chapters_sum():
    method, batch = started({"temperature": 4.0, "soft_weight": 0.3})
    terms = method.losses(batch, 0.0)
    student, labels = method.logits(batch).detach().double().numpy(), batch.labels_N.numpy()
    p, q = (log_softmax(each / 4, axis=1) for each in (teacher_logits(method, batch), student))
    soft = 16 * (np.exp(p) * (p - q)).sum(axis=1).mean()
    hard = -log_softmax(student, axis=1)[np.arange(BATCH), labels].mean()
    assert terms.total.item() == pytest.approx(0.3 * soft + 0.7 * hard, rel=1e-5)
    assert {name: part.item() for name, part in terms.parts.items()} == pytest.approx(
        {"kd": soft, "cross_entropy": hard}, rel=1e-5
    )


def test_weight_0_is_exactly_fine_tuning():
    network = toy.classifier(dropout=0)
    method, batch = started({"soft_weight": 0.0}, network=network)
    plain = toy.finetune(network, freeze="none", cached=False)
    plain.start(plain.phases()[-1])
    assert method.losses(batch, 0.0).total.item() == plain.eval().losses(batch, 0.0).total.item()


def test_penalties_stay_whole_beside_the_teacher():
    method, batch = started({"soft_weight": 1.0}, l2_sp=3e3)
    with torch.no_grad():
        for parameter in method.classifier.trunk.parameters():
            parameter.add_(1e-4)
    terms = method.losses(batch, 0.0)
    assert terms.parts["l2_sp"].item() > 0.1 * terms.parts["kd"].item() > 0
    assert terms.total.item() == pytest.approx((terms.parts["kd"] + terms.parts["l2_sp"]).item(), rel=1e-6)


def test_the_teacher_is_in_eval_mode_learns_nothing_and_is_no_part_of_what_is_saved():
    teacher = Teacher([toy.classifier(seed=5, dropout=0.5).train()])
    method, batch = started(teacher=teacher)
    before = {name: tensor.clone() for name, tensor in teacher.members[0].state_dict().items()}
    method.train()
    method.losses(batch, 0.0).total.backward()
    assert all(parameter.grad is None for parameter in teacher.members[0].parameters())
    after = teacher.members[0].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.training for module in teacher.members[0].modules())
    assert not any(parameter.requires_grad for parameter in teacher.members[0].parameters())
    assert set(method.state_dict()) == {f"classifier.{name}" for name in method.classifier.state_dict()}


def test_the_teacher_sees_the_very_view_of_the_student():
    method, batch = started()
    seen = []
    handle = method.teacher.members[0].normalise.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    method.losses(batch, 0.0)
    handle.remove()
    assert len(seen) == 1
    assert seen[0] is batch.inputs


def test_what_was_told_beforehand_is_taken_as_it_is():
    method, batch = started({"soft_weight": 1.0, "temperature": 1.0})
    told = torch.randn(BATCH, 2, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.kl_div(method.logits(batch).log_softmax(dim=1), told.softmax(dim=1), reduction="batchmean")
    with_told = replace(batch, told={"logits": told})
    assert method.losses(with_told, 0.0).total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_both_parts_ask_for_the_same_where_classes_are_weighted():
    """A student that says of each image w_c p_c / sum(w p) has nothing to learn from a teacher that says p_c.

    That is what is left of it when `undo_class_weights` takes the weights off.
    """
    weights_C = torch.tensor([0.6, 3.0])
    network = toy.classifier(seed=5, dropout=0)
    method, batch = started({"soft_weight": 1.0}, network=network, weights=weights_C)
    taught = toy.classifier(seed=5, dropout=0)
    undo_class_weights(taught, weights_C)
    method.teacher = Teacher([taught])
    assert method.losses(batch, 0.0).parts["kd"].item() == pytest.approx(0, abs=1e-6)


def test_several_teachers_are_the_mean_of_their_logits():
    members = [toy.classifier(seed=seed) for seed in (5, 6)]
    images = torch.rand(3, 3, toy.SIZE, toy.SIZE)
    told = Teacher(members).see(images)
    with torch.no_grad():
        torch.testing.assert_close(told["logits"], (members[0](images) + members[1](images)) / 2)
        torch.testing.assert_close(told["features"], torch.cat([each.features(images) for each in members], dim=1))
    geometric = torch.stack([each(images).div(3).softmax(dim=1) for each in members]).log().mean(dim=0).softmax(dim=1)
    torch.testing.assert_close(told["logits"].div(3).softmax(dim=1), geometric.detach())


def test_answers_from_features_are_without_dropout():
    """Cached views are judged without `see`, so that no other step puts the head into eval mode."""
    network = toy.classifier(seed=5, dropout=0.5)
    features_ND = torch.randn(4, network.trunk.feature_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network.eval().head(network.standardise(features_ND))
    network.train()
    torch.testing.assert_close(Teacher([network]).judge([features_ND])["logits"], expected)


def test_features_and_maps_are_compared_with_their_weights():
    method, batch = started(FEATURES)
    terms = method.losses(batch, 0.0)
    compared = {name.removesuffix("_weight"): weight for name, weight in FEATURES.items()}
    extra = sum(weight * terms.parts[name] for name, weight in compared.items())
    both = 0.7 * terms.parts["kd"] + 0.3 * terms.parts["cross_entropy"]
    assert terms.total.item() == pytest.approx((both + extra).item(), rel=1e-6)
    teacher, mine = method.teacher.members[0], method.classifier
    with torch.no_grad():
        theirs, own = (each.trunk.run(each.normalise(batch.inputs), 0, 3) for each in (teacher, mine))
        assert terms.parts["attention"].item() == pytest.approx(attention_transfer(own, theirs).item(), rel=1e-5)
        expected = nn.functional.mse_loss(method.regressor(own), theirs)
        assert terms.parts["hints"].item() == pytest.approx(expected.item(), rel=1e-5)
        features = mine.standardise(mine.features(batch.inputs)), teacher.features(batch.inputs)
        assert terms.parts["distance"].item() == pytest.approx(distance_relation(*features).item(), rel=1e-4)
        assert terms.parts["angle"].item() == pytest.approx(angle_relation(*features).item(), rel=1e-4)


@pytest.mark.parametrize("name", [weight.removesuffix("_weight") for weight in FEATURES])
def test_what_is_compared_reaches_the_students_trunk(name):
    method, batch = started(FEATURES)
    method.losses(batch, 0.0).parts[name].backward()
    first = next(method.classifier.trunk.parameters())
    assert first.grad.abs().max() > 0


def test_the_regressor_learns_with_the_student_and_is_not_predicted_with():
    method = toy.distilling(toy.classifier(), freeze="none", own={"hints_weight": 1.0})
    head, trunk = method.phases()
    assert "hint_regressor" not in {group["name"] for group in head.groups}
    (group,) = [each for each in trunk.groups if each["name"] == "hint_regressor"]
    assert {id(each) for each in group["params"]} == {id(each) for each in method.regressor.parameters()}
    method.start(head)
    assert not any(each.requires_grad for each in method.regressor.parameters())
    method.start(trunk)
    method.losses(toy.batch(trunk, method.classifier), 0.0).total.backward()
    assert all(each.grad.abs().max() > 0 for each in method.regressor.parameters())
    assert not any("regressor" in name for name in method.predictor().state_dict())


def test_nothing_is_compared_while_only_the_head_learns():
    method, batch = started(FEATURES, phase=0)
    assert set(method.losses(batch, 0.0).parts) == {"kd", "cross_entropy"}


def test_which_map_is_compared():
    network = toy.classifier()
    assert map_of(network, None, "student") == (3, 32)  # before layer3: 32 channels
    assert map_of(network, 1, "student") == (1, 16)
    chapter = toy.classifier(architecture="house/chapter_student")
    assert map_of(chapter, None, "student") == (1, 32), "before its linear layer there is no map any more"
    with pytest.raises(UserError, match=r"student_cut is 2, but the student \(house/chapter_student\) has maps before"):
        map_of(chapter, 2, "student")


def test_hints_that_reach_nothing_are_refused():
    with pytest.raises(UserError, match=r"before stage 3, but nothing before it learns: set model.freeze=none"):
        toy.distilling(toy.classifier(), freeze="partial", stages=1, own={"hints_weight": 1.0}).phases()
    with pytest.raises(UserError, match="2 teachers have no map in common"):
        toy.distilling(
            toy.classifier(), own={"attention_weight": 1.0}, teacher=Teacher([toy.classifier(), toy.classifier()])
        )


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"loss": "dkd"}, "loss=dkd ranks the classes beside the true one"),
        ({"standardised": True}, "standardised leaves of 2 logits"),
        ({"loss": "dist", "dist": {"intra_weight": 0.0}}, "the other relation of DIST says nothing"),
    ],
)
def test_what_two_classes_make_meaningless_is_refused(own, sentence):
    with pytest.raises(UserError, match=sentence):
        toy.distilling(toy.classifier(), own=own)
    toy.distilling(toy.classifier(classes=3), own=own)


def test_dist_says_what_it_leaves_out_with_two_classes(caplog):
    with caplog.at_level(logging.INFO, logger="medical_transfer"):
        toy.distilling(toy.classifier(), own={"loss": "dist"})
    assert any("compares images within a class only" in message for message in caplog.messages)


OWN_WEIGHTS = {"dkd": {"target_weight": 2.0, "others_weight": 3.0}, "dist": {"inter_weight": 2.0, "intra_weight": 0.5}}
CHOICES = {
    "kd": lambda student, teacher, _: soft_divergence(student, teacher, temperature=2.0),
    "dkd": lambda student, teacher, labels: decoupled_divergence(
        student, teacher, labels, temperature=2.0, **OWN_WEIGHTS["dkd"]
    ),
    "dist": lambda student, teacher, _: relations(student, teacher, temperature=2.0, **OWN_WEIGHTS["dist"]),
}


@pytest.mark.parametrize("standard", [False, True])
@pytest.mark.parametrize("loss", CHOICES)
def test_the_teachers_part_is_the_loss_that_was_chosen(loss, standard):
    method, batch = started(
        {"loss": loss, "standardised": standard, "temperature": 2.0, **OWN_WEIGHTS},
        network=toy.classifier(dropout=0, classes=3),
    )
    labels_N = batch.rows_N % 3
    logits = torch.randn(2, BATCH, 3, generator=torch.Generator().manual_seed(0))
    student, teacher = (standardised(each) for each in logits) if standard else logits
    expected = CHOICES[loss](student, teacher, labels_N)
    assert method.soft(*logits, labels_N).item() == pytest.approx(expected.item(), rel=1e-6)
    others = [name for name in CHOICES if name != loss]
    assert all(abs(CHOICES[name](student, teacher, labels_N).item() - expected.item()) > 0.01 for name in others)


@pytest.mark.parametrize("own", [{"loss": "dist"}, {"loss": "dkd", "standardised": True}])
def test_each_loss_of_three_classes_can_be_lowered(own):
    network = toy.classifier(dropout=0, classes=3)
    method = toy.distilling(network, freeze="none", own={"soft_weight": 1.0, **own})
    phase = method.phases()[-1]
    method.start(phase)
    batch = toy.batch(phase, network)
    batch = replace(batch, labels_N=batch.rows_N % 3)
    optimizer = torch.optim.Adam([{"params": group["params"]} for group in phase.groups], lr=5e-4)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        terms = method.losses(batch, 0.0)
        terms.total.backward()
        optimizer.step()
        losses.append(terms.total.item())
    assert losses[-1] < 0.8 * losses[0], losses
