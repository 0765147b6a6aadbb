"""The benchmarks of speed run at a tiny size, and what they say is measured as they say it."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

Script = Callable[[str], ModuleType]
RunScript = Callable[..., str]

TINY = ("--network", "tiny", "--images", "16", "--drawn", "--batch-size", "8")


def figures(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert content["benchmark"] == name
    assert content["machine"]["cores"] >= 1
    assert str(folder) not in json.dumps(content)
    return content


def test_chapter_loop(run_script: RunScript, tmp_path: Path) -> None:
    options = ("--networks", *TINY[1:], "--frozen-images", "16", "--rounds", "2", "--out", str(tmp_path))
    told = run_script("chapter_loop", *options)
    found = figures(tmp_path, "chapter_loop")
    assert [(row["case"], row["learns"]) for row in found["rows"]] == [("tiny@32", "full"), ("tiny@32", "frozen")]
    assert all(row["chapter images/s"] > 0 and row["our s/epoch"] > 0 for row in found["rows"])
    assert [(ratio["what"].partition(":")[0], ratio["rounds"]) for ratio in found["ratios"]] == [
        ("tiny@32 full", 2),
        ("tiny@32 full", 1),
        ("tiny@32 frozen", 2),
    ]
    assert "seconds of an epoch, chapter's loop / ours" in told


def test_adaptation_loop(run_script: RunScript, tmp_path: Path) -> None:
    run_script("adaptation_loop", "--steps", "2", "--rounds", "2", "--out", str(tmp_path))
    found = figures(tmp_path, "adaptation_loop")
    (row,) = found["rows"]
    assert row["chapter images/s"] > 0
    assert row["our images/s"] > 0
    assert found["ratios"][0]["rounds"] == 2


def test_trainer_overhead(run_script: RunScript, tmp_path: Path) -> None:
    run_script("trainer_overhead", *TINY, "--steps", "1", "--rounds", "3", "--out", str(tmp_path))
    found = figures(tmp_path, "trainer_overhead")
    (row,) = found["rows"]
    assert row["our ms/step"] > row["augmentation ms/step"] > 0
    assert [ratio["rounds"] for ratio in found["ratios"]] == [3, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_predict(run_script: RunScript, tmp_path: Path) -> None:
    tiny = ("--network", "tiny", "--size", "32", "--images", "16", "--drawn", "--rounds", "2")
    told = run_script("predict", *tiny, "--memory-images", "8", "16", "--out", str(tmp_path))
    found = figures(tmp_path, "predict_tiny_32")
    bare, ours, dealt, reading = (row["images/s"] for row in found["rows"])
    assert min(bare, dealt, reading) > ours > 0
    assert [ratio["rounds"] for ratio in found["ratios"]] == [2, 2, 2, 2, 1]
    assert "Peak anonymous memory with 16 files" in told


def test_start_up(run_script: RunScript, tmp_path: Path) -> None:
    run_script("start_up", "--rounds", "1", "--out", str(tmp_path))
    ours, bare = figures(tmp_path, "start_up")["rows"]
    assert ours["modules"] > bare["modules"] > 100
    assert [ours["heavy libraries"], bare["heavy libraries"]] == ["none", "none"]


def test_audit(run_script: RunScript, tmp_path: Path) -> None:
    run_script("audit", "--images", "12", "--drawn", "--rounds", "1", "--out", str(tmp_path / "one.json"))
    rows = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))["rows"]
    assert [row["threads"] for row in rows][::2] == [1, 1]
    assert all(row["images/s"] > 0 for row in rows)


def test_an_audit_of_other_files_is_no_comparison(script: Script) -> None:
    theirs = pd.DataFrame({"path": ["a", "b"], "sha256": ["1", "2"]})
    audit = script("audit")
    audit.check_same(theirs, theirs)
    with pytest.raises(SystemExit, match="2 files by PIL, 2 by ours, 1 alike"):
        audit.check_same(theirs, theirs.assign(sha256=["1", "3"]))


@pytest.fixture(scope="module")
def chapter(script: Script) -> ModuleType:
    return script("chapter_loop")


def test_the_chapters_frozen_trunk_does_not_learn_and_its_full_one_does(chapter: ModuleType, tmp_path: Path) -> None:
    for part in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(4):
                noise = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(noise).save(tmp_path / part / name / f"{number}.jpg")
    for learns, moves in (("frozen", False), ("full", True)):
        best = tmp_path / f"{learns}.pth"
        loop = chapter.ChapterLoop("tiny", tmp_path, size=32, learns=learns, batch_size=4, best=best)
        trunk, head = loop.model
        before = [parameter.clone() for parameter in trunk.parameters()], head[1].weight.clone()
        epoch = loop.epoch()
        assert any(not torch.equal(*pair) for pair in zip(before[0], trunk.parameters(), strict=True)) is moves
        assert not torch.equal(before[1], head[1].weight)
        assert epoch.whole_s > epoch.training_s > 0
        assert best.exists()


def test_the_chapters_epochs_and_ours_take_turns_and_the_first_of_ours_does_not_count(
    chapter: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(chapter.time, "perf_counter", lambda: float(next(clock)))
    said: list[str] = []

    def epoch() -> Any:
        assert not torch.are_deterministic_algorithms_enabled()
        said.append("epoch")
        return chapter.Epoch(5.0, 10.0)

    theirs = SimpleNamespace(warm_up=lambda: said.append("warm-up"), epoch=epoch)
    turns = chapter.Turns(theirs, rounds=2)
    torch.use_deterministic_algorithms(mode=True)
    try:
        for ticks in (9, 2, 1):
            turns.epoch_begins()
            for _ in range(ticks):
                turns.training_ends()
        with pytest.raises(chapter.Enough):
            turns.epoch_begins()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(mode=False)
    assert said == ["warm-up", "epoch", "epoch"]
    assert len(turns.ours) == 3
    # the clock ticks at the start of our epoch, at each end of its training and at its own end
    ours = [chapter.Epoch(2.0, 3.0), chapter.Epoch(1.0, 2.0)]
    assert [pair[1] for pair in turns.pairs] == ours
    rows = pd.DataFrame([chapter._round("x@1", "frozen", pair, 8) for pair in turns.pairs])
    assert chapter.ratios(rows)[0].rounds == pytest.approx([10 / 3, 5.0])


def test_the_bare_steps_have_their_turn_between_ours(script: Script) -> None:
    overhead = script("trainer_overhead")
    now = [0.0]

    def work(seconds: float) -> Callable[[], None]:
        def spend() -> None:
            now[0] += seconds

        return spend

    bare = SimpleNamespace(step=work(4.0), augment=work(1.0))
    turns = overhead.Turns(steps=2, rounds=2, clock=lambda: now[0], bare=lambda: bare)
    with pytest.raises(overhead.Enough):
        for _ in range(9):
            turns.take()
            now[0] += 2 * 6.0  # two steps of ours
    assert turns.found == [overhead.Round(ours=6.0, bare=4.0, augmentation=1.0)] * 3
    ratios = overhead.ratios("x", turns.found[1:], Namespace(network="tiny", policy="flips"))
    assert [ratio.rounds for ratio in ratios] == [[1.25, 1.25], [0.25, 0.25]]


def test_jobs_of_a_round_take_turns_in_being_first(script: Script) -> None:
    order: list[str] = []
    jobs = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = script("report").interleaved(jobs, rounds=3)
    assert order == list("abcbcacab")
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_ratio_meets_its_goal_by_its_median(script: Script) -> None:
    ratio = script("report").Ratio
    facts = ratio("a / b", [1.0, 9.0, 3.0], at_least=3.0).facts()
    assert (facts["median"], facts["lowest"], facts["highest"], facts["rounds"]) == (3.0, 1.0, 9.0, 3)
    assert (facts["goal"], facts["met"]) == (">= 3", True)
    assert ratio("a / b", [1.0, 2.9, 9.0], at_least=3.0).facts()["met"] is False
    assert ratio("a / b", [1.05], at_most=1.05).facts()["met"] is True
    assert ratio("a / b", [1.06], at_most=1.05).facts()["met"] is False
    assert ratio("a / b", [1.0]).facts()["goal"] is None


def test_the_page_shows_every_figure_of_the_folder_and_keeps_its_own_words(script: Script, tmp_path: Path) -> None:
    report = script("report")
    table = pd.DataFrame({"s": [1234.5, 0.012345], "n": [7, 12345]}, index=pd.Index(["one", "two"], name="case"))
    arguments = Namespace(out=tmp_path, images=96, networks=["a", "b"], folder=tmp_path)
    goal = report.Ratio("theirs / ours", [2.0, 4.0], at_least=3.5)
    report.publish("zebra", table, arguments=arguments, ratios=[goal], notes=["A note."])
    report.publish("audit", table, arguments=arguments)
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n{report.BEGIN}\nold\n{report.END}\nAfter.\n", encoding="utf-8")
    report.write_page(page, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Before.\n")
    assert text.endswith("\nAfter.\n")
    assert "old" not in text
    assert "| zebra | theirs / ours | 3.00 (2.00-4.00) | 2 | >= 3.5 | **no** |" in text
    assert "| one | 1,234 | 7 |" in text
    assert "| two | 0.0123 | 12,345 |" in text
    assert "images 96, networks a b; " in text
    assert "A note." in text
    assert re.findall(r"^### (\w+)$", text, flags=re.MULTILINE) == ["audit", "zebra"]
    assert str(tmp_path) not in text
    with pytest.raises(SystemExit, match="lacks the marks"):
        report.write_page(tmp_path / "audit.json", tmp_path)


def test_a_folder_without_figures_says_how_to_get_some(script: Script, tmp_path: Path) -> None:
    assert "make bench" in script("report").page_of(tmp_path)
