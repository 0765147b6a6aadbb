"""Models side by side on the second site's test images: AUROC with its interval, one row per method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medical_transfer.reporting.style import PALETTE, headline, name_axes, new_figure, note
from medical_transfer.reporting.units import missing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "source_only": "no adaptation",
    "target_oracle": "trained on the target's labels",
    "dann": "DANN",
    "cdan": "CDAN",
    "mmd": "MMD",
    "jmmd": "JMMD",
    "coral": "Deep CORAL",
    "mcd": "MCD",
    "self_training": "self-training",
    "dann_self_training": "DANN + self-training",
    "histogram_matching": "histogram matching",
    "stronger_augmentation": "stronger augmentation",
    "batch_norm": "batch norm of the target",
    "feature_alignment": "aligned frozen features",
}
"""Methods as people call them."""


def method_name(method: str) -> str:
    """A method as people call it."""
    return NAMES.get(method, method)


def methods_figure(methods: Mapping[str, Mapping[str, Any]], *, chosen: str) -> Figure:
    """Test AUROC of each method with its interval; the one chosen without labels is dark.

    Args:
        methods: method -> its evaluation, as in `adapted_evaluation.json`.
        chosen: the method that was taken without labels.
    """
    figure, axes = new_figure(width=8.0, height=1.2 + 0.42 * len(methods))
    axis = axes[0, 0]
    known = {name: found["test"]["auroc"] for name, found in methods.items()}
    known = {name: row for name, row in known.items() if not missing(row["estimate"])}
    for place, (name, row) in enumerate(known.items()):
        colour = PALETTE[0] if name == chosen else PALETTE[7]
        if not missing(row["low"]):
            axis.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2)
        axis.plot(row["estimate"], place, "o", color=colour, markersize=7)
    axis.set_yticks(range(len(known)), [method_name(name) for name in known])
    axis.invert_yaxis()
    axis.axvline(0.5, color=PALETTE[7], linewidth=1, linestyle=":")
    headline(axis, "Second site, test images; blue: chosen without labels")
    name_axes(axis, x="AUROC, with its interval over groups")
    if not known:
        note(axis, "the second site's test images have no labels of all classes")
    return figure
