"""The two places that images come from: the first site, and a second one that may be absent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from medical_transfer.config.images import Images
from medical_transfer.types import UserError

_FIELD = re.compile(rf"(?<![\w./\\-])images\.(?={'|'.join(Images.model_fields)})")


@dataclass(frozen=True, slots=True)
class Site:
    """How the stages, datasets and parameters of one site are called: the plain name behind a prefix."""

    prefix: str

    def named(self, name: str) -> str:
        """This site's stage, dataset or parameter block of that name."""
        return f"{self.prefix}{name}"

    @contextmanager
    def naming_its_parameters(self) -> Iterator[None]:
        """Errors of the floors below speak of `images.<field>`; let them name this site's block.

        Raises:
            UserError: the one that was raised inside, with the names of this site.
        """
        try:
            yield
        except UserError as error:
            raise UserError(_FIELD.sub(f"{self.named('images')}.", str(error))) from error


SOURCE = Site("")
"""Where the model is trained."""
TARGET = Site("target_")
"""A second site (`target_images`); its labels may be missing."""
