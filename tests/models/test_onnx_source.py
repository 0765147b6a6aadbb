from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medical_transfer.config.backbones import Backbones
from medical_transfer.models.backbones import find_source
from medical_transfer.models.classifier import Normalise
from medical_transfer.models.freezing import freeze
from medical_transfer.models.onnx_source import export_trunk, onnx_session, open_graph, run
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.weights import Graph
from medical_transfer.types import UserError


@pytest.mark.parametrize("architecture", ["timm/tf_efficientnet_lite0", "house/squeezenet1_1_leaky"])
def test_onnx_runtime_agrees_with_torch(trunk_of, tmp_path, architecture):
    trunk = nn.Sequential(Normalise(Preprocessing(channels="BGR")), trunk_of(architecture)).eval()
    session = onnx_session(export_trunk(trunk, size=64, path=tmp_path / "trunk.onnx"), threads=1)
    for count in (1, 5):  # the batch axis is free
        images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))
        with torch.no_grad():
            np.testing.assert_allclose(run(session, images.numpy()), trunk(images).numpy(), atol=1e-4, rtol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["trunk.onnx"]


class TwoCuts(nn.Module):
    def __init__(self, trunk):
        super().__init__()
        self.trunk = trunk

    def forward(self, x):
        before = self.trunk.run(x, 0, 2)
        return before, self.trunk.run(before, 2, 4)


def test_several_outputs_by_name(trunk_of, tmp_path, images):
    trunk = trunk_of().eval()
    path = export_trunk(TwoCuts(trunk), size=32, path=tmp_path / "x.onnx", outputs=("cut2", "features"))
    session = onnx_session(path, threads=1)
    with torch.no_grad():
        np.testing.assert_allclose(run(session, images.numpy()), trunk(images).numpy(), atol=1e-4)
        cut = trunk.forward_until(images, 2).numpy()
    np.testing.assert_allclose(run(session, images.numpy(), output="cut2"), cut, atol=1e-4)


def test_export_leaves_the_modes_as_they_were(classifier_of, tmp_path):
    model = classifier_of().train()
    freeze(model, "partial", 1)
    before = [module.training for module in model.modules()]
    export_trunk(model.trunk, size=32, path=tmp_path / "trunk.onnx")
    assert [module.training for module in model.modules()] == before


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    path = tmp_path / "x.onnx"
    with pytest.raises(UserError, match="missing"):
        onnx_session(path, threads=1)
    path.write_bytes(b"not a graph")
    with pytest.raises(UserError, match="no readable ONNX graph"):
        onnx_session(path, threads=1)
    with pytest.raises(UserError, match="sha256"):
        open_graph(Graph(path=path, sha256="0" * 64), threads=1)


def test_an_output_that_does_not_exist_lists_those_that_do(trunk_of, tmp_path):
    path = export_trunk(trunk_of(), size=32, path=tmp_path / "trunk.onnx")
    with pytest.raises(UserError, match="its outputs are features"):
        open_graph(Graph(path=path, output="logits"), threads=1)


@pytest.mark.shared
def test_the_controlled_pair_of_graphs(shared_weights: Path):
    images = np.random.default_rng(0).random((2, 3, 224, 224), dtype=np.float32)
    features = []
    for name in ("shufflenetv2_x0_5_coco", "shufflenetv2_x0_5_imagenet"):
        source = find_source(name, Backbones(weights_root=shared_weights))
        assert not source.trainable
        session = open_graph(source.weights, threads=1)
        features.append(run(session, images, output=source.weights.output))
    assert features[0].shape == features[1].shape == (2, 192)
    assert not np.allclose(*features)
