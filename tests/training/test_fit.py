from __future__ import annotations

import logging
import math

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch.nn import functional

import toy
from medical_transfer.runtime.files import read_json
from medical_transfer.training.fit import fit
from medical_transfer.types import UserError

HIDDEN = "chapter_2_1"
"""A head whose loss is not convex."""


def train(
    folder, *, dropout=0.5, freeze="partial", head="linear", policy="none", prepare=lambda method: None, **fields
):
    """Train a toy network; `prepare` may change the method before."""
    fields = {"head_epochs": 3, "head_learning_rate": 0.01, "learning_rate": 1e-3} | fields
    method = toy.finetune(toy.classifier(dropout=dropout, head=head), freeze=freeze, **fields)
    prepare(method)
    problem = toy.Problem(method.classifier, policy=policy)
    return method, fit(method, problem, training=method_config(fields), seed=4, folder=folder, name="toy")


def method_config(fields):
    return toy.config(**{name: value for name, value in fields.items() if name != "stages"})


def scored(scores, seen=None):
    """Let the epochs have these validation scores, and keep the weights of the head at each."""
    remaining = iter(scores)

    def prepare(method):
        def selection(outputs):
            if seen is not None:
                seen.append(method.classifier.head[1].weight.detach().clone())
            return next(remaining)

        method.selection = selection

    return prepare


def test_history_has_a_row_per_epoch_with_the_published_columns(tmp_path):
    _, history = train(tmp_path, epochs=2)
    assert history["phase"].tolist() == ["head"] * 3 + ["trunk"] * 2
    assert history["epoch"].tolist() == [0, 1, 2, 0, 1]
    assert history["step"].tolist() == [3, 6, 9, 3, 6]
    assert set(history) == {"phase", "epoch", "step", "train_loss", "val_loss", "val_auroc", "lr", "seconds"}
    assert (history["seconds"] > 0).all()
    pd.testing.assert_frame_equal(history, pd.DataFrame(read_json(tmp_path / "history.json")))


def test_validation_figures_against_scikit_learn_and_torch(tmp_path):
    seen = []

    def spy(method):
        judged = method.selection

        def selection(outputs):
            seen.append((outputs.logits_NC, outputs.labels_N))
            return judged(outputs)

        method.selection = selection

    _, history = train(tmp_path, epochs=1, prepare=spy)
    for (_, row), (logits_NC, labels_N) in zip(history.iterrows(), seen, strict=True):
        assert labels_N.tolist() == [0, 1] * 8
        auroc = roc_auc_score(labels_N, logits_NC[:, 1] - logits_NC[:, 0])
        assert row["val_auroc"] == pytest.approx(auroc, abs=1e-12)
        loss = functional.cross_entropy(torch.from_numpy(logits_NC), torch.from_numpy(labels_N))
        assert row["val_loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_the_training_loss_of_an_epoch_is_the_mean_over_its_images(tmp_path):
    losses = []

    def spy(method):
        original = method.losses

        def recorded(batch, progress):
            terms = original(batch, progress)
            losses.append((len(batch), terms.total.item()))
            return terms

        method.losses = recorded

    _, history = train(tmp_path, freeze="all", head_epochs=2, prepare=spy)
    for epoch in (0, 1):
        sizes, values = np.array(losses[3 * epoch : 3 * epoch + 3]).T
        assert history["train_loss"][epoch] == pytest.approx((sizes * values).sum() / sizes.sum(), rel=1e-5)


def test_early_stopping_after_patience(tmp_path):
    seen = []
    scores = [0.6, 0.7, 0.69, 0.65, 0.99]
    method, history = train(
        tmp_path, freeze="all", head=HIDDEN, head_epochs=9, patience=2, prepare=scored(scores, seen)
    )
    assert history["val_auroc"].tolist() == pytest.approx([0.6, 0.7, 0.69, 0.65])
    assert torch.equal(method.classifier.head[1].weight, seen[1])
    best = read_json(tmp_path / "best.json")
    assert (best["selection"], best["phase"], best["epoch"]) == (0.7, "head", 1)


def test_a_phase_that_converges_runs_to_its_end_and_keeps_that(tmp_path):
    seen = []
    method, history = train(
        tmp_path, freeze="all", head_epochs=5, patience=1, prepare=scored([0.6, 0.7, 0.69, 0.65, 0.62], seen)
    )
    assert len(history) == 5
    assert torch.equal(method.classifier.head[1].weight, seen[4])
    assert read_json(tmp_path / "best.json")["epoch"] == 4


def test_equal_scores_are_told_apart_by_the_validation_loss(tmp_path):
    seen = []
    method, history = train(
        tmp_path, head_epochs=1, epochs=4, patience=4, schedule="constant", prepare=scored([1.0] * 5, seen)
    )
    least = int(history["val_loss"].argmin())
    assert least > 0, "the first epoch must not be the best by accident"
    assert torch.equal(method.classifier.head[1].weight, seen[least])


@pytest.mark.parametrize(
    ("head", "scores", "best"),
    [
        (HIDDEN, [0.6, 0.9, 0.7, 0.8, 0.5], 1),
        (HIDDEN, [0.6, 0.9, 0.7, 0.8, 0.95], 4),
        ("linear", [0.6, 0.9, 0.7, 0.8, 0.5], 3),
        ("linear", [0.6, 0.9, 0.7, 0.65, 0.5], 2),
    ],
)
def test_the_best_weights_over_all_phases_are_left(tmp_path, head, scores, best):
    seen = []
    method, _ = train(tmp_path, head=head, epochs=2, schedule="constant", prepare=scored(scores, seen))
    assert len({tensor.numpy().tobytes() for tensor in seen}) == 5
    assert torch.equal(method.classifier.head[1].weight, seen[best])


def broken_from(step: int):
    """Make the loss of the method NaN from this step of its whole life on."""

    def prepare(method):
        original, steps = method.losses, iter(range(1000))

        def losses(batch, progress):
            terms = original(batch, progress)
            return type(terms)(terms.total * (math.nan if next(steps) >= step else 1.0))

        method.losses = losses

    return prepare


def test_a_loss_that_is_no_number_ends_with_a_sentence_and_what_was_best(tmp_path):
    levels = [logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")]
    # 3 epochs of 3 steps of the head come first; step 13 of all is then epoch 1, step 1 of the trunk
    with pytest.raises(UserError, match=r"became NaN .* in phase 'trunk', epoch 1, step 1\. The best .* are kept"):
        train(tmp_path, prepare=broken_from(13))
    assert [logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")] == levels
    assert read_json(tmp_path / "best.json")["phase"] in ("head", "trunk")
    assert (tmp_path / "best.safetensors").stat().st_size > 0
    assert len(read_json(tmp_path / "history.json")) == 4


def test_predictions_that_are_no_numbers_end_with_a_sentence(tmp_path):
    def prepare(method):
        method.logits = lambda batch: (
            method.classifier.forward_from(batch.inputs, method.cut) * (1.0 if method.training else math.nan)
        )

    with pytest.raises(UserError, match=r"Predictions became NaN or infinite in phase 'head', epoch 0"):
        train(tmp_path, prepare=prepare)
    assert not (tmp_path / "best.safetensors").exists()


def test_an_undefined_validation_score_ends_with_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"undefined in phase 'head', epoch 1: a class has no validation image"):
        train(tmp_path, prepare=scored([0.5, math.nan]))


def test_bf16_trains_and_is_judged_in_full_numbers(tmp_path):
    kinds = []

    def spy(method):
        original = method.logits

        def logits(batch):
            found = original(batch)
            kinds.append(found.dtype)
            return found

        method.logits = logits

    method, history = train(tmp_path, epochs=1, number_format="bf16", prepare=spy)
    assert set(kinds) == {torch.bfloat16}
    assert np.isfinite(history[["train_loss", "val_loss", "val_auroc"]]).all(axis=None)
    assert {parameter.dtype for parameter in method.parameters()} == {torch.float32}
    assert read_json(tmp_path / "trunk.done.json")["format"] == "bf16 channels_last"


def test_learning_parts_are_in_training_mode_however_they_came(tmp_path):
    modes = []

    def prepare(method):
        method.classifier.eval()
        original = method.losses

        def losses(batch, progress):
            network = method.classifier.trunk.network
            modes.append((method.classifier.head.training, network.layer3.training, network.layer2.training))
            return original(batch, progress)

        method.losses = losses

    train(tmp_path, head_epochs=1, epochs=1, prepare=prepare)
    assert modes == [(True, False, False)] * 3 + [(True, True, False)] * 3


def test_weights_are_left_in_the_plain_memory_format(tmp_path):
    method, _ = train(tmp_path, head_epochs=1, epochs=1)
    assert all(parameter.is_contiguous() for parameter in method.parameters())


def test_it_learns(tmp_path):
    _, history = train(tmp_path, dropout=0.0, freeze="none", head_epochs=6, epochs=4, patience=9)
    assert history["val_auroc"].max() == 1.0
    assert history["train_loss"].iloc[5] < 0.5 * math.log(2)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(), "stopped from outside in phase 'head'.*the same command again"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "Out of memory with training.batch_size=8"),
    ],
)
def test_a_stop_and_a_lack_of_memory_end_in_a_sentence(tmp_path, monkeypatch, error, message):
    def stopped(*_, **__):
        raise error

    monkeypatch.setattr("lightning.Trainer.fit", stopped)
    with pytest.raises(UserError, match=message):
        train(tmp_path)


def test_other_errors_pass_as_they_are(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("lightning.Trainer.fit", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(tmp_path)


def test_algorithms_are_deterministic_and_memory_is_not_filled_while_training_only(tmp_path):
    def settings():
        return torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory

    seen = []

    def spy(method):
        losses = method.losses

        def watched(batch, progress):
            seen.append(settings())
            return losses(batch, progress)

        method.losses = watched

    before = settings()
    train(tmp_path, epochs=1, prepare=spy)
    assert set(seen) == {(True, False)}
    assert settings() == before


def test_a_checkpoint_of_the_head_holds_no_trunk_and_one_of_the_trunk_what_moves_of_it(tmp_path):
    method, _ = train(tmp_path, freeze="partial", stages=1, head=HIDDEN, batch_norm="adapt", epochs=1)

    def kept(phase):
        state = torch.load(tmp_path / phase / "last.ckpt", weights_only=True)["state_dict"]
        return {name.removeprefix("network.classifier.") for name in state if name.startswith("network.")}

    trunk = method.classifier.trunk
    last = [
        name for part in trunk.plan.stages[-1].parts if not part.endswith("()") for name in [f"trunk.network.{part}"]
    ]
    names = set(method.classifier.state_dict())
    head = {name for name in names if name.startswith("head.")}
    moving = {name for name in names if name.startswith(tuple(f"{part}." for part in last))}
    assert {name for name in kept("head") if name.startswith(("trunk.", "head."))} == head
    assert {name for name in kept("trunk") if name.startswith(("trunk.", "head."))} == head | moving
    assert any("running_mean" in name for name in moving)


def test_the_best_weights_hold_what_moved_and_are_put_back_upon_what_their_phase_began_with(tmp_path):
    method, _ = train(tmp_path, prepare=scored([0.1, 0.2, 0.9, 0.3, 0.2, 0.1]), freeze="none", epochs=3, patience=3)
    assert read_json(tmp_path / "best.json")["phase"] == "head"
    best, began = (load_file(tmp_path / name) for name in ("best.safetensors", "head/first.safetensors"))
    assert not [name for name in best if name.startswith("classifier.trunk")]
    for name, tensor in method.state_dict().items():  # the trunk has moved since, and is as it was
        assert torch.equal(tensor, best.get(name, began[name])), name
