"""Networks for digits as sources: untrained, since all of them learn. No torch: names are looked up without it."""

from __future__ import annotations

from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.source import Source
from medical_transfer.models.weights import Untrained


def _untrained(network: str, parameters: int) -> Source:
    name = f"random/{network}"
    return Source(
        name=name,
        domain="none (learns digits from random)",
        architecture=f"house/{network}",
        weights=Untrained(f"init/{name}"),
        preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), size=32),
        licence="none",
        classes=10,
        parameters=parameters,
    )


DIGITS = (
    _untrained("dann_chapter", 3_497_866),
    _untrained("dann_chapter_bn", 3_500_298),
    _untrained("dann_maps", 48_570),
    _untrained("dann_maps_norm", 48_730),
    _untrained("dann_paper", 172_090),
    _untrained("dann_paper_bn", 172_650),
    _untrained("mmdnet", 1_707_274),
)
