"""One model beside no adaptation: where both sites' images lie, and how much of each class is found.

Shapes: C classes; a confusion matrix has the truth in its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from medical_transfer.reporting.curves import wilson
from medical_transfer.reporting.domain_distance import COLOURS
from medical_transfer.reporting.style import INK, PALETTE, headline, key_below, name_axes, new_figure, note, tick_names
from medical_transfer.reporting.units import NOT_DEFINED, count_text, decimal_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SITES: Final = {"source": "first site", "target": "second site"}
BEFORE_COLOUR, AFTER_COLOUR = PALETTE[7], PALETTE[0]


def planes_figure(places: pd.DataFrame, named: Mapping[str, str], invariance: Mapping[str, float]) -> Figure:
    """Validation images of both sites on the plane of each model's largest differences.

    Args:
        places: `method`, `domain` (source or target), `first`, `second`.
        named: method -> its name for readers, in the order of the panels.
        invariance: method -> proxy A-distance of its features.
    """
    figure, axes = new_figure(columns=len(named), width=4.6 * len(named), height=4.5)
    for axis, (method, name) in zip(axes[0], named.items(), strict=True):
        mine = places[places["method"] == method]
        _scatter(axis, mine)
        headline(
            axis, f"{name[:1].upper()}{name[1:]}\nsites told apart: {decimal_text(invariance[method], digits=2)} of 2"
        )
        name_axes(axis, x="first principal component", y="second")
    counts = places[places["method"] == next(iter(named))]["domain"].value_counts()
    for domain, word in SITES.items():
        label = f"{word}: {count_text(int(counts.get(domain, 0)))} validation images"
        axes[0, 0].scatter([], [], color=COLOURS[domain], s=26, label=label)
    key_below(figure, columns=2)
    return figure


def _scatter(axis: Axes, places: pd.DataFrame) -> None:
    order = np.random.default_rng(0).permutation(len(places))  # so that neither site lies on top of the other
    colours = places["domain"].map(COLOURS).to_numpy()[order]
    first_P, second_P = (places[column].to_numpy()[order] for column in ("first", "second"))
    axis.scatter(first_P, second_P, c=colours, s=15, alpha=0.6, lw=0)
    axis.set_xticklabels([])
    axis.set_yticklabels([])


def recalls(confusion: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Share found (C,), NaN for a class without images, and images (C,) of each class."""
    matrix_CC = np.asarray(confusion, dtype=np.float64)
    images_C = matrix_CC.sum(axis=1)
    return np.diag(matrix_CC) / np.where(images_C > 0, images_C, np.nan), images_C.astype(np.int64)


def recall_table(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> pd.DataFrame:
    """Recall of each class on the second site's test images without and with adaptation.

    Args:
        before: `about` of the evaluation of the model without adaptation.
        after: the same of the other one.
        name: how that one is called.
    """
    (plain_C, images_C), (adapted_C, _) = (recalls(about["confusion"]["test"]) for about in (before, after))
    rows = zip(before["classes"], images_C, plain_C, adapted_C, strict=True)
    return pd.DataFrame(
        [
            {
                "Class": label,
                "Images": count_text(int(images)),
                "Recall, no adaptation": decimal_text(float(plain)),
                f"Recall, {name}": decimal_text(float(adapted)),
                "Change": NOT_DEFINED if np.isnan(adapted - plain) else f"{adapted - plain:+.3f}",
            }
            for label, images, plain, adapted in rows
        ]
    )


def recall_figure(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> Figure:
    """The same as a figure, with Wilson's 95 % intervals, which take images as independent."""
    classes = list(before["classes"])
    figure, axes = new_figure(width=8.0, height=1.9 + 0.55 * len(classes))
    axis = axes[0, 0]
    headline(axis, "Share of each class that is found, test images of the second site")
    name_axes(axis, x="recall")
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(len(classes) - 0.5, -0.5)
    axis.set_yticks(range(len(classes)), tick_names(classes))
    for about, label, colour, offset in (
        (before, "no adaptation", BEFORE_COLOUR, -0.13),
        (after, name, AFTER_COLOUR, 0.13),
    ):
        found_C, images_C = recalls(about["confusion"]["test"])
        known = np.flatnonzero(images_C)
        low, high = wilson(found_C[known], images_C[known])
        places = known + offset
        axis.hlines(places, low, high, color=colour, linewidth=2)
        axis.plot(found_C[known], places, "o", color=colour, markersize=7, label=label)
        for share, place in zip(found_C[known], places, strict=True):
            text = {"textcoords": "offset points", "xytext": (0, 6), "ha": "center", "fontsize": 8.5, "color": INK}
            axis.annotate(f"{share:.2f}", (share, place), **text)
    if not recalls(before["confusion"]["test"])[1].any():
        note(axis, "the second site's test images have no labels")
    key_below(figure, columns=2)
    return figure
