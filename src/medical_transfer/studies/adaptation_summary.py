"""The words of the study of adaptation, computed from its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medical_transfer.config.study_adaptation import StudyAdaptation


def summary(
    results: pd.DataFrame, failures: Sequence[Mapping[str, Any]], study: StudyAdaptation, parameters: Mapping[str, Any]
) -> str:
    return "# Adaptation\n"
