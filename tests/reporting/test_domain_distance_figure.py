from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from medical_transfer.reporting.domain_distance import DISTANCE_NAMES, domain_figure
from medical_transfer.transferability.distances import DISTANCES

PLACES = pd.DataFrame(
    {
        "domain": ["source"] * 3 + ["target"] * 2,
        "site": ["Kiel", "Kiel", None, None, None],
        "first": [0.0, 1, 2, 8, 9],
        "second": [0.0, 2, 1, 1, 0],
    }
)


def row(value: float, p_value: float) -> dict[str, Any]:
    return {"value": value, "p_value": p_value, "null_low": -0.1, "null_high": 0.2, "reason": None}


def told() -> dict[str, Any]:
    each = {"a_distance": row(1.9, 0.001), "frechet": row(1550.0, 0.01), "mmd": row(0.19, 0.001)}
    near = {name: row(0.05, 0.4) for name in each}
    return {
        "overall": {"distances": each},
        "per_class": {"well": {"distances": near}, "rare": {"distances": {}, "reason": "fewer than 5"}},
    }


def texts(axis: Any) -> list[str]:
    return [text.get_text() for text in axis.texts]


def test_menu_and_panels_have_the_same_names() -> None:
    assert set(DISTANCE_NAMES) == set(DISTANCES)


def test_both_sites_are_dots_of_their_colour() -> None:
    plane = domain_figure(told(), PLACES).axes[0]
    drawn = plane.collections[0]
    assert sorted(map(tuple, drawn.get_offsets().tolist())) == sorted(
        zip(PLACES["first"], PLACES["second"], strict=True)
    )
    colours = [tuple(colour) for colour in np.round(drawn.get_facecolors(), 3)]
    left = [colour for colour, (x, _) in zip(colours, drawn.get_offsets(), strict=True) if x < 5]
    assert len(set(left)) == 1
    assert len(set(colours)) == 2
    assert [each.get_label() for each in plane.collections[1:]] == [
        "first site (Kiel): 3 images",
        "second site: 2 images",
    ]


def test_every_distance_has_its_panel_with_chance_and_p_value() -> None:
    panels = domain_figure(told(), PLACES).axes[1:]
    assert [axis.get_title(loc="left") for axis in panels] == list(DISTANCE_NAMES.values())
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["all images", "well"]
    assert texts(panels[list(DISTANCE_NAMES).index("frechet")]) == ["1,550, p 0.01", "0.05, p 0.4"]
    bar, dot, *_ = panels[0].lines
    assert (bar.get_xdata().tolist(), dot.get_xdata().tolist()) == ([-0.1, 0.2], [0.19])


@pytest.mark.parametrize("site", [None, "$a^2$ \n " * 20])
def test_names_of_users_and_undefined_distances_are_drawn(site: str | None) -> None:
    empty = told()
    for each in empty["overall"]["distances"].values():
        each |= {"value": float("nan"), "p_value": float("nan"), "reason": "all images alike"}
    empty["per_class"] = {}
    figure = domain_figure(empty, PLACES.assign(site=site))
    figure.draw_without_rendering()
    assert texts(figure.axes[1]) == ["all images alike"]
