from __future__ import annotations

import hashlib
import hmac
import re
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from medical_transfer.data.pseudonyms import pseudonym, secret_key
from medical_transfer.types import UserError

KEY = bytes(range(32))


def test_a_pseudonym_is_the_beginning_of_an_hmac():
    expected = hmac.new(KEY, b"patient\x00MRN 12", hashlib.sha256).hexdigest()[:16]
    assert pseudonym(KEY, "patient", "MRN 12") == expected
    assert pseudonym(KEY, "path", "MRN 12") != expected
    assert pseudonym(bytes(32), "patient", "MRN 12") != expected
    assert re.fullmatch("[0-9a-f]{16}", pseudonym(KEY, "path", "a\udcff"))  # a name that is no UTF-8


def test_the_salt_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "local/salt"
    first = secret_key(path)
    assert len(first) == 32
    assert secret_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["salt"]
    assert secret_key(tmp_path / "another") != first


def test_who_makes_it_at_the_same_time_gets_the_same(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(secret_key, [tmp_path / "salt"] * 32))
    assert len(keys) == 1


def test_a_salt_that_is_none_or_is_open_to_others_is_one_sentence(tmp_path):
    path = tmp_path / "salt"
    path.write_text("ab" * 31)
    path.chmod(0o600)
    with pytest.raises(UserError, match=r"holds no salt .*32 bytes"):
        secret_key(path)
    path.write_text("no hexadecimal at all")
    with pytest.raises(UserError, match="bring back"):
        secret_key(path)
    path.write_text("ab" * 32)
    path.chmod(0o640)
    with pytest.raises(UserError, match="chmod 600"):
        secret_key(path)
    with pytest.raises(UserError, match=r"images\.dicom\.salt"):
        secret_key(path / "below a file")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UserError, match=r"images\.dicom\.salt"):
        secret_key(folder)
