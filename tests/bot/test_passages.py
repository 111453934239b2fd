from __future__ import annotations

import pytest

from bot.passages import Change, Segment, diff_lines, segments, shorten


def marked(text: str, *spans: tuple[int, int]) -> str:
    """The segments, with what is marked between brackets."""
    return "".join(f"[{s.text}]" if s.marked else s.text for s in segments(text, spans, {}, text))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ((), "abcdef"),
        (((1, 3),), "a[bc]def"),
        (((0, 6),), "[abcdef]"),
        (((1, 3), (2, 4)), "a[bcd]ef"),
        (((1, 2), (2, 3)), "a[bc]def"),
        (((4, 5), (0, 1)), "[a]bcd[e]f"),
        (((4, 99), (-5, 1)), "[a]bcd[ef]"),
        (((3, 3),), "abcdef"),
    ],
)
def test_spans_are_marked(spans: tuple[tuple[int, int], ...], expected: str) -> None:
    assert marked("abcdef", *spans) == expected


def test_marks_stand_on_the_right_characters_behind_a_mask() -> None:
    text, masked = "card 4111 and password", "card ⟦card 1⟧ and password"
    found = segments(text, [(14, 22)], {"⟦card 1⟧": "4111"}, masked)
    assert found == (Segment("card ⟦card 1⟧ and "), Segment("password", marked=True))


def test_a_mask_that_a_rule_matched_is_marked_and_still_hidden() -> None:
    found = segments("my 4111 card", [(5, 6)], {"⟦card 1⟧": "4111"}, "my ⟦card 1⟧ card")
    assert found == (Segment("my "), Segment("⟦card 1⟧", marked=True), Segment(" card"))


@pytest.mark.promise(7)
def test_hidden_characters_are_written_out_within_a_mark() -> None:
    assert marked("pay\u202e100", (3, 7)) == "pay[⟨U+202E⟩100]"


def test_a_short_text_is_not_shortened() -> None:
    whole = (Segment("abc"), Segment("d", marked=True))
    assert shorten(whole, 4) == (whole, 0)


def test_what_matched_stays_when_the_rest_is_left_out() -> None:
    whole = (Segment("x" * 5000), Segment("SECRET", marked=True), Segment("y" * 5000))
    shown, cut = shorten(whole, 400)
    assert any(s.marked and s.text == "SECRET" for s in shown)
    assert shown[0].text.startswith("x")
    kept = sum(len(s.text) for s in shown if not s.gap)
    assert kept <= 400
    assert cut == 10_006 - kept
    assert [s.text for s in shown if s.gap][-1] == "… 4,880 characters left out …"


@pytest.mark.parametrize("limit", [6, 7, 40, 119, 121, 246])
def test_what_matched_stays_before_its_surroundings_do(limit: int) -> None:
    whole = (Segment("x" * 5000), Segment("SECRET", marked=True), Segment("y" * 5000))
    for fill in (True, False):
        shown, _ = shorten(whole, limit, fill=fill)
        assert [s.text for s in shown if s.marked] == ["SECRET"]
        assert sum(len(s.text) for s in shown if not s.gap) <= limit


def test_many_marks_do_not_exceed_the_limit() -> None:
    whole = tuple(piece for _ in range(100) for piece in (Segment("x" * 300), Segment("hit", marked=True)))
    shown, _ = shorten(whole, 500)
    assert sum(len(s.text) for s in shown if not s.gap) <= 500


def test_diff_lines() -> None:
    lines = diff_lines("one\ntwo\nthree", "one\n2\u200b\nthree")
    assert [(line.change, line.text) for line in lines] == [
        (Change.SAME, "one"),
        (Change.REMOVED, "two"),
        (Change.ADDED, "2⟨U+200B⟩"),
        (Change.SAME, "three"),
    ]


def test_a_huge_diff_is_one_block() -> None:
    lines = diff_lines("a\n" * 3000, "b\n" * 3000)
    assert [line.change for line in lines[:3001]] == [Change.REMOVED] * 3001


def test_without_filling_up_only_what_matched_stays() -> None:
    whole = (Segment("x" * 500), Segment("SECRET", marked=True), Segment("y" * 500))
    shown, cut = shorten(whole, 10_000, fill=False)
    assert [s.text for s in shown if not s.gap] == ["x" * 120, "SECRET", "y" * 120]
    assert cut == 760
    unmarked, all_of_it = shorten((Segment("x" * 5),), 100, fill=False)
    assert (all_of_it, [s.gap for s in unmarked]) == (5, [True])
