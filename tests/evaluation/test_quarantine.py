"""Whether bad files come from one class or site: against scipy's tests, and by permutation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.quarantine import quarantine_bias

CONFIG = Evaluation()


def manifest(bad, **columns) -> pd.DataFrame:
    bad = np.asarray(bad)
    known = {"label": "no", "path": [f"f{k}.png" for k in range(len(bad))], "site": None} | columns
    return pd.DataFrame({"status": np.where(bad, "quarantined", "ok"), **known})


def test_two_levels_by_fisher() -> None:
    # 8 of 20 files of one site are bad, 1 of 30 of the other.
    bad = np.repeat([True, False, True, False], [8, 12, 1, 29])
    (found,) = quarantine_bias(manifest(bad, site=np.repeat(["a", "b"], [20, 30])), ["site"], CONFIG, seed=0)
    assert found["p"] == pytest.approx(fisher_exact([[12, 8], [29, 1]]).pvalue)
    assert (found["files"], found["quarantined"], found["alarm"]) == ({"a": 20, "b": 30}, {"a": 8, "b": 1}, True)


def test_more_levels_by_permutation_agree_with_chi_square_where_counts_are_large() -> None:
    counts = np.array([[90, 10], [85, 15], [78, 22], [88, 12]])
    bad = np.concatenate([np.repeat([False, True], row) for row in counts])
    site = np.repeat(list("abcd"), counts.sum(axis=1))
    (found,) = quarantine_bias(manifest(bad, site=site), ["site"], CONFIG, seed=0)
    assert found["p"] == pytest.approx(chi2_contingency(counts).pvalue, abs=0.03)


def test_p_values_are_adjusted_for_the_number_of_columns() -> None:
    rng = np.random.default_rng(1)
    bad = np.repeat([True, False], [10, 190])
    biased = np.where(np.arange(200) < 8, "a", rng.choice(["a", "b"], 200))
    columns = {f"c{k}": rng.choice(["x", "y"], 200) for k in range(4)}
    frame = manifest(bad, biased=biased, **columns)
    found = quarantine_bias(frame, ["biased", *columns], CONFIG, seed=0)
    raw = {each: fisher_exact(pd.crosstab(frame[each], bad)).pvalue for each in ("biased", *columns)}
    ordered = sorted(raw.values())
    holm = np.minimum(1, np.maximum.accumulate([p * (5 - rank) for rank, p in enumerate(ordered)]))
    np.testing.assert_allclose([each["p"] for each in found], holm)
    assert [each["alarm"] for each in found] == (holm < 0.05).tolist()


def test_false_alarms_are_rare() -> None:
    rng = np.random.default_rng(2)
    alarms = [
        any(
            each["alarm"]
            for each in quarantine_bias(
                manifest(rng.random(120) < 0.1, site=rng.choice(list("abc"), 120)), ["site"], CONFIG, k
            )
        )
        for k in range(25)
    ]
    assert np.mean(alarms) <= 0.12


def test_class_and_ending_are_asked_and_missing_labels_are_no_level() -> None:
    bad = np.repeat([True, False], [12, 48])
    labels = [None] * 6 + ["yes"] * 6 + ["yes", "no"] * 24
    paths = [f"f{k}.{'jpg' if k < 12 else 'PNG'}" for k in range(60)]
    found = {each["column"]: each for each in quarantine_bias(manifest(bad, label=labels, path=paths), [], CONFIG, 0)}
    assert found.keys() == {"label", "ending"}
    assert found["ending"]["quarantined"] == {".jpg": 12, ".png": 0}
    assert found["label"]["files"] == {"no": 24, "yes": 30}


def test_without_bad_files_there_is_nothing_to_ask() -> None:
    assert quarantine_bias(manifest([False] * 5), ["site"], CONFIG, 0) == []
    assert quarantine_bias(manifest([True] * 5), ["site"], CONFIG, 0) == []
