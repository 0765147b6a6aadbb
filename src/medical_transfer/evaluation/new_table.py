"""The predictions table of new images: what a model says of each, where it abstains, and why one could not be read.

Shapes: N rows, of which n were seen; C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.evaluation.predict import KEPT_COLUMNS, predictions_table
from medical_transfer.models.card import ModelCard


@dataclass(frozen=True, eq=False)
class Seen:
    """What a model says of n images: calibrated probabilities (n, C), and novelty (n,), NaN where it has no score.

    `features_nH` is what its last layer saw; joined batches keep it only where it is asked for.
    """

    probabilities_nC: NDArray[np.float64]
    novelty_n: NDArray[np.float64]
    features_nH: NDArray[np.float32]

    @classmethod
    def joined(cls, several: Sequence[Seen], classes: int, *, features: bool = False) -> Seen:
        """Several batches as one, also where there is none."""
        kept = [each.features_nH for each in several] if features else []
        return cls(
            np.concatenate([np.empty((0, classes)), *(each.probabilities_nC for each in several)]),
            np.concatenate([np.empty(0), *(each.novelty_n for each in several)]),
            np.concatenate(kept) if kept else np.empty((0, 0), dtype=np.float32),
        )


def new_table(
    rows: pd.DataFrame, reasons_N: Sequence[str | None], seen: Seen, card: ModelCard, abstains_above: float
) -> pd.DataFrame:
    """Put what was seen beside all rows.

    Args:
        rows: as `data.manifest.manifest_rows` gives them.
        reasons_N: why a row was not seen; None where it was.
        seen: the rows without a reason, in their order.
        card: of the model.
        abstains_above: the novelty above which the model abstains: it keeps its probabilities, but decides nothing.

    Returns:
        `image_id, path, group_id, site, split, label, predicted, p_<class>..., decision, status, reason, novelty,
        abstained`. The last two are null for rows that were not seen, and `abstained` too where there is no novelty.
    """
    used_N = np.array([reason is None for reason in reasons_N], dtype=bool)
    table = predictions_table(rows[KEPT_COLUMNS], used_N, seen.probabilities_nC, card)
    novelty_N = np.full(len(rows), np.nan)
    novelty_N[used_N] = seen.novelty_n
    abstained_N = pd.array(novelty_N > abstains_above, dtype="boolean")
    abstained_N[np.isnan(novelty_N)] = pd.NA
    unlike_N = (novelty_N > abstains_above).tolist()
    why = [
        f"unlike the training images: novelty {novelty:.3g}, at most {abstains_above:.3g} is known"
        if unlike
        else reason
        for novelty, unlike, reason in zip(novelty_N, unlike_N, reasons_N, strict=True)
    ]
    table.loc[unlike_N, "decision"] = pd.NA
    table["status"] = pd.Series(np.where(used_N, "ok", "quarantined"), index=table.index, dtype="string")
    table["reason"] = pd.Series(why, index=table.index, dtype="string")
    table["novelty"] = novelty_N
    table["abstained"] = abstained_N
    return table
