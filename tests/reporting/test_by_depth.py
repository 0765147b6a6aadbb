from __future__ import annotations

from typing import Any

import pytest

from medical_transfer.reporting.by_depth import depth_figure

NAN = float("nan")


def scored(probe: float, logme: float) -> dict[str, Any]:
    return {
        "scores": {"h_score": {"value": NAN}, "linear_probe": {"value": probe}, "logme": {"value": logme}},
        "fold_aurocs": [probe - 0.1, probe, probe + 0.05],
    }


def layers(*, kept: int = 2, untrained: bool = True) -> dict[str, Any]:
    stages = [
        {"name": name, **scored(0.6 + number / 10, number), "untrained": scored(0.5, -number) if untrained else None}
        for number, name in enumerate(["stem", "$layer$", "top"])
    ]
    suggestion = {"kept": kept, "trainable_stages": 3 - kept, "settings": {"model.freeze": "partial"}}
    return {
        "source": "resnet",
        "untrained_source": False,
        "images": 1200,
        "stages": stages,
        "suggestion": suggestion,
    }


def test_probe_first_with_its_folds_and_a_panel_for_every_other_score() -> None:
    probe, h_score, logme = depth_figure(layers()).axes
    assert probe.get_title(loc="left") == "Transferability by depth: resnet, 1,200 training images"
    pretrained, control = probe.lines[:2]
    assert list(pretrained.get_ydata()) == pytest.approx([0.6, 0.7, 0.8])
    assert list(control.get_ydata()) == [0.5, 0.5, 0.5]
    assert [line.get_label() for line in (pretrained, control)] == ["pretrained", "random weights"]
    band = probe.collections[0].get_datalim(probe.transData)
    assert (band.y0, band.y1) == pytest.approx((0.5, 0.85))  # lowest fold of the first stage, highest of the last
    assert [list(line.get_ydata()) for line in logme.lines[:2]] == [[0, 1, 2], [0, -1, -2]]
    assert [text.get_text() for text in h_score.texts] == ["not defined"]
    assert [axis.get_ylabel() for axis in (h_score, logme)] == ["H-score (shrunk)", "LogME"]
    assert [label.get_text() for label in logme.get_xticklabels()] == ["stem", r"\$layer\$", "top"]


def test_the_cut_stands_between_what_is_kept_and_what_is_retrained() -> None:
    figure = depth_figure(layers(kept=2))
    for axis in figure.axes:
        assert list(axis.lines[-1].get_xdata()) == [1.5, 1.5]
    assert [text.get_text() for text in figure.legends[0].texts] == ["pretrained", "random weights", "suggested cut"]
    for axis in figure.axes:
        assert (axis.patches[0].get_x(), axis.patches[0].get_width()) == (1.5, 1.0)
    kept, retrained = figure.axes[0].texts
    assert (kept.get_text(), kept.get_ha()) == ("kept as it is", "right")
    assert (retrained.get_text(), retrained.get_ha()) == ("retrained", "left")


def test_where_nothing_is_cut_off_nothing_is_shaded() -> None:
    probe, *_ = depth_figure(layers(kept=3)).axes
    assert (len(probe.lines), len(probe.patches)) == (2, 0)
    assert [text.get_text() for text in probe.texts] == ["kept as it is"]


def test_without_control_probe_or_suggestion_it_is_drawn() -> None:
    content = layers(untrained=False) | {"suggestion": {"settings": None}, "untrained_source": True}
    for stage in content["stages"]:
        stage["scores"]["linear_probe"]["value"], stage["fold_aurocs"] = NAN, []
    figure = depth_figure(content)
    figure.draw_without_rendering()
    assert [text.get_text() for text in figure.axes[0].texts] == ["not defined"]
    assert figure.axes[0].lines[0].get_label() == "random weights"
