from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed

import toy
from medical_transfer.data.loaders import Batch
from medical_transfer.runtime import devices
from medical_transfer.runtime.devices import CANDIDATES, DEFAULT
from medical_transfer.runtime.files import read_json
from medical_transfer.training import number_format as number_format_file
from medical_transfer.training.compiling import compiled
from medical_transfer.training.fit import fit
from medical_transfer.training.number_format import number_format_of

BF16 = CANDIDATES[2]


@pytest.fixture
def compile_calls(monkeypatch):
    """torch.compile takes minutes: one that gives back the function and counts what runs through it."""
    calls = []

    def compile_(function):
        def run(*arguments):
            calls.append(arguments[1:])
            return function(*arguments)

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    return calls


class BrokenBackend:
    __name__ = "inductor"


def broken(calls, after=0):
    """A torch.compile whose functions fail from so many calls on, as they do where there is no compiler."""

    def compile_(function):
        def run(*arguments):
            calls.append(arguments[1:])
            if len(calls) > after:
                raise BackendCompilerFailed(BrokenBackend(), RuntimeError("no compiler found"), None)
            return function(*arguments)

        return run

    return compile_


def train(folder, **fields):
    fields = {"head_epochs": 1, "epochs": 2, "learning_rate": 1e-3} | fields
    method = toy.finetune(toy.classifier(), freeze="none", **fields)
    history = fit(
        method, toy.Problem(method.classifier), training=toy.config(**fields), seed=0, folder=folder, name="toy"
    )
    return method, history.drop(columns="seconds")


def test_a_compiled_phase_runs_through_what_torch_compiled_and_leaves_nothing(tmp_path, compile_calls):
    method, history = train(tmp_path / "compiled", compile="always")
    assert compile_calls == [(0, 4)] * 2 * (3 + 1)  # two epochs of the trunk: three steps, one batch of validation
    assert "run_stages" not in vars(method.classifier.trunk)
    assert read_json(tmp_path / "compiled/trunk.done.json")["format"] == "fp32 channels_last compiled"
    assert (
        read_json(tmp_path / "compiled/head.done.json")["format"] == "fp32 channels_last"
    )  # features: nothing to gain
    compile_calls.clear()
    plain, same = train(tmp_path / "plain", compile="never")
    assert not compile_calls
    assert history.equals(same)
    assert all(torch.equal(a, b) for a, b in zip(method.parameters(), plain.parameters(), strict=True))


@pytest.mark.parametrize("after", [0, 2, 5], ids=["at once", "in the first epoch", "in the second epoch"])
def test_where_torch_cannot_compile_training_goes_on_with_the_same_numbers(tmp_path, monkeypatch, caplog, after):
    expected = train(tmp_path / "plain", compile="never")
    calls = []
    monkeypatch.setattr(torch, "compile", broken(calls, after))
    with caplog.at_level(logging.WARNING, logger="medical_transfer"):
        method, history = train(tmp_path / "broken", compile="always")
    assert len(calls) == after + 1
    (told,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert told.startswith("torch.compile failed (")
    assert told.endswith("no compiler found): training goes on without it")
    assert "run_stages" not in vars(method.classifier.trunk)
    assert read_json(tmp_path / "broken/trunk.done.json")["format"] == "fp32 channels_last"
    assert history.equals(expected[1])
    assert all(torch.equal(a, b) for a, b in zip(method.parameters(), expected[0].parameters(), strict=True))


def test_compiling_is_undone_after_an_error(compile_calls):
    method = toy.finetune(toy.classifier())
    with pytest.raises(KeyError), compiled(method):
        assert "run_stages" in vars(method.classifier.trunk)
        raise KeyError
    assert "run_stages" not in vars(method.classifier.trunk)


def test_a_trunk_is_one_graph():
    """Nothing of it makes torch leave the graph, and tensors keep their names."""
    method = toy.finetune(toy.classifier(), freeze="none")
    names = set(method.state_dict())
    images = torch.rand(2, 3, toy.SIZE, toy.SIZE)
    expected = method.eval().classifier(images)
    with pytest.MonkeyPatch.context() as patch, compiled_in_python(patch, method):
        torch.testing.assert_close(method.classifier(images), expected)
        assert set(method.state_dict()) == names


def compiled_in_python(patch, method):
    original = torch.compile
    patch.setattr(torch, "compile", lambda function: original(function, backend="eager", fullgraph=True))
    return compiled(method)


@pytest.fixture
def choose(monkeypatch):
    """The choice for the trunk's phase on a claimed device, with a measured format and a measured gain."""

    def run(kind, *, pays=True, phase=1, **fields):
        asked = []
        method = toy.finetune(toy.classifier(), freeze="none", epochs=6)
        chosen = method.phases()[phase]
        method.start(chosen)
        data = toy.Problem(method.classifier)(chosen)
        monkeypatch.setattr(number_format_file, "device", lambda: torch.device(kind))
        monkeypatch.setattr(Batch, "to", lambda self, where: self)
        monkeypatch.setattr(number_format_file, "fastest_format", lambda step, *, name: BF16)

        def compiling_pays(step, number_format, *, name, steps):
            asked.append((number_format, name, steps))
            step(replace(number_format, compiled=True))
            return pays

        monkeypatch.setattr(number_format_file, "compiling_pays", compiling_pays)
        found = number_format_of(method, chosen, data, training=toy.config(**fields), name="toy/16")
        assert "run_stages" not in vars(method.classifier.trunk)
        return found, asked

    return run


def test_cuda_tries_to_compile_in_the_format_that_is_fastest(choose, compile_calls):
    found, asked = choose("cuda", number_format="auto")
    assert found == replace(BF16, compiled=True)
    assert asked == [(BF16, "toy/16/trunk/0/8", 6 * 3)]
    assert compile_calls == [(0, 4)]
    assert choose("cuda", number_format="auto", pays=False)[0] == BF16
    assert choose("cuda", number_format="fp32")[0] == replace(DEFAULT, compiled=True)


@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_elsewhere_nothing_is_compiled_unless_asked_for(choose, kind):
    assert choose(kind, number_format="auto") == (BF16, [])
    assert choose(kind, number_format="fp32") == (DEFAULT, [])
    assert choose(kind, number_format="auto", compile="always") == (replace(BF16, compiled=True), [])


def test_never_is_never_and_features_are_not_compiled(choose):
    assert choose("cuda", number_format="auto", compile="never") == (BF16, [])
    assert choose("cuda", number_format="auto", phase=0) == (DEFAULT, [])
    assert choose("cuda", number_format="auto", compile="always", phase=0) == (DEFAULT, [])


def test_a_trial_that_cannot_compile_is_told_and_not_taken(choose, monkeypatch, caplog):
    monkeypatch.setattr(torch, "compile", broken([]))
    with caplog.at_level(logging.WARNING, logger="medical_transfer"):
        assert choose("cuda", number_format="auto")[0] == BF16
    assert "no compiler found): training goes on without it" in caplog.text


def test_the_answers_have_a_folder_of_their_own():
    assert devices._folder().name == "number_format"
