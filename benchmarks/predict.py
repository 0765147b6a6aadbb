"""Images per second of prediction on files beside the network alone, and its memory at growing numbers of files.

    python benchmarks/predict.py                                     # 600 images of the built-in sample, some minutes
    python benchmarks/predict.py --memory-images 2000 20000          # the goal's number of files
    python benchmarks/predict.py --network resnet50 --size 224 --images 256 --memory-images      # the chapter's network

The bare forward is what anyone would write: the graph of `torch.onnx.export` in ONNX Runtime on all cores, one call for
each batch of 64, whose pixels were decoded and turned into floats before the clock starts; logits come out. Prediction
reads each JPEG, decodes it, sends it through the network, measures its novelty and writes the table; only looking for
the files and loading the model are left out. Its network runs as everywhere in this project: a graph without arithmetic
of paddings (`models/onnx_source.py`), images dealt out to the cores (`models/every_core.py`). So a third way is the
network alone in that manner, and a fourth reads and decodes alone. All in turn, each round. Where both network and
decoding keep every core busy, prediction cannot be faster than the third and fourth together: that bound is printed as
a ratio too.

Memory: `kedro run --pipeline=predict` in a fresh process on small drawn JPEGs with a network of 0.3 million parameters;
from outside its anonymous memory is read every 20 ms, as in memory.py. Linux only.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import sys
import tempfile
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from memory import watch
from our_fit import TINY, source_of
from pictures import PACKAGES, add_pictures, write_images, write_pictures
from report import Ratio, add_out, interleaved, publish
from session import run_stages

from medical_transfer.runtime.files import read_json

BARE, OURS, READING = "bare forward", "prediction", "reading and decoding"
DEALT = "forward, dealt out to the cores"
CLASSES = ("across", "along")
NETWORK, SIZE = "efficientnet_lite0", 160
GOAL, MEMORY_GOAL = 0.9, 1.1


def main() -> None:
    arguments = _arguments()
    if arguments.child:
        run_stages(read_json(arguments.child), ["predict"])
        return
    with tempfile.TemporaryDirectory(prefix="predict_") as name:
        scratch = Path(name)
        seconds = speed(arguments, scratch)
        peaks = {count: memory_mb(count, scratch) for count in sorted(arguments.memory_images)}
    rates = {name: arguments.images / statistics.median(values) for name, values in seconds.items()}
    table = pd.DataFrame({"images/s": rates}).rename_axis("way").round(1)
    ratios = [
        Ratio(
            f"images/s, {OURS} / {BARE}, {arguments.network} at {arguments.size} px",
            [bare / ours for bare, ours in zip(seconds[BARE], seconds[OURS], strict=True)],
            at_least=GOAL,
        ),
        Ratio(
            f"images/s, {OURS} / {DEALT}",
            [dealt / ours for dealt, ours in zip(seconds[DEALT], seconds[OURS], strict=True)],
        ),
        Ratio(
            f"the same, were nothing lost between {DEALT} and {READING}",
            [dealt / (dealt + rest) for dealt, rest in zip(seconds[DEALT], seconds[READING], strict=True)],
        ),
        Ratio(
            f"images/s, {DEALT} / {BARE}",
            [bare / dealt for bare, dealt in zip(seconds[BARE], seconds[DEALT], strict=True)],
        ),
        *(
            Ratio(f"anonymous memory of prediction at {b:,} / {a:,} files", [peaks[b] / peaks[a]], at_most=MEMORY_GOAL)
            for a, b in pairwise(peaks)
        ),
    ]
    notes = [f"Peak anonymous memory with {count:,} files: {peak:.0f} MB." for count, peak in peaks.items()]
    usual = (arguments.network, arguments.size) == (NETWORK, SIZE)
    name = "predict" if usual else f"predict_{arguments.network}_{arguments.size}"
    publish(name, table, arguments=arguments, ratios=ratios, notes=notes)


def speed(arguments: argparse.Namespace, scratch: Path) -> dict[str, list[float]]:
    """Seconds of all ways in each round."""
    from medical_transfer.config.predict import Predict  # noqa: PLC0415 - torch, which the child's parent may not need
    from medical_transfer.data.decode import decode  # noqa: PLC0415
    from medical_transfer.data.new_images import find_new_images  # noqa: PLC0415
    from medical_transfer.evaluation.new_table import Seen  # noqa: PLC0415
    from medical_transfer.evaluation.parts import write_in_parts  # noqa: PLC0415
    from medical_transfer.evaluation.predictor import load  # noqa: PLC0415
    from medical_transfer.evaluation.stream import parts_of  # noqa: PLC0415
    from medical_transfer.models.checkpoint import load_checkpoint  # noqa: PLC0415
    from medical_transfer.models.onnx_source import INPUT, graph_session  # noqa: PLC0415
    from medical_transfer.models.runner import CHUNK, as_images, fast_runner  # noqa: PLC0415
    from medical_transfer.runtime.cores import cores  # noqa: PLC0415

    write_pictures(scratch / "images", arguments.images, drawn=arguments.drawn)
    card = save_model(scratch / "model", arguments.network, arguments.size)
    predictor = load(scratch / "model")
    asked = Predict(images=scratch / "images")
    new = find_new_images(asked, card.wants, packages=PACKAGES, scratch=None, block="predict")
    pixels = np.stack([decode(new.reader.read(path), new.images).pixels_SS3 for path in new.rows["path"]])
    batches = [as_images(pixels[start : start + CHUNK]) for start in range(0, len(pixels), CHUNK)]
    network, _ = load_checkpoint(scratch / "model")
    bare = graph_session(as_torch_writes_it(network, arguments.size), origin="the bare graph", threads=cores())
    dealt = fast_runner(network, outputs=("logits",), size=arguments.size)

    def forward() -> None:
        for batch in batches:
            bare.run(None, {INPUT: batch.numpy()})

    def predict() -> None:
        shutil.rmtree(scratch / "out", ignore_errors=True)
        (scratch / "out").mkdir()
        write_in_parts(scratch / "out", predictor, new, part_images=asked.part_images)

    def read_and_decode() -> None:
        nothing = np.zeros((CHUNK, len(CLASSES)), dtype=np.float32)

        def see(pixels: np.ndarray) -> Seen:
            rows = nothing[: len(pixels)]
            return Seen(rows, rows[:, 0], rows)

        for _ in parts_of(new, see, classes=len(CLASSES), part_images=asked.part_images):
            pass

    jobs = {
        BARE: forward,
        OURS: predict,
        DEALT: lambda: [dealt(batch) for batch in batches],
        READING: read_and_decode,
    }
    for job in jobs.values():
        job()  # warms up
    return interleaved(jobs, rounds=arguments.rounds)


def as_torch_writes_it(network: Any, size: int) -> bytes:
    """The graph of torch's exporter, N free."""
    import torch  # noqa: PLC0415

    from medical_transfer.models.onnx_source import INPUT  # noqa: PLC0415

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = {"input_names": [INPUT], "dynamic_axes": {INPUT: {0: "N"}}}
        torch.onnx.export(network.eval(), (torch.zeros(2, 3, size, size),), file, dynamo=False, **free)
    return file.getvalue()


def save_model(folder: Path, network: str, size: int) -> Any:
    """A model of two classes as it would be saved, its head untrained; what it saw is drawn at random."""
    from medical_transfer.config.backbones import Backbones  # noqa: PLC0415
    from medical_transfer.config.model import Model  # noqa: PLC0415
    from medical_transfer.models.building import build  # noqa: PLC0415
    from medical_transfer.models.card import ModelCard, source_facts  # noqa: PLC0415
    from medical_transfer.models.checkpoint import save_checkpoint  # noqa: PLC0415
    from medical_transfer.models.reference import Reference, write_reference  # noqa: PLC0415

    source = source_of(network)
    folder.mkdir(parents=True)
    built = build(source, Model(freeze="all"), classes=2, seed=0, backbones=Backbones(), packages_folder=PACKAGES)
    rng = np.random.default_rng(0)
    train, val = (rng.normal(size=(1000, built.embedded_dim)).astype(np.float32) for _ in range(2))
    codes, logits = np.arange(1000), rng.normal(size=(1000, 2)).astype(np.float32)
    reference = Reference(train, codes % 2, codes, val, codes % 2, codes, logits)
    card = ModelCard(
        kind="finetune",
        **source_facts(source),
        head="linear",
        dropout=0.2,
        classes=CLASSES,
        positive_class=CLASSES[1],
        size=size,
        fit="squash",
        threshold=0.5,
        split_hash="none",
        data_fingerprint="none",
        data_licence="none",
        reference_sha256=write_reference(folder, reference),
    )
    return save_checkpoint(folder, built, card)


def memory_mb(count: int, scratch: Path) -> float:
    """Peak anonymous MB of a process that predicts so many files."""
    folder = scratch / f"memory_{count}"
    write_images(folder / "images", count)
    save_model(folder / "model", TINY.name, 32)
    asked = folder / "parameters.json"
    block = {"images": str(folder / "images"), "model": str(folder / "model")}
    asked.write_text(json.dumps({"run_root": str(folder / "run"), "predict": block}), encoding="utf-8")
    nodes = watch([sys.executable, __file__, "--child", str(asked)])
    return float(nodes["anonymous_mb"].max())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default=NETWORK)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-images", type=int, nargs="*", default=[2000, 20000])
    add_pictures(parser, images=600)
    add_out(parser)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
