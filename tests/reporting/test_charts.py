from __future__ import annotations

from typing import Any

import pytest

from medical_transfer.reporting.charts import confusion_figure, ranking_figure, split_figure


def texts(axis) -> list[str]:
    return [text.get_text() for text in axis.texts]


def test_confusion_shows_counts_and_row_percent_side_by_side() -> None:
    matrices = {"val": [[8, 2], [0, 5]], "test": [[3, 1], [0, 0]]}
    val, test = confusion_figure(matrices, classes=["no", "yes"]).axes
    assert texts(val) == ["8\n80.0 %", "2\n20.0 %", "0\n0.0 %", "5\n100.0 %"]
    assert texts(test) == ["3\n75.0 %", "1\n25.0 %", "0\n–", "0\n–"]
    assert (val.get_ylabel(), val.get_xlabel()) == ("true class", "decided")
    assert [axis.get_title(loc="left") for axis in (val, test)] == ["Validation: 15 images", "Test: 4 images"]
    assert [label.get_text() for label in val.get_yticklabels()] == ["no", "yes"]


def test_confusion_of_many_classes_stays_readable() -> None:
    names = [f"class {number}" for number in range(20)]
    figure = confusion_figure({"test": [[1] * 20] * 20}, classes=names)
    assert texts(figure.axes[0]) == []
    figure.draw_without_rendering()


def test_ranking_puts_the_best_on_top_and_the_chosen_dark(transferability: dict[str, Any]) -> None:
    probe, accuracy, *unused = ranking_figure(transferability).axes
    assert [label.get_text() for label in probe.get_yticklabels()] == ["lite0", "lite1", "random"]
    assert [line.get_xdata()[0] for line in probe.lines] == [0.9935, 0.991, 0.871]
    dark, *pale = [line.get_color() for line in probe.lines]
    assert dark not in pale
    assert probe.get_ylim()[0] > probe.get_ylim()[1]  # row 0 is on top
    assert [label.get_text() for label in accuracy.get_yticklabels()] == ["lite1", "lite0", "random"]
    assert "not defined" in texts(accuracy)
    assert all(not axis.axison for axis in unused)


def test_ranking_keeps_its_labels_in_the_panel(transferability: dict[str, Any]) -> None:
    values = [-2.2485e-12, -0.088271, 4_652_008.0]
    for source, value in zip(transferability["sources"], values, strict=True):
        source["scores"] = {"sfda": {"value": value, "seconds": 0.1, "reason": None}}
    transferability["ranking"] = {}
    axis = ranking_figure(transferability).axes[0]
    assert texts(axis) == ["-2.2e-12", "-0.08827", "4.65 M"]


def test_ranking_without_any_value_is_drawn(transferability: dict[str, Any]) -> None:
    for source in transferability["sources"]:
        source["scores"]["linear_probe"]["value"] = float("nan")
    ranking_figure(transferability).draw_without_rendering()
    ranking_figure({"sources": [], "ranking": {}, "chosen": None}).draw_without_rendering()


def test_split_bars_are_stacked_counts(leakage: dict[str, Any]) -> None:
    axis = split_figure(leakage).axes[0]
    yes, no = axis.containers
    assert [bar.get_width() for bar in yes] == [1051, 226, 223]
    assert [bar.get_x() for bar in no] == [1051, 226, 223]
    assert [bar.get_width() for bar in no] == [1049, 226, 225]
    assert axis.get_yticklabels()[0].get_text() == "training\n908 groups"


@pytest.mark.parametrize("name", ["$x$ and $y", "<script>", "a\nb\x00", "\udcff"])
def test_names_of_users_are_drawn_as_they_are(name: str) -> None:
    confusion_figure({"test": [[1, 0], [0, 1]]}, classes=[name, "b"]).draw_without_rendering()
