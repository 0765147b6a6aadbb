"""Transferability: which source suits the target, each score in its own file behind one protocol.

A score is a function of one `Evidence` that returns a float, higher is better, or raises `Undefined` with a reason.
A new score = its file, its line in this menu, its name in `config/transferability.py`, its own test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from medical_transfer.transferability.baselines import parameters, source_accuracy
from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.gbc import gbc
from medical_transfer.transferability.h_score import h_score
from medical_transfer.transferability.leep import leep
from medical_transfer.transferability.linear_probe import linear_probe
from medical_transfer.transferability.logme import logme
from medical_transfer.transferability.nleep import nleep
from medical_transfer.transferability.parc import parc
from medical_transfer.transferability.sfda import sfda
from medical_transfer.transferability.spearman_mmd import rdm_spearman_mmd, spearman_mmd

Score = Callable[[Evidence], float]

SCORES: Mapping[str, Score] = {
    "linear_probe": linear_probe,
    "logme": logme,
    "sfda": sfda,
    "nleep": nleep,
    "leep": leep,
    "h_score": h_score,
    "parc": parc,
    "gbc": gbc,
    "spearman_mmd": spearman_mmd,
    "rdm_spearman_mmd": rdm_spearman_mmd,
    "parameters": parameters,
    "source_accuracy": source_accuracy,
}
"""Every score by name."""

__all__ = ["SCORES", "Evidence", "Score", "Undefined"]
