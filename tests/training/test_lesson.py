"""What a teacher tells beforehand belongs to the views that the student learns from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import toy
from medical_transfer.config.augmentation import Augmentation
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.models.teacher import Teacher
from medical_transfer.training.learning_set import LearningSet
from medical_transfer.training.lesson import learn_lesson
from medical_transfer.training.phase_rows import prepare_rows

SLOTS = (7, 2, 9, 4, 0, 5)


def labelled(slots, labels_N) -> LabelledRows:
    slots_N = np.array(slots)
    return LabelledRows(tuple(map(str, slots)), slots_N, labels_N[slots_N], slots_N)


@pytest.fixture
def learning() -> LearningSet:
    pixels_NSS3, labels_N = toy.pixels(20)
    cache = SimpleNamespace(pixels_NSS3=pixels_NSS3, key="pixels")
    return LearningSet(("a", "b"), labelled(SLOTS, labels_N), labelled(range(12, 20), labels_N), cache)


def recipe(folder, policy="flips", **fields) -> SimpleNamespace:
    return SimpleNamespace(
        source=SimpleNamespace(identity={"name": "toy"}, weights=None),
        augmentation=Augmentation(views=3, policy=policy),
        training=toy.config(**fields),
        folders=SimpleNamespace(features=folder),
        seed=3,
    )


@pytest.mark.parametrize("policy", ["flips", "none", "chapter"])
def test_each_view_of_each_row_has_the_teachers_own_answer_to_it(learning, tmp_path, policy):
    """Where the student learns from images: the picture of a batch and what is told of it, against the teacher."""
    teacher = Teacher([toy.classifier(seed=5), toy.classifier(seed=6)])
    given = recipe(tmp_path, policy)
    lesson = learn_lesson(teacher, learning, given, map_cut=None, pictures=True)
    method = toy.distilling(toy.classifier(), freeze="none", head_first=False, cached=True)
    (phase,) = method.phases()
    data = prepare_rows((phase,), method.classifier, learning, given, lesson).of(phase)
    assert data.policy == "none", "the views are augmented already"
    assert len(data.train.views_V) == (1 if policy == "none" else 4)
    seen = set()
    for seed in range(8):
        for batch in data.training(seed):
            told = teacher.see(data.as_float(batch.inputs))
            for name in ("logits", "features"):
                torch.testing.assert_close(batch.told[name], told[name], rtol=0.02, atol=0.1)  # 8 bits a pixel
            seen |= {picture.numpy().tobytes() for picture in batch.inputs}
    assert len(seen) == 6 if policy == "none" else len(seen) > 12


def test_with_activations_the_answers_are_to_the_same_views(learning, tmp_path):
    """The student is its own teacher: logits from its cached activations are those that are told beside them."""
    network = toy.classifier(dropout=0)
    teacher = Teacher([toy.classifier(dropout=0)])
    given = recipe(tmp_path)
    method = toy.distilling(network, cached=True, teacher=teacher)
    phase = method.phases()[-1]
    assert 0 < phase.cut < 4
    lesson = learn_lesson(teacher, learning, given, map_cut=3, pictures=False)
    assert lesson.pictures_V == ()
    rows = prepare_rows(method.phases(), network, learning, given, lesson)
    teacher.members[0].standardise.load_state_dict(network.standardise.state_dict())
    network.standardise.load_state_dict(toy.classifier(dropout=0).standardise.state_dict())
    method.start(phase)
    for batch in rows.of(phase).training(0):
        given_floats = batch.with_inputs(lambda inputs: inputs.float())
        torch.testing.assert_close(method.eval().logits(given_floats), batch.told["logits"], rtol=0.01, atol=0.01)
        torch.testing.assert_close(given_floats.inputs, batch.told["map"].float())


def test_validation_is_told_nothing(learning, tmp_path):
    teacher = Teacher([toy.classifier(seed=5)])
    given = recipe(tmp_path)
    lesson = learn_lesson(teacher, learning, given, map_cut=None, pictures=True)
    method = toy.distilling(toy.classifier(), freeze="none", cached=True)
    rows = prepare_rows(method.phases(), method.classifier, learning, given, lesson)
    for phase in method.phases():
        assert all(not batch.told for batch in rows.of(phase).validation()[0])
        assert all(batch.told for batch in rows.of(phase).training(0))
