"""Columns of DICOM rows: those that headers give, and those of a table that must be left out."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from medical_transfer.config.dicom import Dicom
from medical_transfer.data.dicom_facts import FileFacts
from medical_transfer.data.tables import text
from medical_transfer.types import FOUND_COLUMNS

logger = logging.getLogger(__name__)

SURE_LENGTH = 5
"""A cell that holds an identifier of so many characters does not hold it by chance."""
SEPARATORS = re.compile(r"[-/.]")
FEW_FILES = 10


def fact_columns(facts: Sequence[FileFacts]) -> dict[str, pd.Series[str]]:
    """A column for each fact that at least one file tells, named like it: `dicom_modality`, `dicom_view`..."""
    names = sorted({name for told in facts for name, value in told.columns.items() if value is not None})
    return {name: text(told.columns.get(name) for told in facts) for name in names}


def without_identifiers(frame: pd.DataFrame, facts: Sequence[FileFacts]) -> pd.DataFrame:
    """The rows without own columns of the table that repeat identifiers of the row's own file; the log names them.

    A column goes where one cell holds an identifier of five characters or more, or all cells are shorter ones.
    """
    own = [name for name in frame.columns if name not in (*FOUND_COLUMNS, "reason")]
    dropped = [name for name in own if _repeats(frame[name], facts)]
    if dropped:
        logger.warning(
            "%d column(s) of the table repeat identifiers of patients and are left out: number %s of its own columns",
            len(dropped),
            ", ".join(str(own.index(name) + 1) for name in dropped),
        )
    return frame.drop(columns=dropped)


def _repeats(column: pd.Series, facts: Sequence[FileFacts]) -> bool:
    told = [(str(cell).casefold(), facts[row].identifiers) for row, cell in enumerate(column) if _filled(cell)]
    told = [(cell, identifiers) for cell, identifiers in told if identifiers]
    sure = any(
        len(word) >= SURE_LENGTH and (word in cell or word in SEPARATORS.sub("", cell))
        for cell, identifiers in told
        for word in identifiers
    )
    return sure or (bool(told) and all(cell in identifiers for cell, identifiers in told))


def _filled(cell: object) -> bool:
    return cell is not None and str(cell) not in ("", "nan", "<NA>", "NaT")


def warn_of_divided(given: pd.Series[str], facts: Sequence[FileFacts]) -> None:
    """Log how many groups of headers (patients) the table's own groups tear apart: a split could divide them."""
    both = pd.DataFrame({"given": given.to_numpy(), "told": [told.group for told in facts]}).dropna()
    divided = int((both.drop_duplicates().groupby("told").size() > 1).sum())
    if divided:
        logger.warning(
            "The table's column group divides %d group(s) that the DICOM headers keep together, such as patients: "
            "their images may stand in training and in test. Leave the column out, unless that is meant",
            divided,
        )


def tell(facts: Sequence[FileFacts], dicom: Dicom) -> None:
    """Log what was found, and what should make a reader wonder."""
    read = [told for told in facts if told.columns]
    groups = {told.group for told in read}
    logger.info("%d of %d DICOM files can be read: %d groups", len(read), len(facts), len(groups))
    if dicom.group == "patient" and len(groups) == 1 and len(read) >= FEW_FILES:
        logger.warning(
            "All %d DICOM files have one patient id: where ids were replaced by one word, set images.dicom.group=study",
            len(read),
        )
    lying = Counter(told.columns["dicom_orientation"] or "unknown" for told in read)
    if len(lying) > 1:
        counts = ", ".join(f"{count} x {name}" for name, count in lying.most_common())
        logger.warning("Images lie in different orientations (%s) and are not turned: see docs/dicom.md", counts)
