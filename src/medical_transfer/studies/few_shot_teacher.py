"""The teacher of the study of few-shot learning: frozen features of a network that was trained on other seeds.

Its head is fitted to the support set of each episode (`layers.class_means.imprinted`). Norms of the frozen trunk know a
fixed set of meta-training drawings, so that what it makes of an image does not hang on other images of an episode.
Shapes: N drawings, H features.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from medical_transfer.data.episodes import TaskSet
from medical_transfer.data.loaders import as_float
from medical_transfer.methods.episodic import Episodic
from medical_transfer.runtime.seeds import generator

REFERENCE, AT_ONCE = 200, 800
"""Drawings that the norms know, and drawings that are looked at together."""


def told_features(teacher: Episodic, train: TaskSet) -> dict[str, tuple[NDArray[np.float32], ...]]:
    """Features (N, H) of all drawings under each quarter turn, in the order of the views."""
    mine = np.flatnonzero(np.isin(train.rows.labels_N, train.classes))
    rng = generator(0, "study/reference")
    known = rng.choice(mine, min(REFERENCE, len(mine)), replace=False)
    return {"features": tuple(_of_view(teacher, view, known) for view in train.rows.views_V)}


def _of_view(teacher: Episodic, drawings: NDArray[np.uint8], known: NDArray[np.int64]) -> NDArray[np.float32]:
    reference = as_float(torch.from_numpy(np.ascontiguousarray(drawings[known])))
    device = next(teacher.parameters()).device
    found = []
    with torch.no_grad():
        for start in range(0, len(drawings), AT_ONCE):
            some = as_float(torch.from_numpy(np.ascontiguousarray(drawings[start : start + AT_ONCE])))
            rows = torch.cat([reference, some]).to(device)
            found.append(teacher.network.embed(rows, len(reference))[len(reference) :].cpu())
    return np.asarray(torch.cat(found).numpy(), dtype=np.float32)
