from __future__ import annotations

import matplotlib as mpl
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.reporting.style import PALETTE, font_families, headline, new_figure, plain


def test_plain_shortens_in_the_middle() -> None:
    assert plain("abcdefghij", longest=5) == "ab…ij"
    assert plain("abcdefghij", longest=10) == "abcdefghij"
    assert plain("a$b") == r"a\$b"
    assert plain("a\nb\x00c\udcff") == "a�b�c�"


@settings(max_examples=25, deadline=None)
@given(text=st.text(st.characters(codec="latin-1"), max_size=30), longest=st.integers(3, 40))
def test_any_text_is_drawn(text: str, longest: int) -> None:
    assert len(plain(text, longest=longest).replace(r"\$", "$")) <= longest
    figure, axes = new_figure(width=2, height=2)
    headline(axes[0, 0], plain(text, longest=longest))
    figure.draw_without_rendering()


def test_figures_leave_the_global_settings_alone() -> None:
    before = dict(mpl.rcParams)
    new_figure(rows=2, columns=3, width=4, height=3)[0].draw_without_rendering()
    assert dict(mpl.rcParams) == before


def test_palette_keeps_its_contrast_on_white() -> None:
    def luminance(colour: str) -> float:
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert all(1.05 / (luminance(colour) + 0.05) > 2 for colour in PALETTE)
    assert len(set(PALETTE)) == len(PALETTE)
    assert "DejaVu Sans" in font_families()
