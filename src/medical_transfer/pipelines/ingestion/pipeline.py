"""The stage `ingestion`, which stands twice: once for each site."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.ingestion import nodes
from medical_transfer.pipelines.site import SOURCE, Site


def create_pipeline(site: Site = SOURCE) -> Pipeline:
    """Images on disk -> audit, image cache and the classes that may be divided."""
    audit, cache, quarantine, classes = map(site.named, ("audit", "image_cache", "quarantine", "classes"))
    block, common = f"params:{site.named('images')}", ["params:folders", "params:run"]
    if site == SOURCE:
        read = node(nodes.ingest, [block, *common], [audit, cache], name="read_and_decode")
        check = node(nodes.check, [audit, quarantine, block, "params:folders"], classes, name="check_classes")
    else:
        first = ["params:images", "classes"]
        read = node(nodes.ingest_target, [block, *first, *common], [audit, cache], name="read_and_decode")
        inputs = [audit, quarantine, "classes", block, "params:folders"]
        check = node(nodes.check_target, inputs, classes, name="check_classes")
    return Pipeline(
        [read, node(nodes.quarantined, audit, quarantine, name="list_quarantined"), check],
        namespace=site.named("ingestion"),
        prefix_datasets_with_namespace=False,
    )
