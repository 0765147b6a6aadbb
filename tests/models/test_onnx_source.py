from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from medical_transfer.models.classifier import Normalise
from medical_transfer.models.freezing import freeze
from medical_transfer.models.onnx_source import export_trunk, graph_session, write_graph
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.types import UserError


def opened(path):
    return graph_session(path.read_bytes(), origin=path.name, threads=1)


@pytest.mark.parametrize("architecture", ["timm/tf_efficientnet_lite0", "house/squeezenet1_1_leaky"])
def test_onnx_runtime_agrees_with_torch(trunk_of, tmp_path, architecture):
    trunk = nn.Sequential(Normalise(Preprocessing(channels="BGR")), trunk_of(architecture)).eval()
    session = opened(export_trunk(trunk, size=64, path=tmp_path / "trunk.onnx"))
    for count in (1, 5):  # the batch axis is free
        images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))
        with torch.no_grad():
            (found,) = session.run(["features"], {"images": images.numpy()})
            np.testing.assert_allclose(found, trunk(images).numpy(), atol=1e-4, rtol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["trunk.onnx"]


def test_padding_is_no_arithmetic_of_the_graph(trunk_of, tmp_path):
    """'Same' padding is known when a graph is written, as the picture's size is."""
    path = export_trunk(trunk_of("timm/tf_efficientnet_lite0"), size=64, path=tmp_path / "trunk.onnx")
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert "Pad" in kinds
    assert kinds.isdisjoint({"Shape", "Gather", "Ceil"})


class SequenceFirst(nn.Module):
    """N is the second size of what it works on, as in `nn.MultiheadAttention`."""

    def forward(self, x):
        x = x.flatten(2).permute(2, 0, 1)
        positions, n, channels = x.shape
        return x.reshape(positions, n * channels).reshape(positions, n, channels).mean(dim=0)


def test_the_number_of_images_stays_free_wherever_it_stands(tmp_path):
    session = opened(
        write_graph(SequenceFirst(), torch.rand(2, 3, 8, 8), tmp_path / "x.onnx", given="x", outputs=("y",))
    )
    images = torch.rand(5, 3, 8, 8)
    (found,) = session.run(None, {"x": images.numpy()})
    np.testing.assert_allclose(found, images.mean(dim=(2, 3)).numpy(), atol=1e-6)


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
    session = opened(path)
    features, found = session.run(["features", "cut2"], {"images": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(features, trunk(images).numpy(), atol=1e-4)
        cut = trunk.run(images, 0, 2).numpy()
    np.testing.assert_allclose(found, cut, atol=1e-4)


def test_export_leaves_the_modes_as_they_were(classifier_of, tmp_path):
    model = classifier_of().train()
    freeze(model, "partial", 1)
    before = [module.training for module in model.modules()]
    export_trunk(model.trunk, size=32, path=tmp_path / "trunk.onnx")
    assert [module.training for module in model.modules()] == before


def test_waiting_threads_sleep(trunk_of, tmp_path):
    path = export_trunk(trunk_of(), size=32, path=tmp_path / "x.onnx")
    session = graph_session(path.read_bytes(), origin="x", threads=2)
    assert session.get_session_options().get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_bytes_that_are_no_graph_are_refused():
    with pytest.raises(UserError, match="What was saved is no readable ONNX graph"):
        graph_session(b"not a graph", origin="What was saved", threads=1)
