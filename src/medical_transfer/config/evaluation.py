"""How results are measured: intervals, calibration bins and the rule of the decision threshold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medical_transfer.config.base import Block

Rate = Annotated[float, Field(gt=0, lt=1)]
ThresholdRule = Literal["prevalence", "youden", "sensitivity", "specificity", "half"]


class Evaluation(Block):
    """Metrics with group-clustered bootstrap intervals; threshold and temperature come from validation."""

    resamples: int = Field(default=2000, ge=200, le=100_000)
    """Bootstrap resamples of whole groups behind each interval."""
    coverage: float = Field(default=0.95, gt=0.5, lt=1)
    """Share of repetitions in which an interval should hold the true value."""
    predict_training: bool = True
    """Predict training images too, for the table; no metric needs them, and studies leave them out."""
    bins: int = Field(default=15, ge=2, le=100)
    """Bins of equal mass of the calibration error and the reliability diagram."""
    threshold: ThresholdRule = "prevalence"
    """Where there are two classes: the validation images' share of positives (`prevalence`, where sensitivity +
    specificity of a calibrated model is greatest), the cut of the validation images that has most of the two
    (`youden`), a target `sensitivity` or `specificity`, or one half. More classes: always the most probable class."""
    target: float = Field(default=0.95, gt=0, le=1)
    """The sensitivity or specificity that the rule of that name must reach on validation."""
    fixed_rates: list[Rate] = Field(default=[0.9, 0.95])
    """Specificities at which the sensitivity is told, and the reverse, of two classes."""
    prevalences: list[Rate] = Field(default=[0.01, 0.05, 0.1, 0.3])
    """Shares of positive patients for which predictive values are told, of two classes."""
    subgroups: list[str] | None = None
    """Columns of the table by which the test images are divided; null: `site` and all columns of the table's own."""
    age_bands: list[float] = Field(default=[18, 40, 65], min_length=1)
    """Borders of the bands of a column that is called age (in years), each the first year of a band."""
    most_levels: int = Field(default=12, ge=2)
    """A column of text with more values than this is no subgroup; one of numbers is divided at its quartiles."""
    smallest_subgroup: int = Field(default=10, ge=2)
    """A subgroup of fewer independent groups than this is named, not measured."""
    shortcut_images: int = Field(default=5000, ge=20)
    """The check for shortcuts looks at so many images at most, drawn evenly over the classes."""
