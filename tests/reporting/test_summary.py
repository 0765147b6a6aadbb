from __future__ import annotations

from typing import Any

import pytest

from medical_transfer.reporting.measured import Measured
from medical_transfer.reporting.summary import cautions, headline_cards, summary_sentences


@pytest.fixture
def told(evaluation, leakage, transferability, model_card) -> dict[str, Any]:
    return {
        "measured": Measured(evaluation),
        "leakage": leakage,
        "transferability": transferability,
        "card": model_card,
    }


def test_binary_summary_word_for_word(told: dict[str, Any]) -> None:
    assert summary_sentences(**told) == [
        "The pretrained network lite0, which had learned from ImageNet, was trained on these images "
        "to tell “yes” (positive) from “no” (negative).",
        "It used 2,100 images in 908 groups to learn from, 452 images in 205 groups to choose settings and 448 images "
        "in 198 groups for the final test. A group holds the images of one patient where the data say so, and images "
        "that look nearly alike; no group is in two of these parts.",
        "On the test images AUROC is 0.993, 95 % interval 0.987 to 0.997. Of a positive and a negative image drawn at "
        "random, the positive one scores higher in more than 99 of 100 draws.",
        "At the threshold 0.422, fixed on the validation images, it finds 98.2 % (95 % interval 95.7 to 99.4 %) of the "
        "positive test images (sensitivity; 219 of 223) and clears 98.2 % (95 % interval 96.1 to 99.3 %) of the "
        "negative test images (specificity; 221 of 225).",
        "Its probabilities (after division by temperature 1.31) can be taken nearly at their word on data like these: "
        "they are off by 1.3 percentage points on average (expected calibration error 0.013, 95 % interval 0.007 to "
        "0.024).",
    ]


@pytest.mark.parametrize(
    ("ece", "verdict"),
    [(0.05, "nearly at their word"), (0.0501, "roughly right"), (0.11, "cannot"), (None, "was not measured")],
)
def test_verdict_on_calibration_follows_its_rule(told: dict[str, Any], ece: float | None, verdict: str) -> None:
    told["measured"].evaluation["test"]["ece"]["estimate"] = ece
    assert verdict in summary_sentences(**told)[-1]


@pytest.mark.parametrize(("auroc", "draws"), [(0.999, "more than 99"), (1.0, "about 100"), (0.514, "about 51")])
def test_draws_are_not_rounded_to_certainty(told: dict[str, Any], auroc: float, draws: str) -> None:
    told["measured"].evaluation["test"]["auroc"]["estimate"] = auroc
    assert f"in {draws} of 100" in summary_sentences(**told)[2]


def test_four_classes_with_undefined_auroc(hostile_content) -> None:
    measured = Measured(hostile_content.evaluation)
    told = {"measured": measured, "leakage": hostile_content.leakage, "transferability": None}
    what, data, auroc, right, calibration = summary_sentences(**told, card=hostile_content.model_card)
    assert "tell apart 4 classes" in what
    assert data.startswith("It used 30 images in 20 groups for the final test.")
    assert auroc.startswith("On the test images AUROC is not defined (the test split has no image of class '<script>")
    assert right == "It decides 88.0 % of the test images rightly, averaged over classes."
    assert "was not measured" in calibration


def test_cautions_come_from_warnings_and_numbers(told: dict[str, Any], leakage: dict[str, Any]) -> None:
    del told["card"]
    assert cautions(**told) == [
        "test: every image is decided as 'no'.",
        "14 pairs of nearly equal images carry different labels: check those labels.",
    ]
    leakage["splits"]["test"]["groups"] = 29
    leakage["excluded"], leakage["quarantined"] = 12, 300
    told["measured"].evaluation["test"]["auroc"]["low"] = 0.85
    told["transferability"]["chosen"] = "random"
    text = " ".join(cautions(**told))
    excluded = "12 images were excluded because a given test or validation image is in their group."
    for part in ("only 29 independent", excluded, "10.0 % of the files", "is wide (", "untrained"):
        assert part in text


@pytest.mark.parametrize(("known", "unknown", "told_so"), [(2400, 600, True), (3000, 0, False), (0, 3000, False)])
def test_patients_known_of_some_images_only_are_a_caution(
    told: dict[str, Any], leakage: dict[str, Any], known: int, unknown: int, told_so: bool
) -> None:
    del told["card"]
    leakage |= {"images_with_given_group": known, "images_without_given_group": unknown}
    found = [caution for caution in cautions(**told) if caution.startswith("The patient")]
    assert len(found) == told_so
    assert all("is known of 2,400 images, not of 600:" in caution for caution in found)


def test_cards_of_the_test_split(told: dict[str, Any]) -> None:
    cards = [(card.label, card.value, card.detail) for card in headline_cards(told["measured"])]
    assert cards[0] == ("AUROC", "0.993", "95 % interval 0.987 to 0.997")
    assert [label for label, _, _ in cards] == ["AUROC", "Sensitivity", "Specificity", "Calibration error"]


def test_another_coverage_is_named(told: dict[str, Any]) -> None:
    told["measured"].evaluation["about"]["intervals"]["coverage"] = 0.9
    assert headline_cards(told["measured"])[0].detail.startswith("90 % interval")


def test_untrained_and_unknown_start(told: dict[str, Any]) -> None:
    told["card"]["source"] = "random"
    assert summary_sentences(**told)[0].startswith("An untrained network was")
    told["card"]["source"], told["card"]["threshold"] = None, None
    sentences = summary_sentences(**told)
    assert sentences[0].startswith("A network was")
    assert sentences[3].startswith("Deciding for the more probable class, it finds")


def test_untrained_is_what_the_source_says_not_its_name(told: dict[str, Any]) -> None:
    rows = {source["name"]: source for source in told["transferability"]["sources"]}
    rows["lite0"]["untrained"] = True
    assert summary_sentences(**told)[0].startswith("An untrained network was")
    rows["random"] |= {"name": "random_crops", "untrained": False}
    told["card"]["source"] = told["transferability"]["chosen"] = "random_crops"
    assert summary_sentences(**told)[0].startswith("The pretrained network random_crops was")
    card = told.pop("card")
    assert "untrained" not in " ".join(cautions(**told))
    del rows["random"]["untrained"]  # a table of an earlier version
    assert summary_sentences(**told, card=card)[0].startswith("The pretrained network random_crops was")


def test_a_trunk_that_did_not_learn_is_said_to_have_been_kept(told: dict[str, Any]) -> None:
    told["card"]["parameters"][0]["trainable"] = 0
    several = told["card"] | {"source": "a+b", "members": [{"source": "a"}, {"source": "b"}]}
    assert summary_sentences(**(told | {"card": several}))[0].startswith(
        "The pretrained networks a and b side by side were kept as they are: only a new last part was trained on"
    )
    assert summary_sentences(**told)[0] == (
        "The pretrained network lite0, which had learned from ImageNet, was kept as it is: only a new last part was "
        "trained on these images to tell “yes” (positive) from “no” (negative)."
    )
