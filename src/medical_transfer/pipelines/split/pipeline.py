"""The stage `split`, which stands twice: once for each site."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.site import SOURCE, Site
from medical_transfer.pipelines.split import nodes


def create_pipeline(site: Site = SOURCE) -> Pipeline:
    """Audit and pixels -> manifest and leakage report."""
    audit, cache, classes, duplicates, manifest, leakage = map(
        site.named, ("audit", "image_cache", "classes", "near_duplicates", "manifest", "leakage")
    )
    divide = nodes.divide if site == SOURCE else nodes.divide_target
    if site == SOURCE:
        last = node(nodes.show_pairs, [manifest, duplicates, cache], "near_duplicate_pairs", name="show_pairs")
    else:
        both = ["manifest", "image_cache", manifest, cache, "params:split"]
        last = node(nodes.compare_sites, both, "across_sites", name="compare_sites")
    return Pipeline(
        [
            node(nodes.group, [audit, cache, classes, "params:split"], duplicates, name="group_near_duplicates"),
            node(divide, [audit, duplicates, "params:split", "params:run"], [manifest, leakage], name="divide_groups"),
            last,
        ],
        namespace=site.named("split"),
        prefix_datasets_with_namespace=False,
    )
