"""Names that stand for patients and files without telling them: keyed hashes under a secret that stays where it is.

HMAC-SHA256 (RFC 2104). A plain hash of a patient number is no disguise: all numbers can be tried in seconds. The key
is random, made at first use and readable by its owner only; who lacks it cannot try.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import stat
from pathlib import Path

from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

KEY_BYTES = 32
DIGITS = 16
"""Hexadecimal digits of a pseudonym, 64 bits: among a million names two are equal with probability 3e-8."""


def pseudonym(key: bytes, kind: str, name: str) -> str:
    """Stand-in of a name, 16 hexadecimal digits; names of different kinds (patient, path) have unrelated ones."""
    return hmac.digest(key, f"{kind}\0{name}".encode("utf-8", "surrogateescape"), "sha256").hex()[:DIGITS]


def secret_key(path: Path) -> bytes:
    """Key in the file `path`, made with permission 600 where there is none.

    Of two processes that make it at once one wins, and both use its key.

    Raises:
        UserError: the file holds no key, others may read it, or it cannot be made.
    """
    try:
        if not path.exists():
            _make(path)
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The salt of DICOM pseudonyms cannot be kept in {path} ({type(error).__name__}): set images.dicom.salt "
            "to a file of your own that may be written, on a disk that others don't read."
        ) from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(f"Others may read the salt of DICOM pseudonyms: give the command chmod 600 {path}")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise UserError(
            f"{path} holds no salt of DICOM pseudonyms ({KEY_BYTES} bytes in hexadecimal were expected): bring back "
            "the file that was there, or remove it; a new salt means new groups and splits."
        )
    return key


def _make(path: Path) -> None:
    """Write a new key under another name first: whoever finds `path` finds a whole key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
        try:
            os.link(temporary, path)  # unlike a rename, it never replaces a key that is there
            logger.info("A new salt of DICOM pseudonyms was made: keep it as you keep the files")
        except FileExistsError:
            pass
    finally:
        temporary.unlink(missing_ok=True)
