from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from medical_transfer.reporting.curves import Predicted, roc_figure
from medical_transfer.reporting.embedding import png_of
from medical_transfer.reporting.pictures import errors_figure
from medical_transfer.reporting.report import FIGURE_TEXTS, ReportContent, render_report
from medical_transfer.reporting.training_curves import training_figure

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Texts, elements and attributes of a page; refuses elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def check_self_contained(page: Page, html: str) -> None:
    assert page.open == []
    assert "script" not in page.elements
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in {"src", "href", "srcset", "action", "poster", "data"}:
            assert value and value.startswith(("data:image/", "#"))
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert len(html.encode()) < 3_000_000


@pytest.mark.parametrize("case", ["content", "hostile_content"])
def test_page_is_one_file_without_script(case: str, request: pytest.FixtureRequest) -> None:
    html = render_report(request.getfixturevalue(case))
    check_self_contained(Page(html), html)


def test_sections_and_their_anchors(content: ReportContent) -> None:
    page = Page(render_report(content))
    anchors = [value[1:] for name, value in page.attributes if name == "href" and value]
    ids = [value for name, value in page.attributes if name == "id"]
    assert set(anchors) <= set(ids)
    assert ids == [
        "summary",
        "data",
        "source",
        "trained",
        "results",
        "calibration",
        "errors",
        "time",
        "limits",
        "checklists",
        "reproduce",
    ]


def test_numbers_shown_are_those_given(content: ReportContent) -> None:
    text = Page(render_report(content)).text
    for shown in (
        "0.993 (0.987–0.997)",  # test AUROC
        "0.995 (0.990–0.999)",  # validation AUROC
        "1,311",  # groups after the pixel check
        "219 of 223",
        "not defined (the test split has no image of class 'maybe')",
        "0.9935 (1.)",
        "Built: lite0",
        "1,050",  # trainable parameters in all
        "2 min 07 s",  # 31.2 + 95.9 s
        "truncated",
        "non-commercial use only",
        "4f1c09e2",
        "with uncommitted changes",
        "model.freeze: all",
        "b7714e02aa93c1ff",
        "2.15.0",
        "kedro run --pipeline=x",
        "temperature 1.310",
        "no/<b>.jpg",  # escaped in the source, read back by the parser
        "Not for clinical use without validation on local data.",
    ):
        assert shown in text, shown


def test_every_decimal_comes_from_the_input(content: ReportContent) -> None:
    """Decimals with three digits are roundings of numbers of the evaluation, or temperature and threshold."""
    page = Page(render_report(replace(content, transferability=None)))
    given = {"0.500"}
    for split in ("val", "test"):
        for row in content.evaluation[split].values():
            given |= {f"{row[name]:.3f}" for name in ("estimate", "low", "high") if row[name] is not None}
        given |= {f"{share:.3f}" for share in content.evaluation["about"]["prevalence"][split].values()}
    given |= {f"{content.model_card[name]:.3f}" for name in ("temperature", "threshold")}
    assert set(re.findall(r"(?<![\d.])\d\.\d{3}(?!\d)", page.text)) <= given


def test_hostile_names_stay_text(hostile_content: ReportContent) -> None:
    html = render_report(hostile_content)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert 'onload="x' not in html
    text = Page(html).text
    assert "class 'b\" onload=\"x' has no image, so metrics that need it are undefined." in text
    assert "AUROC, <script>alert(1)</script>" in text


def test_surrogates_of_undecodable_names_can_be_written(hostile_content: ReportContent) -> None:
    render_report(hostile_content).encode("utf-8")


def test_nothing_quarantined_and_no_sources_are_said(hostile_content: ReportContent) -> None:
    text = Page(render_report(hostile_content)).text
    assert "None: every file found could be read." in text
    assert "Which source" not in text
    assert "The data came with their own splits" in text
    assert "divided by the temperature" not in text


def test_only_the_first_fifty_quarantined_files_are_listed(content: ReportContent) -> None:
    many = pd.DataFrame({"path": [f"f{n:03d}.jpg" for n in range(120)], "reason": ["zero bytes"] * 120})
    text = Page(render_report(replace(content, quarantine=many))).text
    assert "The first 50 of 120 files" in text
    assert ("f049.jpg" in text, "f050.jpg" in text) == (True, False)
    assert re.search(r"zero bytes 120\b", text)


def test_figures_are_embedded_with_alternative_text(content: ReportContent, history: pd.DataFrame) -> None:
    labels = np.array([0, 1])
    drawn = {
        "roc": roc_figure({"test": Predicted(labels, np.eye(2)[labels])}, classes=["no", "yes"]),
        "training": training_figure(history),
        "errors": errors_figure([], []),
        "subgroups_of_site": training_figure(history),
    }
    figures = {name: png_of(figure) for name, figure in drawn.items()}
    html = render_report(replace(content, figures=figures))
    page = Page(html)
    check_self_contained(page, html)
    assert page.elements.count("img") == 4
    alternatives = [value for name, value in page.attributes if name == "alt"]
    assert set(alternatives) == {
        FIGURE_TEXTS["roc"],
        FIGURE_TEXTS["training"],
        FIGURE_TEXTS["errors"],
        "subgroups of site",
    }


def test_images_with_different_labels_are_named_with_their_labels(content: ReportContent) -> None:
    assert "yes/a.jpg and no/<b>.jpg" in Page(render_report(content)).text  # written before labels were told
    content.leakage["cross_label_pairs"]["labels"] = [["<yes>", "no"]]
    assert "yes/a.jpg (<yes>) and no/<b>.jpg (no)" in Page(render_report(content)).text


def test_a_run_without_warnings_points_to_the_limits(content: ReportContent) -> None:
    content.evaluation["about"]["warnings"] = []
    calm = replace(content, leakage={**content.leakage, "cross_label_pairs": 0})
    assert "This run raised no warning of its own." in Page(render_report(calm)).text


def test_same_content_same_page(content: ReportContent, history: pd.DataFrame) -> None:
    first, second = (replace(content, figures={"training": png_of(training_figure(history))}) for _ in range(2))
    assert render_report(first) == render_report(second)
