"""The guard at the manifest's door: no group in two splits, whoever wrote the file."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from kedro.validation.exceptions import DataValidationError

from medical_transfer.splits.leakage import check_no_leak
from medical_transfer.types import AUDIT_COLUMNS, UserError


class ManifestValidator:
    """Validator of the catalog entry `manifest`, run on save and on load."""

    may_be_empty: ClassVar[bool] = False

    def validate(self, data: pd.DataFrame) -> pd.DataFrame:
        """Return the manifest as it is.

        Raises:
            DataValidationError: where a column or every row is missing, or a group stands in two splits.
        """
        missing = [column for column in AUDIT_COLUMNS if column not in data.columns]
        if missing:
            raise DataValidationError(f"The manifest lacks the columns {', '.join(missing)}: run the split again.")
        if data.empty and not self.may_be_empty:
            raise DataValidationError("The manifest has no rows: run ingestion and the split again.")
        try:
            check_no_leak(data)
        except UserError as error:
            raise DataValidationError(str(error)) from error
        return data


class TargetManifestValidator(ManifestValidator):
    """Validator of the catalog entry `target_manifest`: without a second site it has its columns and no rows."""

    may_be_empty = True
