"""Batches of two domains on their way from the rows to the method, and back to what an epoch is judged by."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import toy
from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.model import Model
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.methods.contract import Predictions
from medical_transfer.methods.finetune import FineTune
from medical_transfer.runtime.files import read_json
from medical_transfer.training import module as module_file
from medical_transfer.training.fit import fit
from medical_transfer.training.learning_set import LearningSet, UnlabelledSet, unlabelled_set
from medical_transfer.training.phase_rows import prepare_rows
from medical_transfer.types import UserError


class Watcher(FineTune):
    """Learns as fine-tuning does, from batches of pairs, and notes what it was given."""

    twice = False

    def phases(self):
        head, *moving = super().phases()
        return replace(head, warms_up=True), *(replace(phase, pairs=True, twice=self.twice) for phase in moving)

    def losses(self, batch, progress):
        self.batches = [*getattr(self, "batches", []), batch]
        return super().losses(batch, progress)

    def predictions(self, batch, *, of_target=False):
        self.judged = [*getattr(self, "judged", []), (of_target, len(batch))]
        logits = self.logits(batch)
        return Predictions(logits, logits * 2)

    def selection(self, outputs):
        self.outputs = [*getattr(self, "outputs", []), outputs]
        return next(self.remaining)

    def scores(self, outputs):
        return {"val_auroc": super().selection(outputs), "shift": float(outputs.target_logits_MC.mean())}


def watcher(*, freeze="partial", scores=(0.9, 0.8, 0.1, 0.2, 0.15), **fields) -> Watcher:
    method = Watcher(
        toy.classifier(head="chapter_2_1"),
        model=Model(freeze=freeze, trainable_stages=1),
        training=toy.config(head_epochs=2, epochs=3, learning_rate=1e-3, **fields),
    )
    method.remaining = iter(scores)
    return method


def train(folder, method, **problem):
    data_of = toy.Problem(method.classifier, **{"n_target": 40} | problem)
    return fit(method, data_of, training=toy.config(), seed=4, folder=folder, name="toy")


def test_the_method_gets_pairs_in_its_phases_and_both_sites_are_judged_in_all(tmp_path):
    method = watcher()
    train(tmp_path, method)
    head, moving = method.batches[:6], method.batches[6:]
    assert all(batch.target is None for batch in head)
    assert len(moving) == 3 * 5, "as long as the 40 target rows"
    assert {batch.target.shape for batch in moving} == {batch.inputs.shape for batch in moving}
    assert method.judged == [(False, 16), (True, 16)] * 5
    for outputs in method.outputs:
        assert outputs.logits_NC.shape == outputs.target_logits_MC.shape == (16, 2)
        assert not np.allclose(outputs.logits_NC, outputs.target_logits_MC)
        np.testing.assert_allclose(outputs.target_features_MH, 2 * outputs.target_logits_MC)
        assert outputs.labels_N.tolist() == [0, 1] * 8


def test_what_warms_up_is_no_result_however_good_and_its_best_epoch_is_where_the_next_begins(tmp_path):
    method = watcher()
    train(tmp_path, method)
    assert (read_json(tmp_path / "best.json")["phase"], read_json(tmp_path / "best.json")["epoch"]) == ("trunk", 1)
    other = watcher(scores=[0.5, 0.9])
    other.phases = lambda: Watcher.phases(other)[:1]
    train(tmp_path / "alone", other)
    kept = read_json(tmp_path / "alone" / "best.json")
    assert (kept["phase"], kept["epoch"]) == ("head", 1), "unless nothing comes after it"


def test_the_history_tells_the_selection_beside_the_auroc(tmp_path):
    history = train(tmp_path, watcher())
    assert history["selection"].tolist() == pytest.approx([0.9, 0.8, 0.1, 0.2, 0.15])
    assert set(history) >= {"val_auroc", "shift"}
    assert history["val_auroc"].between(0, 1).all()


def test_patience_is_about_the_selection(tmp_path):
    method = watcher(scores=[0.9, 0.8, 0.5, 0.4, 0.3, 0.6], batch_norm="frozen")
    data_of = toy.Problem(method.classifier, n_target=8)
    history = fit(method, data_of, training=toy.config(patience=1), seed=4, folder=tmp_path, name="toy")
    assert history["phase"].tolist() == ["head", "head", "trunk", "trunk"]


def test_both_domains_are_augmented_by_streams_of_their_own(tmp_path, monkeypatch):
    seen = []

    def brighten(images, generator):
        seen.append(generator.initial_seed())
        return images + 10

    monkeypatch.setattr(module_file, "POLICIES", {"gentle": brighten})
    method = watcher(freeze="none")
    train(tmp_path, method, policy="gentle")
    trunk = method.batches[6:]
    assert min(batch.inputs.min() for batch in trunk) >= 10
    assert min(batch.target.min() for batch in trunk) >= 10
    assert len(set(seen)) == 2 * 3
    twice = watcher(freeze="none")
    twice.twice = True
    train(tmp_path / "twice", twice, policy="gentle")
    for batch in twice.batches[6:]:
        torch.testing.assert_close(batch.target + 10, batch.target_again)


@pytest.mark.parametrize("freeze", ["partial", "none"])
def test_target_labels_cannot_change_a_bit(tmp_path, freeze):
    histories = []
    for label in (-1, 1):
        folder = tmp_path / str(label)
        histories.append(train(folder, watcher(freeze=freeze), target_label=label).drop(columns="seconds"))
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    one, other = (load_file(tmp_path / str(label) / "best.safetensors") for label in (-1, 1))
    assert all(torch.equal(one[name], other[name]) for name in one)


# --- rows of both sites -----------------------------------------------------------------------------------------------


def rows(count: int, labels_N) -> LabelledRows:
    slots_N = np.arange(count)
    return LabelledRows(tuple(f"i{slot}" for slot in slots_N), slots_N, labels_N, slots_N)


def test_cached_views_of_both_sites_are_what_the_network_makes_of_their_images(tmp_path):
    pixels_NSS3, labels_N = toy.pixels(12)
    second = SimpleNamespace(pixels_NSS3=toy.other_pixels(10), key="other pixels")
    first = SimpleNamespace(pixels_NSS3=pixels_NSS3, key="pixels")
    unknown_N = np.full(10, -1)
    beside = UnlabelledSet(rows(10, unknown_N), rows(6, unknown_N[:6]), second)
    learning = LearningSet(("a", "b"), rows(12, labels_N), rows(8, labels_N[:8]), first, beside)
    method = watcher()
    recipe = SimpleNamespace(
        source=SimpleNamespace(identity={"name": "toy"}, weights=None),
        augmentation=Augmentation(views=2, policy="flips"),
        training=toy.config(),
        folders=SimpleNamespace(features=tmp_path),
        seed=3,
    )
    prepared = prepare_rows(method.phases(), method.classifier, learning, recipe)
    head, trunk = (prepared.of(phase) for phase in method.phases())
    assert head.target is None
    assert [len(array) for array in trunk.target.views_V] == [10] * 3
    assert [len(array) for array in trunk.target_val.views_V] == [6]
    expected = toy.activations(method.classifier, second.pixels_NSS3, 3).numpy()
    np.testing.assert_allclose(trunk.target.views_V[0], expected, atol=2e-3, rtol=1e-3)
    np.testing.assert_allclose(trunk.target_val.views_V[0], expected[:6], atol=2e-3, rtol=1e-3)
    flat = toy.activations(method.classifier, second.pixels_NSS3[:6], 4).numpy()
    np.testing.assert_allclose(head.target_val.views_V[0], flat, atol=1e-4)
    uncached = prepared.of(replace(method.phases()[1], cut=0))
    assert uncached.target.views_V[0] is uncached.target_val.views_V[0] is second.pixels_NSS3


class FakeCache:
    @staticmethod
    def slots(image_ids):
        return np.array(image_ids, dtype=np.int64)


def test_a_second_site_must_fill_a_batch_and_be_judged():
    manifest = pd.DataFrame({"image_id": range(12), "group_id": "g", "status": "ok"})
    manifest["split"] = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    found = unlabelled_set(manifest, FakeCache(), batch_size=8)
    assert (len(found.train), len(found.val)) == (8, 2)
    with pytest.raises(
        UserError, match=r"has 8 usable training images, fewer than a batch of 9: lower training\.batch"
    ):
        unlabelled_set(manifest, FakeCache(), batch_size=9)
    with pytest.raises(UserError, match="has 0 usable validation images"):
        unlabelled_set(manifest[manifest["split"] != "val"], FakeCache(), batch_size=8)
