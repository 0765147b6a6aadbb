"""Licences of data and weights, and what to mind: unknown and non-commercial ones are flagged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def licences_with_flags(card: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, licence, what to mind): unknown and non-commercial licences are flagged."""
    licences = card.get("licences") or {}
    return [(str(what), str(text), licence_flag(str(text))) for what, text in licences.items()]


def licence_flag(licence: str) -> str:
    """What to mind of a licence; empty where it allows commercial use as far as its name says."""
    if not licence or licence.lower() in {"unknown", "none"}:
        return "unknown: find out before use"
    if re.search(r"non[- ]?commercial|\bNC\b", licence, flags=re.IGNORECASE):
        return "non-commercial use only"
    return ""
