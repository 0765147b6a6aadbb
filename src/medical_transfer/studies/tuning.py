"""A search for better training parameters of the main job, chosen on validation images and tested once at its end.

No trial of the search sees a test image: they are excluded from the manifest that it is handed. When it has chosen, the
setting chosen and that of the configuration are trained again under the same seeds and measured on the test images.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro.pipeline import Pipeline

from medical_transfer.config.folders import Folders
from medical_transfer.config.study_tuning import StudyTuning
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.pipeline import one_source, study_pipeline
from medical_transfer.studies.settings_tried import CHOSEN, OWN, best_of, settings_of
from medical_transfer.studies.trials import Done, Failure, Trial
from medical_transfer.types import Figure

if TYPE_CHECKING:
    from medical_transfer.studies.place import Place
    from medical_transfer.studies.search import Known, Outcomes, Search
    from medical_transfer.studies.settings import Setting

NAME = "tuning"


def run(
    study_tuning: StudyTuning, folders: Folders, this_session: SessionFacts
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Search, and test what was chosen; what is finished is not repeated.

    Returns:
        The table of results (validation metrics of all settings, test metrics of two), and the trials that failed.

    Raises:
        UserError: a library is missing, or the configuration's own setting fails under every seed.
    """
    from medical_transfer.studies.on_ray import ray_started  # noqa: PLC0415 - quick command line
    from medical_transfer.studies.place import Place  # noqa: PLC0415
    from medical_transfer.studies.runner import how_studies_run  # noqa: PLC0415
    from medical_transfer.studies.table import results_table, told_of  # noqa: PLC0415

    check_library()
    place = Place(NAME, this_session, folders, one_source(study_tuning.source, study_tuning.image_size))
    studies = how_studies_run(place)
    with ExitStack() as until_the_end:
        handed = images_of(place, study_tuning)
        if studies.executor == "ray":
            until_the_end.enter_context(ray_started(studies))
        outcomes = _search_and_test(place, study_tuning, handed)
    failures = [each for each in outcomes if isinstance(each, Failure)]
    return results_table([each for each in outcomes if isinstance(each, Done)], failures), told_of(failures)


def draw(results: pd.DataFrame, study_tuning: StudyTuning) -> Figure:
    """What the settings reached in their order, and against each parameter."""
    from medical_transfer.reporting.search_history import search_figure  # noqa: PLC0415 - fonts
    from medical_transfer.reporting.units import metric_name  # noqa: PLC0415
    from medical_transfer.studies.settings import from_text  # noqa: PLC0415 - yaml

    settings = settings_of(results, study_tuning)
    values = pd.DataFrame(settings["setting"].map(from_text).tolist(), columns=list(study_tuning.space))
    return search_figure(
        pd.concat([settings[["mean"]].assign(own=settings["method"] == OWN), values], axis=1),
        parameters=list(study_tuning.space),
        logarithmic=[name for name, axis in study_tuning.space.items() if axis.log],
        quality=f"validation {metric_name(study_tuning.metric)}",
    )


def conclude(
    results: pd.DataFrame, failures: list[dict[str, Any]], study_tuning: StudyTuning, this_session: SessionFacts
) -> str:
    """The summary: what was chosen, whether it is better, how to take it, and what the study cannot say."""
    from medical_transfer.studies.tuning_summary import summary  # noqa: PLC0415 - scipy

    return summary(results, failures, study_tuning, this_session.parameters)


def create_pipeline() -> Pipeline:
    """Images -> table, figure and summary of the study."""
    return study_pipeline(NAME, run=run, figures={"search": draw}, conclude=conclude)


def check_library() -> None:
    """Say what is missing before any work.

    Raises:
        UserError: Optuna is not installed.
    """
    from medical_transfer.studies.on_ray import needs_extra  # noqa: PLC0415 - quick command line

    if find_spec("optuna") is None:
        raise needs_extra(f"study_{NAME}", "optuna")


def what_may_learn(study: StudyTuning) -> dict[str, Any]:
    """For the choice of the source: one that is only a graph cannot be tried with more than its head."""
    axis = study.space.get("model.freeze")
    more = [each for each in (axis.choices or [] if axis else []) if each != "all"]
    return {"model": {"freeze": more[0]}} if more else {}


def images_of(place: Place, study: StudyTuning) -> dict[int, dict[str, Any]]:
    """What the trials of each seed read: the same test images, and validation images of their own unless given."""
    from medical_transfer.studies.held_out import other_validation  # noqa: PLC0415 - quick command line
    from medical_transfer.studies.runner import prepare  # noqa: PLC0415

    first, *others = study.seeds
    handed = prepare(replace(place, parameters=place.parameters | what_may_learn(study)), [first])[first]
    audit = pd.read_parquet(place.root / f"prepared/{first}/02_intermediate/audit.parquet", columns=["split"])
    given = bool((audit["split"] == "val").any())
    manifest = handed["manifest"]
    divided = {seed: manifest if given else other_validation(manifest, seed) for seed in others}
    return {first: handed, **{seed: {**handed, "manifest": each} for seed, each in divided.items()}}


def trials_of(method: str, setting: Setting, seeds: Sequence[int]) -> list[Trial]:
    """A setting under each seed."""
    from medical_transfer.studies.settings import as_text, nested  # noqa: PLC0415 - yaml

    return [Trial(method, as_text(setting), seed, nested(setting)) for seed in seeds]


def _search_and_test(place: Place, study: StudyTuning, handed: dict[int, dict[str, Any]]) -> Outcomes:
    from medical_transfer.studies.held_out import without_test  # noqa: PLC0415 - quick command line
    from medical_transfer.studies.runner import run_trials  # noqa: PLC0415
    from medical_transfer.studies.search import Known, Search  # noqa: PLC0415
    from medical_transfer.studies.settings import from_text, own_setting  # noqa: PLC0415
    from medical_transfer.studies.table import results_table  # noqa: PLC0415

    seen = {seed: {**each, "manifest": without_test(each["manifest"])} for seed, each in handed.items()}
    search = Search(replace(place, judged="val"), study, seen)
    own = own_setting(place.session.parameters, study.space)
    done, failed = run_trials(search.place, trials_of(OWN, own, study.seeds), seen)
    outcomes = [*done, *failed, *_searched(search, Known(own, search.judge([*done, *failed])))]
    table = results_table([each for each in outcomes if isinstance(each, Done)], [])
    last, best = trials_of(OWN, own, study.seeds), best_of(settings_of(table, study))
    if best is not None and from_text(best) != own:
        last += trials_of(CHOSEN, from_text(best), study.seeds)
    tested, untested = run_trials(place, last, handed)
    return [*outcomes, *tested, *untested]


def _searched(search: Search, own: Known) -> Outcomes:
    """Outcomes of all settings tried, each trial once."""
    from medical_transfer.studies.runner import how_studies_run  # noqa: PLC0415 - quick command line
    from medical_transfer.studies.search import search_in_process  # noqa: PLC0415

    studies = how_studies_run(search.place)
    if studies.executor == "ray":
        from medical_transfer.studies.search_on_ray import search_on_ray  # noqa: PLC0415 - an extra

        found = search_on_ray(search, own, studies)
    else:
        found = list(search_in_process(search, own))
    return list({each.trial_id: each for outcomes in found for each in outcomes}.values())
