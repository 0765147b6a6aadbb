"""Which file leaves the house is decided on validation images, by bounds that are stated."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medical_transfer.config.medical_distillation import Int8
from medical_transfer.data.cache import ImageCache
from medical_transfer.evaluation import shipping
from medical_transfer.evaluation.shipping import agreement, ship, what_is_lost
from medical_transfer.models.card import ModelCard, TrainedModel
from medical_transfer.models.checkpoint import save_checkpoint
from medical_transfer.models.exported import ExportedModel
from medical_transfer.models.graph_card import graph_card
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.runtime.files import write_json
from medical_transfer.types import UserError
from toy import SIZE, classifier, pixels

BOUNDS = Int8(calibration_images=8, max_auroc_loss=0.01, max_disagreement=0.1)


def card(**changes: object) -> ModelCard:
    facts = {
        "kind": "distill",
        "source": "random/house/resnet20_cifar",
        "source_fingerprint": "sha256:0",
        "architecture": "house/resnet20_cifar",
        "head": "linear",
        "dropout": 0.2,
        "classes": ("ill", "well"),
        "positive_class": "ill",
        "preprocessing": Preprocessing(size=SIZE),
        "size": SIZE,
        "fit": "squash",
        "threshold": 0.7,
        "split_hash": "s1",
        "data_fingerprint": "d1",
        "data_licence": "MIT",
        "weights_licence": "none",
    }
    return ModelCard.model_validate(facts | changes)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, pd.DataFrame, ImageCache]:
    root = tmp_path_factory.mktemp("site")
    images, labels_N = pixels(48, seed=2)
    (root / "cache").mkdir()
    np.save(root / "cache/pixels.npy", images)
    write_json(root / "cache/meta.json", {"key": "k", "n": 48, "size": SIZE, "fit": "squash"})
    manifest = pd.DataFrame(
        {
            "image_id": [f"i{number:02d}" for number in range(48)],
            "group_id": [f"g{number:02d}" for number in range(48)],
            "label": [("well", "ill")[label] for label in labels_N],
            "split": ["train"] * 24 + ["val"] * 12 + ["test"] * 12,
            "status": "ok",
        }
    )
    manifest.to_parquet(root / "cache/audit.parquet")
    save_checkpoint(root / "model", classifier().eval(), card())
    return TrainedModel(root / "model"), manifest, ImageCache(root / "cache")


def test_agreement_by_hand() -> None:
    """The threshold is .7 for class 0: the first image is decided otherwise although its most probable class stays."""
    one, other = np.array([[0.72, 0.28], [0.2, 0.8], [0.9, 0.1]]), np.array([[0.68, 0.32], [0.2, 0.8], [0.8, 0.2]])
    found = agreement(one, other, graph_card(card()))
    assert found == pytest.approx({"images": 3, "largest": 0.1, "mean": 0.28 / 6, "disagreement": 1 / 3})
    most_probable = agreement(one, other, graph_card(card(threshold=None, positive_class=None)))
    assert most_probable["disagreement"] == 0


@pytest.mark.parametrize(
    ("lost", "disagreement", "said"),
    [
        (0.01, 0.1, None),
        (-0.3, 0.0, None),
        (0.0101, 0.0, "loses 0.0101 of AUROC (at most 0.01). The float"),
        (0.0, 0.11, "decides 11.0% of the images otherwise (at most 10.0%). The float"),
        (0.5, 0.5, "AUROC (at most 0.01) and it decides"),
        (float("nan"), 0.0, "loses nan of AUROC"),
    ],
)
def test_int8_is_kept_within_its_bounds_only(lost: float, disagreement: float, said: str | None) -> None:
    found = what_is_lost(lost, disagreement, BOUNDS)
    assert (found is None) if said is None else (found is not None and said in found)


def test_both_files_and_what_was_found(site, tmp_path: Path) -> None:
    model, manifest, cache = site
    ship(model, manifest, cache, BOUNDS.model_copy(update={"max_auroc_loss": 0.9}), folder=tmp_path, seed=0)
    facts = ExportedModel(tmp_path).facts
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model_int8.onnx", "export.json"}
    assert facts["torch_and_onnx"]["largest"] < 1e-5
    assert facts["torch_and_onnx"]["images"] == facts["onnx_and_int8"]["images"] == 12  # validation alone
    assert facts["onnx_and_int8"]["largest"] > facts["torch_and_onnx"]["largest"]
    assert (facts["shipped"], facts["warning"], facts["calibration_images"]) == ("int8", None, 8)


def test_ranges_are_seen_on_training_images_alone(site, tmp_path: Path, monkeypatch) -> None:
    model, manifest, cache = site
    quantise, given = shipping.quantise, []
    monkeypatch.setattr(
        shipping, "quantise", lambda a, b, c, images, **kw: given.append(images) or quantise(a, b, c, images, **kw)
    )
    ship(model, manifest, cache, BOUNDS, folder=tmp_path, seed=0)
    training = {image.tobytes() for image in cache.pixels_NSS3[:24]}
    shown = {image.tobytes() for image in given[0]}
    assert len(shown) == BOUNDS.calibration_images
    assert shown <= training


def test_a_loss_beyond_the_bounds_ships_the_floats_and_warns(site, tmp_path: Path, caplog, monkeypatch) -> None:
    """Calibrated on black pictures, so that real ones are clipped."""
    model, manifest, cache = site
    quantise = shipping.quantise
    monkeypatch.setattr(
        shipping, "quantise", lambda a, b, c, images, **kw: quantise(a, b, c, np.zeros_like(images), **kw)
    )
    with caplog.at_level(logging.WARNING):
        ship(
            model,
            manifest,
            cache,
            Int8(calibration_images=8, max_disagreement=0.0, max_auroc_loss=0.0),
            folder=tmp_path,
            seed=0,
        )
    facts = ExportedModel(tmp_path).facts
    assert facts["shipped"] == "onnx"
    assert facts["warning"] == caplog.messages[-1]
    assert "The int8 model is not shipped: on validation images" in facts["warning"]


def test_a_graph_that_computes_something_else_is_refused(site, tmp_path: Path, monkeypatch) -> None:
    model, manifest, cache = site
    monkeypatch.setattr(shipping, "in_torch", lambda shipped, images: np.tile([0.5, 0.5], (len(images), 1)))
    with pytest.raises(UserError, match=r"differ from torch's by .* written something else than the network computes"):
        ship(model, manifest, cache, BOUNDS, folder=tmp_path, seed=0)
    assert not (tmp_path / "export.json").exists()


def test_a_changed_graph_is_not_opened(site, tmp_path: Path) -> None:
    model, manifest, cache = site
    ship(model, manifest, cache, BOUNDS, folder=tmp_path, seed=0)
    exported = ExportedModel(tmp_path)
    path = exported.graph("int8")
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UserError, match=r"model_int8\.onnx is missing or was changed"):
        exported.graph("int8")
    exported.graph("onnx").unlink()
    with pytest.raises(UserError, match=r"model\.onnx is missing"):
        exported.graph("onnx")
