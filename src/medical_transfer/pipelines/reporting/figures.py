"""Which figures of the catalog the report shows, and where."""

from __future__ import annotations

FIGURES = {
    "split_counts": "split",
    "near_duplicate_pairs": "pairs",
    "source_ranking": "ranking",
    "augmentation_sheet": "augmentation",
    "training_curves": "training",
    "confusion_matrices": "confusion",
    "roc_curve": "roc",
    "precision_recall_curve": "precision_recall",
    "decision_curve": "decision_curve",
    "reliability_diagram": "reliability",
    "worst_errors": "errors",
}
"""Figures of the catalog -> their places on the page."""
