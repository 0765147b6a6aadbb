"""A frozen model on new labelled images: each part rests on the rows that it says it does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.validation import validated
from medical_transfer.metrics.recalibration import fit_intercepts
from medical_transfer.models.card import ModelCard
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.reporting.validation_page import render_validation

CONFIG = Evaluation(resamples=200)


def card(**changes) -> ModelCard:
    facts = {
        "kind": "finetune",
        "source": "toy",
        "source_fingerprint": "s",
        "architecture": "house/resnet20_cifar",
        "head": "linear",
        "dropout": 0.2,
        "classes": ("no", "yes"),
        "positive_class": "yes",
        "preprocessing": Preprocessing(size=16),
        "size": 16,
        "fit": "squash",
        "threshold": 0.4,
        "split_hash": "s",
        "data_fingerprint": "d",
        "data_licence": "MIT",
        "weights_licence": "MIT",
    }
    return ModelCard.model_validate(facts | changes)


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Two images of each of 60 patients; the model says too little by one unit of the logit."""
    rng = np.random.default_rng(0)
    logit = np.repeat(rng.normal(size=60), 2) * 2 + rng.normal(size=120) * 0.3
    yes = 1 / (1 + np.exp(1 - logit))
    label = np.where(np.repeat(rng.random(60), 2) < 1 / (1 + np.exp(-logit)), "yes", "no")
    frame = pd.DataFrame({"image_id": [f"i{n}" for n in range(120)], "path": "x", "site": None, "split": None})
    frame = frame.assign(group_id=[f"g{n // 2}" for n in range(120)], label=label, p_no=1 - yes, p_yes=yes)
    frame = frame.assign(decision=pd.NA, status="ok", reason=None, novelty=0.0, abstained=False)
    frame = frame.astype({"label": "string", "abstained": "boolean"})
    frame.loc[:9, "abstained"] = True
    frame.loc[10:12, ["p_no", "p_yes", "abstained"]] = [np.nan, np.nan, pd.NA]  # not read
    frame.loc[13, "label"] = None
    return frame


def test_each_part_rests_on_its_rows(predictions: pd.DataFrame) -> None:
    told = validated(predictions, card(), CONFIG, seed=0)
    used = predictions[predictions["p_yes"].notna() & predictions["label"].notna()]
    truth = used["label"] == "yes"
    assert told["test"]["auroc"]["estimate"] == pytest.approx(roc_auc_score(truth, used["p_yes"]))
    assert told["test"]["sensitivity"]["estimate"] == pytest.approx((used["p_yes"] >= 0.4)[truth].mean())
    assert told["test"]["auroc"]["n"] == 116
    answered = used[~used["abstained"].astype(bool)]
    assert told["answered"]["auroc"]["estimate"] == pytest.approx(
        roc_auc_score(answered["label"] == "yes", answered["p_yes"])
    )
    assert told["answered"]["auroc"]["n"] == 106
    assert told["patients"]["auroc"]["n"] == told["patients"]["auroc"]["groups"]
    assert 50 <= told["patients"]["auroc"]["n"] <= 54  # without five that abstain and one that was not read
    assert told["about"]["abstained"] == 10
    assert told["about"]["left_out"] == {"quarantined": 3, "unlabelled": 1}


def test_an_intercept_mends_a_shift_and_no_order(predictions: pd.DataFrame) -> None:
    told = validated(predictions, card(), CONFIG, seed=0)
    assert told["recalibrated"]["log_loss"]["estimate"] < told["test"]["log_loss"]["estimate"]
    used = predictions[predictions["p_yes"].notna() & predictions["label"].notna()]
    fitted = fit_intercepts(used[["p_no", "p_yes"]].to_numpy(), (used["label"] == "yes").to_numpy(dtype=np.int64))
    assert told["about"]["intercepts"] == {"no": 0.0, "yes": pytest.approx(fitted[1])}
    assert fitted[1] == pytest.approx(1, abs=0.6)
    assert told["test"]["log_loss"]["estimate"] == pytest.approx(log_loss(used["label"] == "yes", used["p_yes"]))


def test_what_cannot_be_said_has_its_reason(predictions: pd.DataFrame) -> None:
    alone = predictions.assign(group_id=None, label=pd.Series(["yes"] * 120, dtype="string"), abstained=True)
    told = validated(alone, card(), CONFIG, seed=0)
    assert told["answered"] is told["patients"] is told["recalibrated"] is None
    assert set(told["about"]["missing"]) == {"answered", "patients", "recalibrated"}
    page = render_validation(told, card().model_dump(mode="json"), "new", "key")
    assert "Patients: no image has a group: set validate.group_pattern" in page


def test_the_sentence_on_positives_speaks_of_patients_and_of_the_target(predictions: pd.DataFrame) -> None:
    at = Evaluation(resamples=200, threshold={"target_specificity": 0.2})
    told = validated(predictions, card(threshold=0.9), at, seed=0)
    assert "specificity of 0.2" in told["about"]["sample_size"]
    assert "negative patients" in told["about"]["sample_size"]
    assert "sensitivity of 0.95" in validated(predictions, card(), CONFIG, seed=0)["about"]["sample_size"]


def test_three_classes_are_measured_without_a_threshold(predictions: pd.DataFrame) -> None:
    three = predictions.rename(columns={"p_no": "p_a", "p_yes": "p_b"}).assign(p_c=0.0)
    three["label"] = three["label"].replace({"no": "a", "yes": "b"})
    three.loc[20:40, ["p_a", "p_b", "p_c", "label"]] = [0.2, 0.2, 0.6, "c"]
    told = validated(three, card(classes=("a", "b", "c"), positive_class=None, threshold=None), CONFIG, seed=0)
    assert told["test"]["auroc_c"]["estimate"] > 0.9
    assert told["about"]["sample_size"] is None
    assert "AUROC" in render_validation(told, card().model_dump(mode="json"), "new", "key")
