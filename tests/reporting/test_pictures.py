from __future__ import annotations

import numpy as np
import pytest

from medical_transfer.reporting.pictures import Pair, augmentation_sheet, errors_figure, pairs_figure


def picture(value: int, *, grey: bool = False) -> np.ndarray:
    return np.full((8, 10) if grey else (8, 10, 3), value, dtype=np.uint8)


def shown(axis) -> int:
    return int(np.asarray(axis.images[0].get_array()).flat[0])


def test_errors_come_in_order_with_their_captions() -> None:
    figure = errors_figure([picture(value) for value in range(8)], [f"file {n}\ntrue a" for n in range(8)], columns=3)
    assert [shown(axis) for axis in figure.axes if axis.images] == list(range(8))
    assert figure.axes[7].get_title(loc="left") == "file 7\ntrue a"
    assert len(figure.axes) == 9
    assert not figure.axes[8].axison


def test_grey_images_keep_their_brightness() -> None:
    image = errors_figure([picture(40, grey=True)], ["dark"]).axes[0].images[0]
    assert image.get_clim() == (0, 255)


def test_no_error_is_said_in_words() -> None:
    (axis,) = errors_figure([], []).axes
    assert axis.texts[0].get_text() == "No wrong decision among these images"


def test_pairs_kept_stand_left_and_apart_right() -> None:
    kept = [Pair(picture(1), picture(2), 0.987654, "a and b"), Pair(picture(3), picture(4), 0.95)]
    apart = [Pair(picture(5), picture(6), 0.4, "c and d")]
    figure = pairs_figure(kept, apart)
    left, right = figure.subfigs
    assert [shown(axis) for axis in left.axes if axis.images] == [1, 2, 3, 4]
    assert [shown(axis) for axis in right.axes if axis.images] == [5, 6]
    assert left.axes[0].get_title(loc="left") == "correlation 0.988"
    assert "Kept" in left.get_suptitle()
    assert "apart" in right.get_suptitle()


@pytest.mark.parametrize("kept", [[], [Pair(picture(1), picture(2), 0.9)]])
def test_a_side_without_pairs_is_said_in_words(kept: list[Pair]) -> None:
    figure = pairs_figure(kept, [])
    assert figure.subfigs[1].axes[0].texts[0].get_text() == "no such pair"
    figure.draw_without_rendering()


def test_augmented_views_stand_beside_their_original() -> None:
    figure = augmentation_sheet([picture(1), picture(5)], [[picture(2), picture(3)], [picture(6)]], ["one", "two"])
    assert [shown(axis) if axis.images else None for axis in figure.axes] == [1, 2, 3, 5, 6, None]
    assert figure.axes[0].get_title(loc="left") == "one"
    assert figure.axes[1].get_title(loc="left") == "view 1"
    augmentation_sheet([], [], []).draw_without_rendering()
