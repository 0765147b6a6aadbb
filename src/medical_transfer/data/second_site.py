"""What a second site must have: usable images, and no class that the first one lacks. It may also be absent."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from medical_transfer.config.images import Images
from medical_transfer.data.audit import audit
from medical_transfer.data.manifest import manifest_rows, reasons_of, usable_rows
from medical_transfer.data.readers import NothingReader
from medical_transfer.types import UserError


def empty_audit(images: Images) -> pd.DataFrame:
    """The audit of no files: no rows, and the column types that any audit has."""
    reader = NothingReader(images, Path())
    rows = manifest_rows(reader.find(), images, need_labels=False)
    return audit(rows, reader, images, np.empty((0, images.size, images.size, 3), dtype=np.uint8))


def usable_classes(audit: pd.DataFrame) -> dict[str, int]:
    """Usable images of each class, by name; images without a label are in no class."""
    counts = audit.loc[usable_rows(audit), "label"].value_counts().sort_index()
    return {str(label): int(count) for label, count in counts.items()}


def check_comparable(audit: pd.DataFrame, source_classes: Collection[str]) -> None:
    """Refuse a second site whose images or classes have no counterpart; missing labels are no fault.

    Raises:
        UserError: no usable image, or a class that the first site does not have.
    """
    if not usable_rows(audit).any():
        raise UserError(f"None of the second site's {len(audit)} files is usable ({reasons_of(audit)}).")
    unknown = sorted(set(usable_classes(audit)) - set(source_classes))
    if unknown:
        raise UserError(
            f"The second site has the classes {unknown}, which the first does not; it has {sorted(source_classes)}: "
            f"map each by target_images.classes, e.g. {{{unknown[0]}: {min(source_classes, default='...')}}}, or to "
            "null to leave it out."
        )
