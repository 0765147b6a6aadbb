"""The study of adaptation on digits that are drawn here: its table, its outputs, and that it goes on where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mini_set import run

from medical_transfer.data.mnist import Mnist, with_margin
from medical_transfer.runtime.files import read_json
from medical_transfer.studies import digit_sites
from medical_transfer.types import UserError

STUDY, OUTPUTS = "study_adaptation", "08_reporting/studies/adaptation"
COUNT = 400


def digits(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bar for each class, at its own height, a little noise."""
    labels_N = np.arange(count) % 10
    pixels_NSS = rng.integers(0, 40, (count, 28, 28), dtype=np.uint8)
    for row, label in enumerate(labels_N):
        pixels_NSS[row, 2 + 2 * label : 5 + 2 * label, 4:24] = 250
    return pixels_NSS, labels_N


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mnist, Path]:
    rng = np.random.default_rng(3)
    mnist = Mnist(*digits(COUNT, rng), *digits(80, rng))
    numbers = np.flatnonzero(np.arange(COUNT) // 10 % 2 == 0)[:180]  # all classes, also in what is left
    grounds = rng.integers(0, 200, (len(numbers), 1, 1, 3))
    images = np.abs(grounds - with_margin(mnist.train_NSS[numbers])[..., None].astype(int)).astype(np.uint8)
    path = tmp_path_factory.mktemp("target") / "mnist_m.npz"
    names = np.array([f"{number:08d}.png" for number in numbers])
    np.savez(path, images=images, labels=mnist.train_labels_N[numbers], names=names)
    return mnist, path


def study(root: Path, target: Path, **fields: object) -> Path:
    return run(root, {STUDY: {"target": str(target), **fields}}, STUDY)


@pytest.fixture(scope="module")
def whole(sites: tuple[Mnist, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    mnist, target = sites
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digit_sites, "read_mnist", lambda _: mnist)
        return study(tmp_path_factory.mktemp("adaptation"), target)


def table(root: Path) -> pd.DataFrame:
    return pd.read_parquet(root / OUTPUTS / "results.parquet")


def test_every_trial_is_measured_on_both_sites(whole: Path) -> None:
    found = table(whole)
    assert read_json(whole / OUTPUTS / "failures.json") == []
    trials = found.groupby("trial_id")[["method", "setting", "seed"]].first()
    assert set(trials.itertuples(index=False, name=None)) == {
        ("source_only", "methods", 0),
        ("best", "methods", 0),
        ("dann", "alpha 0.5", 0),
    }
    wide = found.pivot_table(index="method", columns="metric", values="value")
    for name in ("target_accuracy", "accuracy"):
        assert wide[name].between(0, 1).all()
    assert wide["a_distance"].between(-2, 2).all()
    counts = found[found["metric"] == "target_accuracy"]["n"]
    assert counts.unique().tolist() == [60]
    maps, norms = (3 * 25 + 1) * 32 + (32 * 25 + 1) * 48, 2 * (32 + 48)
    head = (768 + 1) * 100 + (100 + 1) * 100 + (100 + 1) * 10
    assert set(wide["trainable_parameters"]) == {maps + norms + head}, "one network for all methods"


def test_the_model_is_one_of_the_epochs_and_scores_stand_beside_each(whole: Path) -> None:
    wide = table(whole).pivot_table(index="method", columns="metric", values="value")
    for epoch in ("epoch_01", "epoch_02"):
        assert wide[[f"{epoch}_{name}" for name in ("im", "entropy", "snd", "bnm")]].notna().all(axis=None)
    by_score = wide[["epoch_01_im", "epoch_02_im"]].to_numpy().argmax(axis=1) + 1
    for method, epoch in zip(wide.index, by_score, strict=True):
        if method != "source_only":  # its epoch is picked by the source's validation images
            picked = wide.loc[method, f"epoch_{epoch:02d}_target_accuracy"]
            assert wide.loc[method, "target_accuracy"] == picked


def test_it_is_told_and_drawn_and_keeps_no_network(whole: Path) -> None:
    said = (whole / OUTPUTS / "summary.md").read_text(encoding="utf-8")
    assert "## Choosing a method without labels" in said
    assert (whole / OUTPUTS / "trade_off.png").stat().st_size > 10_000
    assert list((whole / "studies/adaptation").rglob("*.safetensors")) == []


def test_finished_trials_are_found_again(
    whole: Path, sites: tuple[Mnist, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from medical_transfer.training import produce  # noqa: PLC0415 - brings torch

    monkeypatch.setattr(digit_sites, "read_mnist", lambda _: pytest.fail("the sites are written already"))
    monkeypatch.setattr(produce, "fit", lambda *_, **__: pytest.fail("nothing is left to train"))
    before = table(whole)
    study(whole, sites[1])
    pd.testing.assert_frame_equal(table(whole), before, check_exact=True)


def test_without_mnist_m_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"MNIST-M is looked for in .*absent.npz, which is no file"):
        study(tmp_path, tmp_path / "absent.npz")
