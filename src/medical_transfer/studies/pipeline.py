"""What all studies share in Kedro: a node that runs the trials, one that draws and one that concludes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kedro.pipeline import Pipeline, node

from medical_transfer.hooks.this_session import DATASET


def study_pipeline(
    name: str,
    *,
    run: Callable[..., Any],
    figures: Mapping[str, Callable[..., Any]],
    conclude: Callable[..., Any],
    told: Sequence[str] = (),
) -> Pipeline:
    """Images -> table, figures and summary of a study.

    Args:
        name: of the study; its block of parameters is `study_<name>`, its outputs begin with `<name>_study_`.
        run: (block, folders, session) -> table of results, trials that failed, and what `told` names.
        figures: what a figure's dataset ends with -> (table, what `told` names, block) -> figure.
        conclude: (table, trials that failed, what `told` names, block, session) -> Markdown.
        told: what the datasets end with that `run` gives and the others read beside the table and the failures.
    """
    study, results = f"params:study_{name}", f"{name}_study_results"
    extra = [f"{name}_study_{each}" for each in told]
    found = [results, f"{name}_study_failures", *extra]
    return Pipeline(
        [
            node(run, [study, "params:folders", DATASET], found, name=f"run_{name}_trials"),
            *(
                node(draw, [results, *extra, study], f"{name}_study_{figure}", name=f"draw_{name}_{figure}")
                for figure, draw in figures.items()
            ),
            node(conclude, [*found, study, DATASET], f"{name}_study_summary", name=f"conclude_{name}_study"),
        ],
        namespace=f"study_{name}",
        prefix_datasets_with_namespace=False,
    )


def one_source(source: str | None, image_size: int | None) -> dict[str, Any]:
    """Runtime parameters of all trials of a study: its source and size, and no prediction of training images."""
    found: dict[str, Any] = {"evaluation": {"predict_training": False}}
    if image_size is not None:
        found["images"] = {"size": image_size}
    if source is not None:
        found["transferability"] = {"sources": [source], "chosen": source}
    return found
