from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.text import clip_escaped, escape, inert
from bot.units import clip, pieces, units
from tests.fakes.slack.text import decode, read_mrkdwn, utf16

ANY = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.promise(7)
@given(ANY)
def test_an_escaped_text_reads_as_it_is_and_notifies_nobody(text: str) -> None:
    seen = read_mrkdwn(escape(text), verbatim=True)
    assert seen.text == text
    assert seen.notified == []


@given(ANY, st.integers(2, 60))
def test_limits_are_kept_in_utf16_units(text: str, most: int) -> None:
    assert units(text) == utf16(text)
    assert units(clip(text, most)) <= most
    assert units(clip_escaped(text, most)) <= most
    if units(text) <= most:
        assert clip(text, most) == text
    if units(escape(text)) <= most:
        assert clip_escaped(text, most) == escape(text)


@given(ANY, st.integers(8, 60))
def test_no_entity_is_cut_in_two(text: str, most: int) -> None:
    kept = clip_escaped(text, most)
    assert text.startswith(decode(kept.removesuffix("…"))) or kept == escape(text)


@given(ANY, st.integers(2, 60))
def test_pieces_are_the_text(text: str, most: int) -> None:
    found = pieces(text, most)
    assert "".join(found) == text
    assert all(0 < units(piece) <= most for piece in found)


@pytest.mark.promise(7)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dana@example.com → demo", "dana@example.com → demo"),
        ("first_last@example.com a_b_c", "first_last@example.com a_b_c"),
        ("_it_ *b* ~s~ `c`", "ˍitˍ ∗b∗ ∼s∼ ˋcˋ"),
        ("10:30 and :smile: a: b", "10:30 and ∶smile: a: b"),
        ("> quoted > not", "＞ quoted &gt; not"),
        ("<!here> & <@U1>", "&lt;!here&gt; &amp; &lt;@U1&gt;"),
        ("one\n\n two\t", "one two"),
        ("", ""),
    ],
)
def test_a_line_for_notifications_is_inert_and_still_readable(text: str, expected: str) -> None:
    assert inert(text, 1_500) == expected


def test_a_line_for_notifications_is_cut_between_characters() -> None:
    assert inert("&" * 100, 24) == "&amp;" * 4 + "…"
