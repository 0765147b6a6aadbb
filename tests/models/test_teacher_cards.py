"""Which trained models may teach a student."""

from __future__ import annotations

import pytest
from test_checkpoint import card

from medical_transfer.models.checkpoint import save_checkpoint
from medical_transfer.models.teacher import load_teacher
from medical_transfer.models.teacher_cards import check_teachers, facts_of_teachers, read_teachers
from medical_transfer.types import UserError

STUDENT = {"classes": ("no", "unsure", "yes"), "split_hash": "s", "size": 32, "fit": "squash"}


@pytest.fixture
def teacher(tmp_path, classifier_of):
    save_checkpoint(tmp_path / "teacher", classifier_of().eval(), card())
    return tmp_path / "teacher"


def test_one_of_the_same_classes_pictures_and_split_may_teach(teacher):
    (found,) = check_teachers([teacher], **STUDENT)
    assert facts_of_teachers([found]) == {"teachers": [[found.sha256, found.card_sha256]]}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"classes": ("no", "yes")}, "tells no, unsure, yes apart, the student is to tell no, yes"),
        ({"classes": ("yes", "unsure", "no")}, "the student is to tell yes, unsure, no"),
        ({"size": 64}, r"images of 32 px, fit 'squash', but these are of 64 px.*set images.size=32"),
        ({"fit": "pad"}, "fit 'pad', and both must see the same picture"),
        ({"split_hash": "another"}, r"another split \(hash s, here another\), so it may have seen images"),
    ],
)
def test_another_question_is_refused(teacher, fields, sentence):
    with pytest.raises(UserError, match=sentence):
        check_teachers([teacher, teacher], **STUDENT | fields)


def test_none_a_missing_one_and_a_changed_one_are_refused(teacher):
    with pytest.raises(UserError, match=r"training.distill.teacher is empty: set it to the folder"):
        read_teachers([])
    with pytest.raises(UserError, match="holds no model"):
        read_teachers([teacher.parent / "elsewhere"])
    weights = teacher / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    for read in (read_teachers, load_teacher):
        with pytest.raises(UserError, match="another sha256"):
            read([teacher])
    weights.unlink()
    with pytest.raises(UserError, match=r"model.safetensors is missing"):
        read_teachers([teacher])
