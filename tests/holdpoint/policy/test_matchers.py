from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.policy.matchers import NotInspected, PatternSet, find
from holdpoint.policy.patterns import BadPattern, TextPattern, encode, keyword, pattern
from holdpoint.policy.spans import Offsets, Search, merge
from tests.holdpoint.policy.builders import starved


def spans(source: str, text: str, *, for_edit: bool = False) -> list[str]:
    inspected = PatternSet([pattern(source)]).inspect(text)
    if inspected is None:
        return []
    return [text[start:end] for start, end in sorted(set(inspected.spans(0, Search(for_edit=for_edit))))]


def test_a_set_says_which_patterns_match() -> None:
    patterns = PatternSet([pattern("a"), pattern("b"), pattern("c")])
    found = patterns.inspect("xaxcx")
    assert found is not None
    assert found.hits == {0, 2}
    assert patterns.inspect("xyz") is None
    assert patterns.inspect("") is None


def test_a_set_without_its_sentinel_did_not_inspect_anything() -> None:
    with pytest.raises(NotInspected):
        starved(PatternSet([pattern("secret")])).inspect("a secret")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("secret", ["secret"]),
        ("a secret, secrets", ["secret", "secret"]),
        ("é secret é secret", ["secret", "secret"]),
        ("🙂secret🙂", ["secret"]),
        ("\ud800secret", ["secret"]),
    ],
)
def test_spans_count_code_points(text: str, expected: list[str]) -> None:
    assert spans("secret", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ｓecret", ["ｓecret"]),
        ("x\u200bsec\u200bret\u200bx", ["sec\u200bret\u200b"]),
        ("é ﬁle s\u0301ecret", ["s\u0301ecret"]),
        ("secret and sеcret", ["secret", "sеcret"]),  # the second е is Cyrillic
    ],
)
def test_spans_of_a_normalised_text_point_into_the_raw_one(text: str, expected: list[str]) -> None:
    found = PatternSet([pattern("secret")]).inspect(text)
    assert found is not None
    located = merge(found.spans(0, Search(for_edit=False)))
    assert [text[start:end] for start, end in located] == expected


def test_a_match_that_cannot_be_located_marks_the_whole_text() -> None:
    decomposed = "\u1100\u1161"  # two Hangul letters that compose to one syllable only together
    text = f"x{decomposed}\u11a8y"
    assert spans("각", text) in ([f"{decomposed}\u11a8"], [text])


def test_matches_of_nothing_are_no_spans() -> None:
    assert spans("x*", "ab") == []


def test_what_is_shown_is_bounded_and_what_is_edited_is_complete() -> None:
    text = "a-" * 30_000
    assert len(spans("a", text)) == 100
    edited = spans("a", text, for_edit=True)
    assert len(edited) == 10_001
    assert "".join(edited).count("a") == 30_000


def test_a_search_that_reads_to_the_end_each_time_runs_out_of_work_not_of_time() -> None:
    text = "a" * 200_000
    start = time.process_time()
    spans("(?s)a(?:.*z)?", text)
    assert time.process_time() - start < 5


def test_a_keyword_beside_a_letter_of_any_script_keeps_its_boundary() -> None:
    found = PatternSet([keyword("öl")]).inspect("Öl, öl öl; Nöl ölig")
    assert found is not None
    assert [("Öl, öl öl; Nöl ölig")[s:e] for s, e in found.spans(0, Search(for_edit=False))] == ["Öl", "öl", "öl"]


@pytest.mark.parametrize(
    "space", [" ", "\t\n", "\x0b", "\x0c", "\x85", "\u00a0", "\u1680", "\u2028", "\u2029", "\u3000"]
)
def test_a_phrase_takes_any_white_space(space: str) -> None:
    found = PatternSet([keyword("apollo program")]).inspect(f"an Apollo{space}Program")
    assert found is not None
    assert found.hits == {0}


@pytest.mark.parametrize("word", ["", "  ", "\u200b", "x" * 501])
def test_a_keyword_of_nothing_or_too_much_is_refused(word: str) -> None:
    with pytest.raises(BadPattern):
        keyword(word)


@pytest.mark.parametrize("source", ["a" * 2_001, "(?:[^a]{1000}[^b]{1000}){1}" * 3, "\ud800"])
def test_a_pattern_that_is_too_large_or_no_text_is_refused(source: str) -> None:
    with pytest.raises(BadPattern):
        pattern(source)


def test_a_pattern_that_cuts_characters_does_not_break_the_counting() -> None:
    assert spans(r"\C", "é")  # one byte of two
    assert spans("é", "xé") == ["é"]


def test_merging() -> None:
    assert merge([(5, 7), (0, 2), (2, 3), (6, 9)]) == [(0, 3), (5, 9)]


def test_offsets_split_a_span_over_several_texts() -> None:
    offsets = Offsets.of([["ab"], [""], ["cde"]])  # "ab\n\ncde"
    assert list(offsets.split(1, 6)) == [(0, 1, 2), (2, 0, 2)]
    assert list(offsets.split(2, 4)) == []
    assert list(offsets.split(4, 7)) == [(2, 0, 3)]
    assert list(Offsets.of([["ab", "c"], ["d"]]).split(1, 5)) == [(0, 1, 2), (1, 0, 1), (2, 0, 1)]  # "abc\nd"


def test_a_pattern_is_compiled_by_itself_once_it_has_matched() -> None:
    """Thousands that never do need no memory, and no time when a newer policy takes their place."""
    some = PatternSet([pattern("hit"), pattern("miss")])
    assert find(some, "a hit") == [[(2, 5)], []]
    assert ["compiled" in vars(each) for each in some.patterns] == [True, False]


def test_find_gives_merged_spans_for_each_pattern() -> None:
    assert find(PatternSet([pattern("a+"), keyword("b"), TextPattern("zz")]), "aab b") == [[(0, 2)], [(4, 5)], []]
    assert find(PatternSet([keyword("key")]), r'{"q":"my\nkey \u006bey"}') == [[(10, 13), (14, 22)]]


@pytest.fixture(scope="module")
def many() -> PatternSet:
    """More than one RE2 Set: what matters stands between patterns so large that a few of them fill one."""
    large = [pattern(rf"§{number}\pL{{12}}") for number in range(24)]
    small = [pattern(source) for source in ("a", "b+", "(?i)c", r"\bd", "é", "ab|cd", "^e$", r"\z")]
    every = [each for three in zip(large[::3], large[1::3], large[2::3], small, strict=True) for each in three]
    return PatternSet([*every, keyword("f")])


@pytest.fixture(scope="module")
def alone(many: PatternSet) -> list[PatternSet]:
    return [PatternSet([each]) for each in many.patterns]


@given(st.text("abcdefé§0\nпе\u200bＡ", max_size=20))
def test_several_sets_find_what_each_pattern_finds_alone(many: PatternSet, alone: list[PatternSet], text: str) -> None:
    assert len(many._more) >= 2
    assert find(many, text) == [find(each, text)[0] for each in alone]


@pytest.mark.parametrize("number", [0, 1])
def test_one_set_without_its_sentinel_is_enough_to_trust_none(many: PatternSet, number: int) -> None:
    patterns = PatternSet(many.patterns)
    behind, _ = patterns._more[number]
    patterns._more[number] = behind, starved(PatternSet([]))._set
    with pytest.raises(NotInspected):
        patterns.inspect("nothing in it")


def test_the_sentinel_matches_every_text_and_newline() -> None:
    patterns = PatternSet([pattern("x")])
    for text in ("", "\n", "a\n", "a", "\x00", "é", "\ud800"):
        assert 0 in patterns._set.Match(encode(text))


def test_matching_lets_other_threads_run() -> None:
    patterns, text = PatternSet([pattern("zzz")]), "a" * 20_000_000

    def turns() -> int:
        """Of this thread, while another one matches for some 30 ms."""
        done = threading.Event()

        def work() -> None:
            patterns.inspect(text)
            done.set()

        thread = threading.Thread(target=work)
        thread.start()
        taken = 0
        while not done.wait(0.001):
            taken += 1
        thread.join()
        return taken

    # A busy machine may give this thread none of the time of one match; it would have four turns at most in any of
    # them if matching held the interpreter.
    assert any(turns() > 9 for _ in range(50))
