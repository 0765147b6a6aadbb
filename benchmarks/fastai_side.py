"""fastai's side of `fastai_peer.py`, in a process of its own: learn, say how long each epoch took, predict.

    python benchmarks/fastai_side.py job.json

The job names a table (image_id, file, label, split), an architecture of timm, its weights, image size, epochs, a seed
and a folder for `result.json` and `predictions.parquet` (image_id, fastai_<class>, and tta_<class>: those of its
test-time augmentation). What it does not name is fastai's default: batch size, workers, optimizer, learning rates,
head, augmentation, test-time augmentation.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # fastai's own, about torch.jit.script
    from fastai.vision import all as vision


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    images = pd.read_parquet(job["table"])
    vision.set_seed(job["seed"])
    learner = build_learner(images[images["split"] != "test"], job)
    epochs: list[dict[str, float]] = []
    with learner.no_bar(), learner.no_logging():
        cpu_before_s = sum(os.times()[:4])
        learner.fine_tune(job["epochs"], cbs=watch(epochs))
        cpu_s = sum(os.times()[:4]) - cpu_before_s
        predictions, spent = predict(learner, images[images["split"] == "test"])
    folder = Path(job["folder"])
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    facts = {
        "batch_size": learner.dls.bs,
        "workers": learner.dls.train.fake_l.num_workers,
        "device": str(learner.dls.device),
    }
    result = {"seconds": epochs[-1]["seconds"], "cpu_s": cpu_s, "epochs": epochs, **spent, **facts}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def build_learner(images: pd.DataFrame, job: dict[str, Any]) -> vision.Learner:
    """A `vision_learner` of timm's network with the given weights, the validation rows as its validation set."""
    block = vision.DataBlock(
        blocks=(vision.ImageBlock, vision.CategoryBlock),
        get_x=vision.ColReader("file"),
        get_y=vision.ColReader("label"),
        splitter=vision.IndexSplitter([at for at, split in enumerate(images["split"]) if split == "val"]),
        item_tfms=vision.Resize(job["size"]),
        batch_tfms=vision.aug_transforms(),
    )
    learning = int((images["split"] == "train").sum())
    batch = min(64, learning)  # fastai's default; it leaves out a last batch that is not full
    loaders = block.dataloaders(images.reset_index(drop=True), bs=batch)
    metric = vision.RocAucBinary() if loaders.c == 2 else vision.RocAuc()
    overlay = {"file": job["weights"]}  # timm reads it where it would ask a hub
    learner = vision.vision_learner(loaders, job["architecture"], metrics=metric, pretrained_cfg_overlay=overlay)
    trunk, given = learner.model[0].model.state_dict(), load_file(job["weights"])
    assert all(torch.equal(tensor, given[name]) for name, tensor in trunk.items()), "the trunk has other weights"
    return learner


def watch(epochs: list[dict[str, float]]) -> vision.Callback:
    """A callback that adds a row per epoch: seconds since the first began, losses and AUROC of validation."""

    class Watch(vision.Callback):
        order = vision.Recorder.order + 1  # after the one that takes the epoch's values
        started = 0.0

        def before_fit(self) -> None:
            self.started = self.started or time.perf_counter()

        def after_epoch(self) -> None:
            train_loss, val_loss, val_auroc = self.recorder.values[-1]
            seconds = time.perf_counter() - self.started
            losses = {"train_loss": float(train_loss), "val_loss": float(val_loss)}
            epochs.append({"seconds": round(seconds, 2), "val_auroc": float(val_auroc), **losses})
            print(epochs[-1], flush=True)

    return Watch()


def predict(learner: vision.Learner, images: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """Probabilities of `images` as they are and by test-time augmentation, and what the latter costs."""
    loader, names = learner.dls.test_dl(images), list(learner.dls.vocab)
    table = images[["image_id"]].reset_index(drop=True)
    table[[f"fastai_{name}" for name in names]] = learner.get_preds(dl=loader)[0].numpy()
    started, cpu_before_s = time.perf_counter(), sum(os.times()[:4])
    table[[f"tta_{name}" for name in names]] = learner.tta(dl=loader)[0].numpy()
    return table, {"tta_s": time.perf_counter() - started, "tta_cpu_s": sum(os.times()[:4]) - cpu_before_s}


if __name__ == "__main__":
    main()
