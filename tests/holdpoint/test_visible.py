"""Hidden and controlling characters are written out; everything else stays."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.visible import visible, visible_line

# Format characters (Cf) that have a glyph of their own: Arabic and Syriac number signs and their like.
VISIBLE_FORMAT = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}


@pytest.mark.promise(7)
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, größer, 漢字, 🙂", "plain text, größer, 漢字, 🙂"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2Jgone", "⟨U+001B⟩[2Jgone"),
        ("over\rwrite", "over⟨U+000D⟩write"),
        ("c1 \x9b31m", "c1 ⟨U+009B⟩31m"),
        ("pay 100\u202e001", "pay 100⟨U+202E⟩001"),
        ("\u2066isolated\u2069", "⟨U+2066⟩isolated⟨U+2069⟩"),
        ("pass\u200bword", "pass⟨U+200B⟩word"),
        ("\ufeffmark", "⟨U+FEFF⟩mark"),
        ("line\u2028separator", "line⟨U+2028⟩separator"),
        ("tag \U000e0041", "tag ⟨U+E0041⟩"),
        ("selector\ufe0f", "selector⟨U+FE0F⟩"),
        ("filler\u3164", "filler⟨U+3164⟩"),
        ("lone \ud800", "lone ⟨U+D800⟩"),
        ("null \x00", "null ⟨U+0000⟩"),
    ],
)
def test_hidden_characters_are_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.promise(7)
def test_no_control_format_or_separator_character_passes() -> None:
    passed = {
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and visible(chr(code)) == chr(code)
    }
    assert passed == {0x09, 0x0A} | {c for c in VISIBLE_FORMAT if unicodedata.category(chr(c)) == "Cf"}


def test_one_line_stays_one_line() -> None:
    assert visible_line("a\nb\tc\u2029d") == "a⟨U+000A⟩b⟨U+0009⟩c⟨U+2029⟩d"


@given(st.text(st.characters(exclude_categories=())))
def test_twice_is_once_and_the_result_can_be_encoded(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    shown.encode()
