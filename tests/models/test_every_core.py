from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from graphs import SIDE, Tiny, export
from medical_transfer.models import every_core
from medical_transfer.models.every_core import AT_ONCE, EveryCore, _pieces
from medical_transfer.models.onnx_source import export_trunk, graph_session
from medical_transfer.types import UserError


@pytest.fixture(scope="module")
def graph(trunk_of, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "trunk.onnx"
    return export_trunk(trunk_of("timm/tf_efficientnet_lite0"), size=64, path=path).read_bytes()


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))  # an export asks a module where its weights lie

    def forward(self, images):
        return images.mean(dim=(2, 3)), images.amax(dim=(1, 2, 3))


def with_cores(monkeypatch, number):
    monkeypatch.setattr(every_core, "cores", lambda: number)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("images", [0, 1, 2, 3, 13])
def test_results_are_those_of_one_call_to_the_bit(graph, monkeypatch, number, images):
    with_cores(monkeypatch, number)
    pixels = np.random.default_rng(images).random((images, 3, 64, 64), dtype=np.float32)
    (expected,) = graph_session(graph, origin="x", threads=1).run(["features"], {"images": pixels})
    (found,) = EveryCore(graph, origin="x").run(pixels, ["features"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_outputs_come_in_the_order_that_was_asked_for(tmp_path, monkeypatch):
    with_cores(monkeypatch, 2)
    path = export_trunk(TwoOutputs(), size=8, path=tmp_path / "x.onnx", outputs=("means", "brightest"))
    images = np.random.default_rng(0).random((7, 3, 8, 8), dtype=np.float32)
    brightest, means = EveryCore(path.read_bytes(), origin="x").run(images, ["brightest", "means"])
    np.testing.assert_allclose(means, images.mean(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(brightest, images.max(axis=(1, 2, 3)))


class Counting:
    """A session that says how many images each call brings, and waits in each until all cores are in one."""

    def __init__(self, session, together=1):
        self.session, self.calls = session, []
        self.barrier = threading.Barrier(together, timeout=60)

    def get_inputs(self):
        return self.session.get_inputs()

    def run(self, outputs, feed):
        self.calls.append(len(feed["images"]))
        self.barrier.wait()
        return self.session.run(outputs, feed)


def test_every_core_has_images_of_its_own_at_the_same_time(graph, monkeypatch):
    with_cores(monkeypatch, 3)
    opened = EveryCore(graph, origin="x")
    opened.alone = Counting(opened.alone, together=3)  # no call ends before three are under way
    opened.run(np.zeros((12, 3, 64, 64), dtype=np.float32), ["features"])
    assert opened.alone.calls == [4, 4, 4]


@pytest.mark.parametrize(("images", "shared"), [(1, True), (2, True), (3, False)])
def test_fewer_images_than_cores_are_shared_by_all(graph, monkeypatch, images, shared):
    with_cores(monkeypatch, 3)
    opened = EveryCore(graph, origin="x")
    opened.alone, opened.__dict__["_together"] = Counting(opened.alone), Counting(opened._together)
    opened.run(np.zeros((images, 3, 64, 64), dtype=np.float32), ["features"])
    assert opened._together.calls == ([images] if shared else [])
    assert opened.alone.calls == ([] if shared else [1] * images)


@pytest.mark.parametrize("number", [1, 4])
def test_cores_share_layers_only_where_all_work_on_one_image(graph, monkeypatch, number):
    with_cores(monkeypatch, number)
    opened = EveryCore(graph, origin="x")
    threads = [each.get_session_options().intra_op_num_threads for each in (opened.alone, opened._together)]
    assert threads == [1, number]


def test_a_graph_of_fixed_number_is_one_call(tmp_path, monkeypatch):
    with_cores(monkeypatch, 2)
    graph = export(Tiny().eval(), tmp_path / "x.onnx", shape=(5, 3, SIDE, SIDE), free=()).read_bytes()
    images = np.random.default_rng(0).random((5, 3, SIDE, SIDE), dtype=np.float32)
    bare = graph_session(graph, origin="x", threads=1)
    output = bare.get_outputs()[0].name
    (expected,) = bare.run([output], {bare.get_inputs()[0].name: images})
    (found,) = EveryCore(graph, origin="x").run(images, [output])
    np.testing.assert_array_equal(found, expected)


@given(
    images=st.integers(1, 70),
    side=st.sampled_from([1, 28, 64, 160, 161, 300]),
    workers=st.integers(1, 80),
    channels_last=st.booleans(),
)
def test_pieces_are_all_images_in_order_and_leave_no_core_idle(images, side, workers, channels_last):
    shape = (side, side, 3) if channels_last else (3, side, side)
    given_images = np.broadcast_to(np.arange(images, dtype=np.float32)[:, None, None, None], (images, *shape))
    pieces = _pieces(given_images, workers)
    assert [int(image[0, 0, 0]) for piece in pieces for image in piece] == list(range(images))
    assert all(len(piece) == 1 or len(piece) * 3 * side**2 <= AT_ONCE for piece in pieces)
    largest = max(len(piece) for piece in pieces)
    assert largest <= -(-images // workers)  # as few as would lie on each core were they dealt out evenly
    fills_its_share = largest in (-(-images // workers), max(1, AT_ONCE // (3 * side**2)))
    assert fills_its_share


def test_bytes_that_are_no_graph_are_refused():
    with pytest.raises(UserError, match="What was saved is no readable ONNX graph"):
        EveryCore(b"not a graph", origin="What was saved")
