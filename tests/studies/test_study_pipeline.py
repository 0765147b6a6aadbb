from __future__ import annotations

from medical_transfer.studies.pipeline import one_source


def test_source_and_size_are_the_studys_or_the_runs():
    judged = {"evaluation": {"predict_training": False}}
    assert one_source("efficientnet_lite0", 128) == judged | {
        "images": {"size": 128},
        "transferability": {"sources": ["efficientnet_lite0"], "chosen": "efficientnet_lite0"},
    }
    assert one_source(None, None) == judged
