"""What the fine-tuning study calls its strategies and sizes, in its table and in its words."""

from __future__ import annotations

from medical_transfer.config.study_finetuning import Size

NAME = "finetuning"
METRIC = "auroc"
NAMES: dict[str, str] = {
    "all_frozen": "all frozen (head only)",
    "partial": "partial (last stages)",
    "discriminative": "discriminative rates",
    "full": "full, one rate",
    "lp_ft": "LP-FT (head, then full)",
}
"""Strategies as people call them."""


def setting_of(size: Size) -> str:
    """A training size as it stands in the table."""
    return str(size)
