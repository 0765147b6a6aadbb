"""The page of drift: the verdict, the tests, and the shares of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.units import decimal_text, writable

VERDICTS = {
    "no_sign": "No sign of drift",
    "differs": "These images differ",
    "do_not_trust": "Do not trust the model here",
}
TESTS = {"mmd": "Maximum mean discrepancy (squared)", "kolmogorov_smirnov": "Kolmogorov-Smirnov, largest of 32"}
SHARES = {
    "validation": "On validation",
    "maximum_likelihood": "Here, by maximum likelihood",
    "confusion": "Here, by the confusion matrix",
}


def render_drift(told: Mapping[str, Any], card: Mapping[str, Any], images: str, model_key: str) -> str:
    """The page as HTML text.

    Args:
        told: content of `drift.json`.
        card: content of `model.json`.
        images: name of the folder or file of the images.
        model_key: name of the model's folder.
    """
    words = {
        "told": told,
        "card": card,
        "images": images,
        "model_key": model_key,
        "verdict": VERDICTS[told["verdict"]],
        "tests": tests_table(told),
        "shares": shares_table(told),
    }
    return writable(environment_of_pages().get_template("drift_report.html.jinja").render(**words))


def tests_table(told: Mapping[str, Any]) -> pd.DataFrame:
    """Each distance beside what chance gives."""
    return pd.DataFrame(
        [
            {
                "Test": TESTS[name],
                "Value": decimal_text(row["value"]),
                "By chance (5 to 95 %)": f"{decimal_text(row['null_low'])} to {decimal_text(row['null_high'])}",
                "p": decimal_text(row["p_value"]),
            }
            for name, row in told["tests"].items()
        ]
    )


def shares_table(told: Mapping[str, Any]) -> pd.DataFrame:
    """The share of each class, known and estimated."""
    known = {title: told["shares"][name] for name, title in SHARES.items() if told["shares"][name] is not None}
    names = list(told["shares"]["validation"])
    return pd.DataFrame(
        [{"Class": name, **{title: f"{shares[name]:.1%}" for title, shares in known.items()}} for name in names]
    )
