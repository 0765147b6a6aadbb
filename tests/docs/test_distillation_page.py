"""The lines of docs/distillation.md that use an exported file alone give what torch gives."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medical_transfer.config.images import Images
from medical_transfer.data.decode import decode
from medical_transfer.metrics.thresholds import decide
from medical_transfer.models.card import ModelCard
from medical_transfer.models.checkpoint import save_checkpoint
from medical_transfer.models.classifier_graph import export_shipped, load_shipped
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.runtime.provenance import PROJECT
from toy import SIZE, classifier

PAGE = PROJECT / "docs/distillation.md"
WITHOUT_TORCH = "import sys; sys.modules['torch'] = sys.modules['medical_transfer'] = None\n"


def snippet() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return str(code)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A wide and a high one, a grey one, and one that lies on its side."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(3)
    shapes = {"wide.jpg": (37, 90, 3), "high.png": (61, 20, 3), "grey.png": (40, 41)}
    for name, shape in shapes.items():
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(root / name)
    turned = Image.fromarray(rng.integers(0, 256, (30, 50, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(root / "turned.jpg", exif=exif)
    return [root / name for name in (*shapes, "turned.jpg")]


@pytest.mark.parametrize(("fit", "threshold"), [("squash", 0.62), ("pad", None)])
def test_the_lines_of_the_page_agree_with_torch(pictures, tmp_path: Path, fit: str, threshold: float | None) -> None:
    card = ModelCard(
        kind="distill", source="x", source_fingerprint="x", architecture="house/resnet20_cifar", head="linear",
        dropout=0.2, classes=("ill", "well"), positive_class=None if threshold is None else "ill",
        preprocessing=Preprocessing(size=SIZE), size=SIZE, fit=fit, symmetries=("left_right",), temperature=1.3,
        threshold=threshold, split_hash="s", data_fingerprint="d", data_licence="MIT", weights_licence="none",
    )  # fmt: skip
    save_checkpoint(tmp_path, classifier().eval(), card)
    shipped, graph = load_shipped(tmp_path)
    path = export_shipped(shipped, graph, tmp_path / "model.onnx")
    images = Images(size=SIZE, fit=fit)
    pixels = np.stack([decode(each.read_bytes(), images).pixels_SS3 for each in pictures])
    with torch.inference_mode():
        expected = shipped(torch.from_numpy(pixels)).numpy().astype(float)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + snippet(), str(path), *map(str, pictures)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["path"] for row in found] == [str(each) for each in pictures]
    stated = np.array([[row["probabilities"][name] for name in card.classes] for row in found])
    np.testing.assert_allclose(stated, expected, atol=2e-5)
    decided = decide(expected, threshold, 0) if threshold is not None else decide(expected)
    assert [row["decision"] for row in found] == [card.classes[code] for code in decided]
    assert len(set(decided.tolist())) == 2 or np.ptp(expected[:, 0]) > 0.01
