"""The stage `model_building`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.model_building import nodes


def create_pipeline() -> Pipeline:
    """Chosen source -> plan of the network."""
    inputs = ["manifest", "transferability", "params:model", "params:backbones", "params:folders"]
    return Pipeline(
        [node(nodes.plan_model, inputs, "model_plan", name="plan_network")],
        namespace="model_building",
        prefix_datasets_with_namespace=False,
    )
