"""Pages of a long text: all of it, in passages that end where a reader would stop."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards import card_view
from bot.pages import pages_of
from bot.passages import Segment
from bot.units import units
from holdpoint.policy.mask import Masks
from tests.gallery.holds import pending

HOLD = pending()
VIEW = card_view(HOLD, now_ms=HOLD.created_ms, link_base="https://holdpoint.test", masks=Masks())
SEGMENTS = st.lists(st.builds(Segment, st.text(st.sampled_from("ab \n⟦⟧😀"), min_size=1), st.booleans()), max_size=12)


def passages(*segments: Segment, most: int, most_segments: int = 40) -> list[tuple[Segment, ...]]:
    view = replace(VIEW, parts=(replace(VIEW.parts[0], segments=segments),))
    pages = pages_of(view, passage_units=most, most_segments=most_segments, passages=1)
    return [passage.segments for page in pages for passage in page]


def texts(text: str, most: int) -> list[str]:
    return ["".join(segment.text for segment in each) for each in passages(Segment(text), most=most)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a short one", ["a short one"]),
        ("twelve chars\nand more", ["twelve chars\n", "and more"]),
        ("first line\nsecond line here", ["first line\n", "second line ", "here"]),
        ("one two th\nx yyy", ["one two th\n", "x yyy"]),
        ("one\nmuch longer line", ["one\nmuch ", "longer line"]),
        ("words of a sentence", ["words of a ", "sentence"]),
        ("exactly heres| and on", ["exactly ", "heres| and on"]),
        ("thirteen_char end", ["thirteen_char", " end"]),
        ("x" * 30, ["x" * 13, "x" * 13, "xxxx"]),
        ("a paragraph\u3000of words", ["a paragraph\u3000", "of words"]),
        ("😀" * 7, ["😀" * 6, "😀"]),
        ("pay ⟦card number 1⟧", ["pay ", "⟦card number ", "1⟧"]),
        ("pay it ⟦card 1⟧ now", ["pay it ", "⟦card 1⟧ now"]),
        ("pay ⟦card 1⟧x now", ["pay ⟦card 1⟧x", " now"]),
        ("pay ⟦card 1⟧xyz", ["pay ", "⟦card 1⟧xyz"]),
        ("pay a ⟦card 1⟧now", ["pay a ", "⟦card 1⟧now"]),
        ("an open ⟦ that " + "x" * 300, ["an open ⟦ ", "that " + "x" * 8, *["x" * 13] * 22, "x" * 6]),
    ],
)
def test_where_a_passage_of_thirteen_units_ends(text: str, found: list[str]) -> None:
    assert texts(text, 13) == found


@given(segments=SEGMENTS, most=st.integers(2, 40), most_segments=st.integers(1, 5))
def test_together_the_passages_are_the_text(segments: list[Segment], most: int, most_segments: int) -> None:
    found = passages(*segments, most=most, most_segments=most_segments)
    assert all(0 < len(each) <= most_segments and sum(units(part.text) for part in each) <= most for each in found)
    marks = [(character, segment.marked) for each in found for segment in each for character in segment.text]
    assert marks == [(character, segment.marked) for segment in segments for character in segment.text]
    assert all(segment.text for each in found for segment in each)


@given(words=st.lists(st.sampled_from(["word", "⟦key 1⟧", "⟦card number 12⟧", "\n", "a"]), min_size=20))
def test_no_passage_ends_inside_a_word_or_a_mask(words: list[str]) -> None:
    text = " ".join(words)
    found = texts(text, 60)
    assert all(each.count("⟦") == each.count("⟧") for each in found)
    assert all(before[-1].isspace() or after[0].isspace() for before, after in pairwise(found))
    assert len(found) <= 2 * len(text) / 60 + 1


def test_a_long_text_of_many_segments_is_cut_quickly() -> None:
    """Were each passage cut from all that is left, this would take minutes."""
    found = passages(*(Segment("ab ", marked=number % 2 == 0) for number in range(200_000)), most=2_500)
    assert len(found) == 5_000
