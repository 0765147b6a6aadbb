"""Which modules the content key of a source's features hangs on; a file of names, which imports nothing."""

from __future__ import annotations

FEATURE_MODULES = tuple(
    f"medical_transfer.models.{name}"
    for name in (
        "architectures",
        "classifier",
        "derived",
        "derived_plan",
        "digit_nets",
        "digit_sources",
        "every_core",
        "features",
        "graph_facts",
        "graph_trunk",
        "onnx_source",
        "own_head",
        "runner",
        "seen",
        "stage_plan",
        "stages",
        "state_fit",
        "students",
        "trunk",
    )
)
"""What shapes features and the probabilities of a source's own head; new heads, freezing and cards do not."""
