"""Which two models `kedro run --pipeline=compare` sets side by side."""

from __future__ import annotations

from medical_transfer.config.base import Block, UserPath


class Compare(Block):
    """Two models, or tables of their predictions, on the same test images."""

    a: UserPath | None = None
    """Folder of the first model (`data/06_models/finetuned/<key>`), its pointer (`data/06_models/finetuned.json`) or a
    Parquet file of predictions."""
    b: UserPath | None = None
    """The second one; differences are b minus a."""
    positive_class: str | None = None
    """Of two classes the positive one; null: that of the models, and of bare tables the last in sorted order."""
