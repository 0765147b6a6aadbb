"""Tar archives, unpacked once into a folder that no member can leave."""

from __future__ import annotations

import tarfile
from pathlib import Path

from medical_transfer.runtime.files import sha256_of
from medical_transfer.runtime.stage import once
from medical_transfer.types import UserError


def unpacked(archive: Path, root: Path) -> Path:
    """The folder of an archive's members below `root`, where it is unpacked unless it lies there whole.

    Members that would be written elsewhere, and links and devices that could lead there, are refused by tarfile's
    filter for data. Compressed archives are not taken: their size says nothing of what they hold.

    Raises:
        UserError: it is no plain tar archive, it is damaged, or a member would leave the folder.
    """
    key = f"{archive.stem}-{sha256_of(archive)[:12]}"

    def compute(folder: Path) -> None:
        try:
            with tarfile.open(archive, mode="r:") as members:
                members.extractall(folder, filter="data")
        except tarfile.FilterError as error:
            raise UserError(f"{archive} would write outside its folder ({error}): it is not unpacked.") from error
        except tarfile.TarError as error:
            raise UserError(f"{archive} is no readable tar archive ({error}): fetch it again.") from error

    return once(root, key, compute)
