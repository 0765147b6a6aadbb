"""Labels that are not one certain class per image: several findings in one cell or column, and 'uncertain'.

A classifier that was trained on them as if they were classes looks fine and means nothing, so they are refused.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

import pandas as pd

from medical_transfer.types import UserError

SUPPORTED = "supported is one certain class per image"
SEPARATORS = re.compile(r"\s*[|;,/+&]\s*")
UNCERTAIN = frozenset({"uncertain", "unsure", "unclear", "equivocal", "indeterminate", "undetermined", "unknown", "?"})
"""Label texts, in lower case, that say that nobody knows."""
FINDING_VALUES = frozenset({"0", "1", "-1", "0.0", "1.0", "-1.0", "", "nan", "none", "<na>", "true", "false"})
"""What columns of findings hold, one column per finding."""


def refuse_uncertain(found: pd.Series[str], known: Container[str]) -> None:
    """Refuse labels that say 'uncertain', unless the user said what becomes of them.

    -1 beside 0 and 1 is the 'uncertain' of CheXpert and its kin.

    Args:
        found: labels as they are found.
        known: names that `images.classes` maps or drops.

    Raises:
        UserError: names them.
    """
    names = set(found.dropna())
    odd = {name for name in names if name.lower() in UNCERTAIN}
    odd |= {"-1"} & names if {"0", "1"} <= names else set()
    unsaid = sorted(name for name in odd if name not in known)
    if unsaid:
        count = int(found.isin(unsaid).sum())
        raise UserError(
            f"{count} images are labelled {', '.join(map(repr, unsaid))}, which is no finding; {SUPPORTED}. Leave them "
            f"out with images.classes={{{unsaid[0]}: null}}, or map the name to the class that you take them for."
        )


def refuse_several(found: pd.Series[str]) -> None:
    """Refuse labels that name several classes at once, such as `effusion|mass` beside `effusion` and `mass`.

    Raises:
        UserError: shows one.
    """
    names = set(found.dropna())
    for name in sorted(names):
        parts = [part for part in SEPARATORS.split(name) if part]
        if len(parts) > 1 and (all(part in names for part in parts) or "|" in name):
            raise UserError(
                f"The label {name!r} names {len(parts)} classes at once; {SUPPORTED}, no multi-label sets. Take one "
                "finding against the rest: write a column 'label' that says for each image whether it is there."
            )


def finding_columns(table: pd.DataFrame, known: Iterable[str]) -> list[str]:
    """Columns that look like one finding each (0, 1, -1 or nothing): a multi-label table."""
    others = [name for name in table.columns if name not in set(known)]
    return [str(name) for name in others if {str(value).lower() for value in table[name].unique()} <= FINDING_VALUES]
