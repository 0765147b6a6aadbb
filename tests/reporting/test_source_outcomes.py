"""What each source reached, and scores against it, as pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medical_transfer.reporting.source_outcomes import mmd_figure, outcomes_figure, scores_figure

TARGETS, SOURCES = ["ct", "x$ray"], ["lite0", "graph", "random"]


def means() -> pd.DataFrame:
    values = {"ct": [0.9, 0.8, 0.7], "x$ray": [0.6, np.nan, 0.65]}
    rows = [
        (outcome, target, source, value - 0.1 * (outcome == "lp_ft_auroc"))
        for outcome in ("probe_auroc", "lp_ft_auroc")
        for target, row in values.items()
        for source, value in zip(SOURCES, row, strict=True)
    ]
    return pd.DataFrame(rows, columns=["outcome", "target", "source", "mean"])


def points(score: str = "logme", outcomes: tuple[str, ...] = ("probe_auroc", "lp_ft_auroc")) -> pd.DataFrame:
    rows = [
        (outcome, score, target, source, place + 100 * number, 0.1 * place - 0.1, domain)
        for outcome in outcomes
        for number, target in enumerate(TARGETS)
        for place, (source, domain) in enumerate(zip(SOURCES, ["ImageNet", "COCO", "none"], strict=True))
    ]
    return pd.DataFrame(rows, columns=["outcome", "score", "target", "source", "x", "y", "domain"])


def test_every_cell_has_its_number_and_the_best_of_a_target_is_bold() -> None:
    probe, tuned = outcomes_figure(means()).axes
    assert [text.get_text() for text in probe.texts] == ["0.900", "0.800", "0.700", "0.600", "–", "0.650"]
    assert [text.get_text() for text in probe.texts if text.get_fontweight() == "bold"] == ["0.900", "0.650"]
    assert tuned.texts[0].get_text() == "0.800"
    assert [label.get_text() for label in tuned.get_xticklabels()] == SOURCES
    assert [label.get_text() for label in probe.get_yticklabels()] == ["ct", r"x\$ray"]
    assert "linear probe" in probe.get_title(loc="left")


def test_colours_compare_sources_of_one_target() -> None:
    shares = np.ma.filled(outcomes_figure(means()).axes[0].images[0].get_array(), np.nan)
    assert shares == pytest.approx(np.array([[1, 0.5, 0], [0, np.nan, 1]]), nan_ok=True)


def test_scores_are_shown_within_targets_against_fine_tuning() -> None:
    figure = scores_figure(points(), {("lp_ft_auroc", "logme"): 0.5, ("probe_auroc", "logme"): -1.0})
    (axis,) = figure.axes
    assert axis.get_title(loc="left").endswith("τ = 0.50")
    _, *lines = axis.lines  # the first one is the zero
    for line in lines:  # 0, 1, 2 and 100, 101, 102 are alike within their targets
        assert line.get_xdata() == pytest.approx([-1, 0, 1])
        assert line.get_ydata() == pytest.approx([-0.1, 0, 0.1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ct", r"x\$ray"]


def test_the_mmd_score_has_a_figure_of_its_own_by_domain() -> None:
    figure = mmd_figure(points("rdm_spearman_mmd"), {("probe_auroc", "rdm_spearman_mmd"): 0.25})
    literal, sound = figure.axes
    assert "not defined" in literal.texts[0].get_text()
    assert "τ = 0.25" in sound.get_title(loc="left")
    assert "too few sources" in literal.get_title(loc="left")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ImageNet", "COCO", "none"]
    assert sound.lines[1].get_xdata() == pytest.approx([0, 100]), "as the formula gives it"


def test_nothing_measured_is_said() -> None:
    for figure in (
        outcomes_figure(means()[:0]),
        scores_figure(points()[:0], {}),
        mmd_figure(points()[:0], {}),
        scores_figure(points(outcomes=("probe_auroc",)), {("probe_auroc", "logme"): None}),
    ):
        figure.draw_without_rendering()
