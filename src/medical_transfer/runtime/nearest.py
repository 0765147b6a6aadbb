"""What may have been meant by a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], quote: str = "'") -> str:
    """A question, with a space before it, where a known name is near; else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {quote}{near[0]}{quote}?" if near else ""
