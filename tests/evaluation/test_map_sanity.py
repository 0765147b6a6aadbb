"""Maps of networks that know nothing: which stay, which change, and what is random in those networks."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel
from torch import nn

from medical_transfer.evaluation.explanations.grad_cam import Opened, grad_cam
from medical_transfer.evaluation.explanations.randomised import draw_anew, randomised
from medical_transfer.evaluation.explanations.sanity import (
    between_images,
    correlations,
    judged,
    rank_correlation,
)
from medical_transfer.evaluation.explanations.score import LogOdds
from medical_transfer.evaluation.explanations.words import alarms, sentences
from toy import SIZE, classifier, pixels

N = 12
SETTINGS = {"resamples": 300, "coverage": 0.95, "seed": 0}


def images(n: int = N) -> torch.Tensor:
    return torch.from_numpy(pixels(n)[0]).movedim(-1, 1).float() / 255


def edges(_network: nn.Module) -> np.ndarray:
    """An edge detector: looks at the images alone."""
    grey_NSS = images().mean(dim=1).numpy()
    return np.hypot(sobel(grey_NSS, axis=1), sobel(grey_NSS, axis=2))


def cam(network: nn.Module) -> np.ndarray:
    opened = Opened(network, SIZE)
    return grad_cam(LogOdds(opened), opened.map, images(), torch.ones(N, dtype=torch.long))


def told_of(maps_of, level: str) -> dict:
    network = classifier().eval()
    random_RNgg = np.stack([maps_of(randomised(network, level, images(), seed)) for seed in range(4)])
    return judged(correlations(maps_of(network), random_RNgg), np.arange(N), **SETTINGS)


def page_of(row: dict) -> dict:
    lead = {"estimate": 0.0, "low": -1.0, "high": 1.0}
    rivals = {"deletion": {"lead": {"random": lead, "other_image": lead}, "areas": {"map": 0.5}}}
    facts = {"reason": None, "sanity": {"head": row}, "rivals": rivals, "between_images": 0.0}
    return {"methods": {"grad_cam": facts}}


@pytest.mark.parametrize("level", ["head", "whole"])
def test_an_edge_detector_is_called_out(level: str) -> None:
    told = told_of(edges, level)
    assert told["mean"]["estimate"] == pytest.approx(1)
    assert told["verdict"] == "stays"
    assert alarms(page_of(told))[0].startswith("Do not trust the maps of Grad-CAM")


def test_grad_cam_changes_with_the_whole_network() -> None:
    told = told_of(cam, "whole")
    assert told["verdict"] == "changes"
    assert told["networks"] == 4
    assert alarms(page_of(told)) == []


def test_a_random_head_on_separate_places_keeps_no_order() -> None:
    """K maps, each alive in a place of its own, under random weights: ranks are random, so the mean is 0 and the
    standard deviation of a rank correlation 1 / sqrt(K - 1)."""
    rng, places, networks = np.random.default_rng(0), 49, 400
    trained, random = rng.normal(size=(1, 7, 7)), rng.normal(size=(networks, 1, 7, 7))
    found = correlations(trained, random)[:, 0]
    assert abs(found.mean()) < 3 / np.sqrt((places - 1) * networks)
    assert found.std() == pytest.approx(1 / np.sqrt(places - 1), rel=0.15)


def test_maps_that_only_turn_their_sign_are_called_out() -> None:
    rng = np.random.default_rng(1)
    trained = rng.normal(size=(6, 5, 5))
    told = judged(correlations(trained, np.stack([trained, -trained])), np.arange(6), **SETTINGS)
    assert told["mean"]["estimate"] == pytest.approx(0)
    assert told["up_to_sign"] == pytest.approx(1)
    assert "only turn their sign" in alarms(page_of(told))[0]


def test_maps_that_say_nothing_are_left_out_and_counted() -> None:
    flat, steep = np.zeros((4, 4)), np.arange(16.0).reshape(4, 4)
    assert np.isnan(rank_correlation(flat, steep))
    assert rank_correlation(steep, flat) == 0
    assert rank_correlation(steep, steep**3) == pytest.approx(1)
    told = judged(correlations(np.stack([flat, steep]), np.stack([[steep, -steep]])), np.arange(2), **SETTINGS)
    assert (told["empty"], told["mean"]["n"], told["mean"]["estimate"]) == (1, 1, pytest.approx(-1))
    assert judged(correlations(flat[None], steep[None, None]), np.arange(1), **SETTINGS)["verdict"] == "unclear"
    assert between_images(np.stack([steep, steep, -steep])) == pytest.approx(-1 / 3)


def test_a_method_that_is_impossible_is_named_with_its_reason() -> None:
    told = {"methods": {"grad_cam": {"reason": "the model's trunk exists only as a graph"}}}
    assert sentences(told) == ["Grad-CAM is left out: the model's trunk exists only as a graph."]
    assert alarms(told) == []


def test_a_random_head_leaves_the_trunk_as_it_was_and_the_original_whole() -> None:
    network = classifier().eval()
    before = copy.deepcopy(network.state_dict())
    new = randomised(network, "head", images(), 5)
    changed = {name for name, value in new.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("head.") for name in changed)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    again = randomised(network, "head", images(), 5).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in new.state_dict().items())


def test_a_random_network_is_alive() -> None:
    new = randomised(classifier().eval(), "whole", images(), 6)
    features_ND = new.features(images()).detach()
    assert not any(module.training for module in new.modules())
    standardised = new.standardise(features_ND)
    assert standardised.mean(dim=0).abs().max() < 1e-3
    assert float(standardised.std(dim=0).median()) == pytest.approx(1, rel=0.1)
    with torch.no_grad():
        assert new(images()).std() > 0.05


def test_tensors_outside_layers_are_shuffled() -> None:
    class Loose(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.layer = nn.Parameter(torch.arange(50.0)), nn.Linear(3, 3)

    part = Loose()
    weight = part.layer.weight.detach().clone()
    torch.manual_seed(0)
    draw_anew(part)
    assert part.token.tolist() != list(range(50))
    assert sorted(part.token.tolist()) == list(range(50))
    assert not torch.equal(part.layer.weight, weight)
