"""The benchmark of cached activations compares what it says it compares."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from medical_transfer.config.blocks import BLOCKS


@pytest.fixture(scope="module")
def benchmark(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("cached_cut")


@pytest.fixture
def asked(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    monkeypatch.setattr("sys.argv", ["cached_cut.py"])
    return benchmark._arguments()


def test_the_arms_differ_in_nothing_but_the_cache(benchmark: ModuleType, asked: argparse.Namespace) -> None:
    cached, images = (benchmark.parameters(arm, Path("/r/seed1") / arm, 1, asked) for arm in benchmark.ARMS)
    assert (cached["training"].pop("cached"), images["training"].pop("cached")) == (True, False)
    assert (cached.pop("run_root"), images.pop("run_root")) == ("/r/seed1/cached", "/r/seed1/images")
    assert cached == images
    assert cached["cache_root"] == "/r"
    for name in cached.keys() & BLOCKS.keys():  # all are parameters that exist
        BLOCKS[name].model_validate(cached[name])


def rows(seed: int, noise: float) -> pd.DataFrame:
    """Forty images in twenty groups; the scores of tumours are higher by one."""
    labels_N = np.arange(40) // 2 % 2
    scores_N = stats.norm.cdf(labels_N + noise * np.random.default_rng(seed).normal(size=40))
    names = np.array(["healthy", "tumour"])[labels_N]
    columns = {"label": names, "group_id": np.arange(40) // 2, "p_healthy": 1 - scores_N, "p_tumour": scores_N}
    return pd.DataFrame(columns, index=pd.Index([f"i{n}" for n in range(40)], name="image_id"))


def test_auroc_of_both_arms_against_scikit_learn(benchmark: ModuleType) -> None:
    cached, images = rows(0, 1.0), rows(1, 2.0)
    found = benchmark.paired(cached, images, np.random.default_rng(0))
    expected = {
        name: roc_auc_score(f["label"] == "tumour", f["p_tumour"])
        for name, f in (("cached", cached), ("images", images))
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    ends = found["difference"]
    assert ends["estimate"] == pytest.approx(expected["cached"] - expected["images"])
    assert ends["low"] < ends["estimate"] < ends["high"]
    assert (found["n"], found["groups"]) == (40, 20)


def test_equal_arms_have_no_difference_in_any_resample(benchmark: ModuleType) -> None:
    found = benchmark.paired(rows(0, 1.0), rows(0, 1.0), np.random.default_rng(0))
    assert found["difference"] == {"estimate": 0, "low": 0, "high": 0}


def a_seed(seed: int, difference: float, slower: float) -> dict:
    split = {"cached": 0.9, "images": 0.9 - difference, "difference": {"estimate": difference, "low": -1, "high": 1}}
    return {
        "seed": seed,
        "val": split,
        "test": split,
        "cached": {"seconds_per_epoch": {"head": 0.1, "trunk": 2.0}, "training_seconds": 20.0},
        "images": {"seconds_per_epoch": {"head": 0.1 * slower, "trunk": 3.0}, "training_seconds": 40.0},
    }


def test_the_summary_by_hand(benchmark: ModuleType) -> None:
    seeds = [a_seed(0, 0.01, 30), a_seed(1, 0.02, 50), a_seed(2, 0.03, 31)]
    times = benchmark.times_as_long(seeds)
    assert times["epoch of head"] == pytest.approx([30, 50, 31])
    assert times["epoch of trunk"] == [1.5] * 3
    assert times["training stage"] == [2] * 3
    # Student, two degrees of freedom: 4.302653 * .01 / sqrt(3) = .0248
    assert benchmark.sentences(seeds)[1] == (
        "test AUROC, cached - images, mean of 3 seeds: +0.0200 (95 % -0.0048 to +0.0448): no difference is shown."
    )
    assert benchmark.table(seeds)["test cached"].tolist() == ["0.9000"] * 3


@pytest.mark.parametrize(
    ("differences", "words"),
    [((-0.02, -0.021, -0.022), "a difference is shown"), ((0.02,), "one seed has no interval")],
)
def test_what_is_said_of_other_differences(benchmark: ModuleType, differences, words: str) -> None:
    found = [a_seed(seed, difference, 2) for seed, difference in enumerate(differences)]
    assert words in benchmark.sentences(found)[0]
