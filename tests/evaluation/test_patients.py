"""From images to patients, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.patient_metrics import patient_evaluation
from medical_transfer.evaluation.patients import by_patient
from medical_transfer.models.card import ModelCard
from medical_transfer.models.preprocessing import Preprocessing

NA = None


def images(rows: list[tuple], classes: tuple[str, ...] = ("no", "yes")) -> pd.DataFrame:
    columns = ["image_id", "group_id", "label", "abstained", *(f"p_{name}" for name in classes)]
    words = dict.fromkeys(["group_id", "label"], "string")
    return pd.DataFrame(rows, columns=columns).astype({**words, "abstained": "boolean"})


def test_a_patients_probability_is_the_mean_of_the_images_that_can_be_used() -> None:
    table = images(
        [
            ("a", "Ann", "no", False, 0.9, 0.1),
            ("b", "Ann", "yes", False, 0.4, 0.6),
            ("c", "Ann", "no", True, 0.0, 1.0),  # the model abstains
            ("d", "Ann", "no", NA, np.nan, np.nan),  # not read
            ("e", "Bob", "no", False, 0.65, 0.35),
            ("f", "Cyd", NA, True, 0.3, 0.7),
            ("g", NA, "yes", False, 0.1, 0.9),  # nobody knows whose it is
        ]
    )
    found = by_patient(table, ("no", "yes"), "yes", 0.35).set_index("group_id")
    assert found.index.tolist() == ["Ann", "Bob", "Cyd"]
    assert found["images"].tolist() == [4, 1, 1]
    assert found["used"].tolist() == [2, 1, 0]
    assert found["p_yes"].tolist()[:2] == pytest.approx([0.35, 0.35])
    assert found["decision"].tolist()[:2] == ["yes", "yes"]  # at the threshold is positive
    assert found["predicted"].tolist()[:2] == ["no", "no"]
    assert found.loc["Cyd", ["p_yes", "predicted", "decision", "label"]].isna().all()
    assert found["label"].tolist()[:2] == ["yes", "no"]  # one diseased slice is a diseased patient


def test_with_more_classes_images_must_agree_on_the_label() -> None:
    table = images(
        [
            ("a", "Ann", "x", False, 0.2, 0.2, 0.6),
            ("b", "Ann", "y", False, 0.6, 0.2, 0.2),
            ("c", "Bob", "z", False, 0.1, 0.2, 0.7),
            ("d", "Bob", NA, False, 0.3, 0.2, 0.5),
        ],
        ("x", "y", "z"),
    ).drop(columns="abstained")
    found = by_patient(table, ("x", "y", "z"), None, None).set_index("group_id")
    assert pd.isna(found.loc["Ann", "label"])
    assert found.loc["Bob", "label"] == "z"
    assert found["predicted"].tolist() == ["x", "z"]
    assert found["decision"].isna().all()


def test_without_groups_there_is_no_patient() -> None:
    table = images([("a", NA, "no", False, 0.9, 0.1)])
    found = by_patient(table, ("no", "yes"), "yes", 0.5)
    assert found.empty
    assert found.columns.tolist() == ["group_id", "images", "used", "label", "predicted", "p_no", "p_yes", "decision"]


# --- the main job's numbers -------------------------------------------------------------------------------------------

CARD = ModelCard(
    kind="finetune",
    source="toy",
    source_fingerprint="s",
    architecture="house/resnet20_cifar",
    head="linear",
    dropout=0.2,
    classes=("no", "yes"),
    positive_class="yes",
    preprocessing=Preprocessing(size=16),
    size=16,
    fit="squash",
    threshold=0.5,
    split_hash="s",
    data_fingerprint="d",
    data_licence="MIT",
    weights_licence="MIT",
)


def main_job() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Twelve patients of two images in each of val and test; two test patients look alike; one image is nobody's."""
    rng = np.random.default_rng(0)
    label = np.tile(np.repeat(["no", "yes"], 2), 12)
    yes = np.where(label == "yes", 0.7, 0.3) + rng.uniform(-0.28, 0.28, 48)
    patient = [f"p{number // 2:02d}" for number in range(48)]
    group = pd.Series(patient).replace({"p23": "p22"})
    table = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(48)],
            "group_id": group,
            "split": np.repeat(["val", "test"], 24),
            "label": pd.array(label, dtype="string"),
            "p_no": 1 - yes,
            "p_yes": yes,
        }
    )
    audit = pd.DataFrame({"image_id": table["image_id"], "group_id": pd.array(patient, dtype="string")})
    audit.loc[47, "group_id"] = None
    return table, audit


def test_the_main_jobs_numbers_by_patient() -> None:
    table, audit = main_job()
    told = patient_evaluation(table, audit, CARD, Evaluation(resamples=200), 0)
    test = table[table["split"] == "test"].assign(patient=audit["group_id"]).dropna(subset="patient")
    means = test.groupby("patient").agg(p=("p_yes", "mean"), label=("label", "first"))
    assert told["test"]["auroc"]["estimate"] == pytest.approx(roc_auc_score(means["label"] == "yes", means["p"]))
    assert (told["test"]["auroc"]["n"], told["test"]["auroc"]["groups"]) == (12, 11)
    assert told["test"]["accuracy"]["estimate"] == pytest.approx(
        ((means["p"] >= 0.5) == (means["label"] == "yes")).mean()
    )
    assert told["about"]["without_patient"] == 1
    assert "positive patients" in told["about"]["sample_size"] or "cannot be shown" in told["about"]["sample_size"]


def test_without_patients_the_main_job_says_why() -> None:
    table, audit = main_job()
    told = patient_evaluation(table, audit.assign(group_id=None), CARD, Evaluation(resamples=200), 0)
    assert told["val"] is told["test"] is None
    assert "images.group_pattern" in told["about"]["reason"]
