"""How well a finished model's novelty scores tell other kinds of images from its own test images.

    python benchmarks/novelty.py --model data/06_models/finetuned/<key> --own /path/to/own/images \
        --other /shared/data/busi /shared/data/mednist_6x1000_64.npz

`--own` are images like those that the model was judged on and has not seen (a folder, table or npz); with `--manifest`
only the test rows of a run's manifest are taken of it. For each other set: AUROC of each score against the own images
(0.5: no better than a coin), and the share of images on which the model abstains at its 5 % threshold.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from report import add_out, publish

from medical_transfer.config.predict import Predict
from medical_transfer.data.new_images import NewImages, find_new_images
from medical_transfer.evaluation.novelty import SCORES
from medical_transfer.evaluation.predictor import Predictor, load
from medical_transfer.evaluation.stream import parts_of
from medical_transfer.metrics.classification import class_auroc
from medical_transfer.runtime.seeds import generator

FALSE_ABSTAIN = 0.05


def main() -> None:
    arguments = _arguments()
    predictors = {name: load(arguments.model, novelty=name, false_abstain=FALSE_ABSTAIN) for name in SCORES}
    own = novelty_of(predictors, arguments.own, arguments)
    rows = {"its own": _row(own, own, predictors)}
    for place in arguments.other:
        rows[place.stem] = _row(own, novelty_of(predictors, place, arguments), predictors)
    publish("novelty", pd.DataFrame.from_dict(rows, orient="index").rename_axis("images"), arguments=arguments)


def novelty_of(predictors: dict[str, Predictor], place: Path, arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    """Each score of at most `--images` images of a place, which go through the network once."""
    first = next(iter(predictors.values()))
    new = find_new_images(Predict(images=place), first.card.wants, packages=place, scratch=None, block="predict")
    if place == arguments.own and arguments.manifest is not None:
        manifest = pd.read_parquet(arguments.manifest)
        new = _only(new, new.rows["path"].isin(manifest.loc[manifest["split"] == "test", "path"]).to_numpy())
    if not len(new.rows):
        raise SystemExit(f"None of the test images of {arguments.manifest} lies in {place} under its path there.")
    chosen = generator(0, "novelty").permutation(len(new.rows))[: arguments.images]
    new = _only(new, np.isin(np.arange(len(new.rows)), chosen))
    parts = parts_of(new, first.see, classes=len(first.card.classes), part_images=10_000, features=True)
    features = np.concatenate([part.seen.features_nH for part in parts])
    return {name: each.detector.score(features) for name, each in predictors.items() if each.detector is not None}


def _only(new: NewImages, kept: np.ndarray) -> NewImages:
    return replace(new, rows=new.rows[kept].reset_index(drop=True))


def _row(
    own: dict[str, np.ndarray], found: dict[str, np.ndarray], predictors: dict[str, Predictor]
) -> dict[str, float]:
    told: dict[str, float] = {"n": len(next(iter(found.values())))}
    for name, scores in found.items():
        both = np.concatenate([own[name], scores])
        labels = np.repeat([0, 1], [len(own[name]), len(scores)])
        auroc = class_auroc(labels, np.stack([-both, both], axis=1), np.ones((1, len(both))))[0]
        told[f"{name} AUROC"] = round(float(auroc), 3)
        told[f"{name} abstains"] = round(float((scores > predictors[name].abstains_above).mean()), 3)
    return told


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--own", type=Path, required=True)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--other", type=Path, nargs="+", required=True)
    parser.add_argument("--images", type=int, default=300)
    add_out(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
