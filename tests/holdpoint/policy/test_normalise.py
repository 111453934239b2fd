from __future__ import annotations

import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from holdpoint.policy import normalise
from holdpoint.policy.matchers import PatternSet
from holdpoint.policy.normalise import FOLDABLE_CLASS, HIDDEN_CLASS, clean, fold, mapped, unescape, unescaped
from holdpoint.policy.patterns import TextPattern

TEXTS = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("aаé\u200b\u0301\u00ad\U000e0041ﬁｆ가\u1100\u1161\x00\n "))
)


def test_every_format_character_that_unicode_knows_is_hidden() -> None:
    format_characters = {chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) == "Cf"}
    assert clean("".join(format_characters)) == ""


def test_ordinary_white_space_stays() -> None:
    assert clean("a\tb\nc\rd e") == "a\tb\nc\rd e"


def test_meaning_of_other_scripts_is_not_folded_away() -> None:
    for text in ("שָׁלוֹם", "กำลัง", "한국어", "中文", "हिन्दी", "日本語 が"):
        cleaned = clean(text)
        assert fold(cleaned) == cleaned


def test_folding_is_complete_in_one_go() -> None:
    for character in normalise._FOLDS:
        folded = fold(character)
        assert folded.isascii()
        assert fold(folded) == folded


def test_the_class_that_announces_folding_covers_all_that_folding_changes() -> None:
    foldable = PatternSet([TextPattern(FOLDABLE_CLASS)])
    missed = [
        hex(code)
        for code in range(0x80, 0x30000)
        if not 0xD800 <= code < 0xE000
        and unicodedata.is_normalized("NFKC", chr(code))
        and fold(chr(code)) != chr(code)
        and 2 not in foldable._set.Match(chr(code))
    ]
    assert missed == []


def test_the_class_that_announces_hidden_characters_covers_all_that_cleaning_removes() -> None:
    hidden = PatternSet([TextPattern(HIDDEN_CLASS)])
    assert all(1 in hidden._set.Match(character) for character in normalise._HIDDEN)


@given(TEXTS)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned


@given(text=TEXTS, folded=st.booleans())
def test_every_character_of_a_mapped_text_leads_back_into_the_raw_one(text: str, *, folded: bool) -> None:
    way = mapped(text, folded=folded)
    assert len(way.text) == len(way.starts) == len(way.ends)
    assert way.starts == sorted(way.starts)
    for index in range(len(way.text)):
        start, end = way.back(index, index + 1)
        assert 0 <= start < end <= len(text)


@given(st.text(st.characters(codec="utf-8")) | st.text(st.sampled_from('é\\u"/n0041d83dDE00\n')))
def test_an_unescaped_text_is_what_json_says_and_leads_back(text: str) -> None:
    try:
        written = json.loads(f'"{text}"', strict=False)
    except ValueError:
        written = None
    way = unescaped(text)
    assert way.text == unescape(text)
    assert written is None or way.text == written
    assert len(way.text) == len(way.starts) == len(way.ends)
    assert "".join(text[way.starts[index] : way.ends[index]] for index in range(len(way.text))) == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_maps_to_itself(text: str) -> None:
    way = mapped(text, folded=True)
    assert way.text == text
    assert way.starts == list(range(len(text)))


CHARACTERS = [chr(code) for code in range(0x80, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
JOINING = [character for character in CHARACTERS if normalise._joins(character)]


@given(
    text=st.one_of(TEXTS, st.text(st.sampled_from("aカか가ᄇㅂ\u09c7\u0d46\u200b") | st.sampled_from(JOINING))),
    folded=st.booleans(),
)
def test_a_mapped_text_is_what_the_whole_text_becomes(text: str, *, folded: bool) -> None:
    whole = fold(clean(text)) if folded else clean(text)
    assert mapped(text, folded=folded).text == whole


def test_whatever_unicode_makes_one_letter_of_is_mapped_together() -> None:
    apart = [unicodedata.normalize("NFD", c) for c in CHARACTERS if unicodedata.is_normalized("NFC", c)]
    apart = [text for text in apart if len(text) > 1]
    assert [text for text in apart if mapped(text, folded=False).text != clean(text)] == []
    last = {text[-1] for text in apart}
    assert [c for c in CHARACTERS if unicodedata.normalize("NFKD", c)[0] in last and c not in JOINING] == []
