"""What a model saw is kept whole beside it, and a file that is another one is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medical_transfer.models.card import read_card
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.reference import FEWEST_OF_A_CLASS, REFERENCE_FILE, drawn_rows, read_reference
from medical_transfer.types import UserError
from small_model import save_small_model, what_it_saw


def test_what_was_written_is_read(tmp_path: Path) -> None:
    card = save_small_model(tmp_path)
    found, expected = read_reference(tmp_path, card), what_it_saw(load_checkpoint(tmp_path)[0], 40, 2)
    assert found is not None
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)
        assert getattr(found, name).dtype == value.dtype


def test_a_model_without_it_has_none(tmp_path: Path) -> None:
    card = save_small_model(tmp_path, saw=0)
    assert card.reference_sha256 == ""
    assert read_reference(tmp_path, card) is None


def test_a_missing_or_changed_file_is_refused(tmp_path: Path) -> None:
    card, place = save_small_model(tmp_path), tmp_path / REFERENCE_FILE
    content = bytearray(place.read_bytes())
    content[-1] ^= 1
    place.write_bytes(content)
    with pytest.raises(UserError, match=r"another sha256 than the card says, so it is damaged: copy the whole model"):
        read_reference(tmp_path, card)
    place.unlink()
    with pytest.raises(UserError, match=rf"{REFERENCE_FILE} is missing: copy the whole model again"):
        read_reference(tmp_path, read_card(tmp_path))


def test_rows_are_drawn_in_the_shares_of_their_classes_and_rare_ones_are_kept() -> None:
    labels_N = np.repeat([0, 1, 2], [3000, 990, 10])
    rows = drawn_rows(labels_N, np.random.default_rng(0), most=400)
    counts = np.bincount(labels_N[rows])
    assert counts[0] == pytest.approx(300, abs=40)
    assert counts[1] == pytest.approx(99, abs=35)
    assert counts[2] == 10 < FEWEST_OF_A_CLASS
    assert (np.diff(rows) > 0).all()
    assert drawn_rows(labels_N[:50], np.random.default_rng(0), most=400).tolist() == list(range(50))
