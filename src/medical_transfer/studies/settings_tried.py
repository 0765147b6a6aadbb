"""The settings of a search as its table has them, and the best of them."""

from __future__ import annotations

import pandas as pd

from medical_transfer.config.study_tuning import StudyTuning

OWN, CHOSEN = "default", "chosen"
"""Methods in the table beside the settings that were `tried`: the configuration's own, and the best one at the end."""


def settings_of(results: pd.DataFrame, study: StudyTuning) -> pd.DataFrame:
    """Settings that have the validation metric under all seeds, in the order tried: `method, setting, mean`."""
    name = f"val_{study.metric}"
    mine = results[(results["metric"] == name) & results["value"].notna()]
    found = mine.groupby(["method", "setting"], sort=False)["value"].agg(["mean", "count"]).reset_index()
    return found[found["count"] == len(study.seeds)][["method", "setting", "mean"]].reset_index(drop=True)


def best_of(settings: pd.DataFrame) -> str | None:
    """The setting of the highest mean, the earliest of several; None where no setting ended well."""
    return None if settings.empty else str(settings["setting"].iloc[int(settings["mean"].argmax())])
