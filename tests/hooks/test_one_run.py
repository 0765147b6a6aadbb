from __future__ import annotations

import pytest

from medical_transfer.hooks.one_run import OneRun, lock_root
from medical_transfer.types import UserError


def test_a_second_run_in_the_same_root_is_refused_until_the_first_ends(tmp_path) -> None:
    first = OneRun()
    first.root = tmp_path / "root"
    first.before_pipeline_run()
    with pytest.raises(UserError, match=r"Another run is writing to .*root: wait for it"):
        lock_root(tmp_path / "root")
    lock_root(tmp_path / "other").release()
    first.on_pipeline_error()
    lock_root(tmp_path / "root").release()


def test_a_root_that_is_a_file_is_said(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        lock_root(tmp_path / "file")
