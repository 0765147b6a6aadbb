"""The guard at the manifest's door: no group in two splits, whoever wrote the file."""

from __future__ import annotations

import pandas as pd
from kedro.validation.exceptions import DataValidationError

from medical_transfer.splits.leakage import check_no_leak
from medical_transfer.types import AUDIT_COLUMNS, UserError


class ManifestValidator:
    """Validator of the catalog entry `manifest`, run on save and on load."""

    def validate(self, data: pd.DataFrame) -> pd.DataFrame:
        """Return the manifest as it is.

        Raises:
            DataValidationError: where a column is missing or a group stands in two splits.
        """
        missing = [column for column in AUDIT_COLUMNS if column not in data.columns]
        if missing:
            raise DataValidationError(f"The manifest lacks the columns {', '.join(missing)}: run the split again.")
        try:
            check_no_leak(data)
        except UserError as error:
            raise DataValidationError(str(error)) from error
        return data
