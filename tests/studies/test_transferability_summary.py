"""The words of the study of scores are those that the numbers allow."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.studies.table import COLUMNS
from medical_transfer.studies.transferability import told
from medical_transfer.studies.transferability_findings import gain_by_target, interval_text, pair, second_source
from medical_transfer.studies.transferability_names import LP_FT, PAIR, PROBE
from medical_transfer.studies.transferability_summary import summary
from medical_transfer.studies.transferability_tables import outcome_means, score_points, short_domain
from medical_transfer.types import Interval

STUDY = StudyTransferability(seeds=[0, 1])
DOMAINS = {
    "lite0": "ImageNet-1k",
    PAIR[0]: "ImageNet-1k",
    PAIR[1]: "COCO (detection, 80 classes)",
    "leaf": "leaves",
    "random": "none",
}
AUROC = {"lite0": 0.90, PAIR[0]: 0.86, PAIR[1]: 0.80, "leaf": 0.70, "random": 0.60}


class Fact:
    """What `told` reads of a source."""

    def __init__(self, name: str) -> None:
        self.name, self.domain, self.trainable, self.parameters = name, DOMAINS[name], name not in PAIR, 1


def results(targets: int = 6, tuned: bool = True) -> pd.DataFrame:
    rows = []
    for number in range(targets):
        target = f"t{number}"
        for seed in (0, 1):
            shift = 0.01 * number + 0.002 * seed
            for place, (source, auroc) in enumerate(AUROC.items()):
                numbers = {"features": (64.0, 5.0), PROBE: (auroc + shift, 6.0), "score/logme": (auroc, 0.25)}
                numbers["score/leep"] = (math.nan, 0.0)
                numbers["score/rdm_spearman_mmd"] = ((place * 7 + number * 3) % 5, 0.5)
                if tuned:
                    numbers[LP_FT] = (math.nan if source in PAIR else auroc + 0.02, 25.0)
                rows += [("k", source, target, seed, name, v, v, v, 120, s) for name, (v, s) in numbers.items()]
            for name, gain in (
                ("best_1", 0.0),
                ("best_2_side_by_side", 0.02),
                ("best_3_side_by_side", 0.01 * number - 0.02),
            ):
                rows.append(
                    ("k", name, target, seed, PROBE, 0.9 + shift + gain, 0, 1, 120, 6.0 if name == "best_1" else 12.0)
                )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def text(table: pd.DataFrame, failures: list | None = None) -> str:
    facts = [Fact(name) for name in AUROC]
    undefined = {"leep": {name: f"{name} has no head" for name in AUROC}}
    agreement = told(table, facts, undefined)
    parameters = {"study_transferability": STUDY.model_dump(mode="json")}
    return " ".join(summary(table, failures or [], agreement, STUDY, parameters).split())


def test_the_conclusion_from_the_numbers():
    found = text(results())
    assert "these scores order sources by linear probe better" in found, "three sources are too few for fine-tuning"
    assert "| logme | - | - | - | - | - | 0 | 0.25 | fewer than 4 sources have both on any target |" in found
    assert "By linear probe, lite0 is best on average (test AUROC 0.926)." in found  # .90 + .025 + .001
    assert "By fine-tuning (LP-FT), lite0 is best on average (test AUROC 0.920)." in found


def test_a_score_that_knows_is_called_above_chance_and_the_default_is_not_beaten():
    found = text(results(tuned=False))
    assert "these scores order sources by linear probe better than chance (tau_w): logme (1.00, chance" in found
    assert "None is shown to be better than the dumb baselines" in found  # lite0 is listed first, and the best
    assert "Always taking lite0 gives up 0.0000 (0.0000 to 0.0000) AUROC" in found
    assert "No score beats the default here." in found
    assert "| logme | 1.00 (1.00 to 1.00) |" in found
    assert "| 0.25 | above chance; not shown above the baselines |" in found
    assert "| *always_the_same* | 1.00" in found
    assert "leep" in found
    assert "fewer than 4 sources have both" in found
    assert "leep: the source has no head (lite0, " in found


def test_few_targets_are_a_description():
    found = text(results(targets=2, tuned=False))
    assert "With 2 targets and 5 sources nothing is claimed of scores (at least 5 targets are needed)" in found
    assert "above chance" not in found
    assert "beats the default" not in found
    assert "it pays" not in found
    assert "too few targets to say (at least 5)" in found
    assert "(one target)" in text(results(targets=1, tuned=False))


def test_the_pair_by_hand():
    """ImageNet is above COCO by .06 everywhere."""
    words = pair(results())
    assert "minus COCO: 0.060 (0.060 to 0.060); ImageNet is above on 6 of 6 targets: ImageNet transfers better" in words
    table = results()
    assert "not both among the sources" in pair(table[table["method"] != PAIR[1]])


def test_a_second_source_pays_where_the_interval_says_so():
    """Two: .02 everywhere. Three: -.02 to .03, mean .005, which is not shown."""
    words = second_source(results())
    assert "- 2 sources: 0.020 (0.020 to 0.020) above the best single one, for 2.0 times its seconds: it pays." in words
    assert "- 3 sources: 0.005 (" in words
    assert "it is not shown to pay" in words
    gains = gain_by_target(results(), PROBE, "best_3_side_by_side", "best_1")
    assert gains.tolist() == pytest.approx([-0.02, -0.01, 0, 0.01, 0.02, 0.03])


def test_costs_domains_and_sources_without_fine_tuning():
    found = text(results())
    assert "- frozen features of all images of a target: 5 s" in found
    assert "- fine-tuning: 25 s, of which all scores together are 3 %" in found  # .75 of 25
    assert "| COCO | 1 | shufflenetv2_x0_5_coco |" in found
    assert f"- fine-tuning: {PAIR[0]}, {PAIR[1]} exist only as graphs" in found
    assert "36 times fine-tuned" in found
    failures = [{"trial": "lite0, t0, seed 0", "sentence": "The loss became nan."}]
    assert "- lite0, t0, seed 0: The loss became nan." in text(results(), failures)


def test_intervals_in_words():
    assert interval_text(Interval(0.5, 0.25, 0.75)) == "0.500 (0.250 to 0.750)"
    assert interval_text(Interval(0.5)) == "0.500 (one target)"
    assert interval_text(Interval(math.nan)) == "-"
    assert short_domain("COCO (detection, 80 classes)") == "COCO"


def test_what_figures_show_is_centred_within_targets():
    table = results(targets=2)
    agreement = told(table, [Fact(name) for name in AUROC], {})
    found = score_points(table, agreement)
    mine = found[(found["outcome"] == PROBE) & (found["score"] == "logme")]
    assert len(mine) == 10
    assert mine.groupby("target")["y"].sum().abs().max() < 1e-12
    assert mine.iloc[0][["source", "domain"]].tolist() == ["lite0", "ImageNet-1k"]
    assert mine.iloc[0]["y"] == pytest.approx(0.90 - 0.772)
    assert "leep" not in set(found["score"])
    means = outcome_means(table, list(AUROC))
    assert means.loc[(means["outcome"] == LP_FT) & (means["source"] == PAIR[0]), "mean"].isna().all()
