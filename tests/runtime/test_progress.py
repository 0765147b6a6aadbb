from __future__ import annotations

import io
import sys

from medical_transfer.runtime.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_silent_where_there_is_no_terminal(monkeypatch):
    quiet = io.StringIO()
    monkeypatch.setattr(sys, "stderr", quiet)
    assert list(progress(range(5), "Reading")) == [0, 1, 2, 3, 4]
    assert not quiet.getvalue()


def test_a_bar_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress(iter("ab"), "Reading", total=2)) == ["a", "b"]
    assert "Reading" in terminal.getvalue()
