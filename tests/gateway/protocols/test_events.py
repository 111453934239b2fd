"""Reading the events of a stream in rows says what reading each of them says, whatever they are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.events import read_events


def read(data: bytes) -> tuple[str, int | None]:
    """A small protocol: ``say`` is text, ``cost`` anything else."""
    try:
        value = json.loads(data.decode())
    except ValueError:
        return "", None
    if not isinstance(value, dict):
        return "", None
    text, cost = value.get("say"), value.get("cost")
    return text if isinstance(text, str) and encodable(text) else "", cost if isinstance(cost, int) else None


def encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def in_rows(raw: bytes) -> tuple[str, list[int]]:
    said = list(read_events(raw, read))
    return "".join(text for text, _ in said), [cost for _, cost in said if cost is not None]


def one_by_one(raw: bytes) -> tuple[str, list[int]]:
    said = [read(line[5:]) for line in raw.splitlines() if line.startswith(b"data:")]
    return "".join(text for text, _ in said), [cost for _, cost in said if cost is not None]


def event(text: str, **more: object) -> bytes:
    return b"data: " + json.dumps({"id": "c1", "say": text, **more}).encode() + b"\n\n"


def test_of_many_that_are_alike_few_are_parsed() -> None:
    parsed = []

    def counting(data: bytes) -> tuple[str, int | None]:
        parsed.append(data)
        return read(data)

    words = [" word", *(f' {number}\n"é\\' for number in range(99))]
    raw = event("", role="x") + b"".join(map(event, words)) + event("", cost=3) + b"data: [DONE]\n\n"
    assert "".join(text for text, _ in read_events(raw, counting)) == "".join(words)
    assert len(parsed) == 5  # the role, the first word and the same with another text, the cost, the end


def test_what_is_never_alike_is_parsed_once() -> None:
    parsed = []

    def counting(data: bytes) -> tuple[str, int | None]:
        parsed.append(data)
        return read(data)

    words = [f"word {number}" for number in range(100)]
    raw = b"".join(event(word, number=number) for number, word in enumerate(words))
    assert "".join(text for text, _ in read_events(raw, counting)) == "".join(words)
    assert len(parsed) == 100


def test_what_changes_now_and_then_is_learned_again() -> None:
    parsed = []

    def counting(data: bytes) -> tuple[str, int | None]:
        parsed.append(data)
        return read(data)

    raw = b"".join(event("word", second=number // 20) for number in range(200))
    assert "".join(text for text, _ in read_events(raw, counting)) == "word" * 200
    assert len(parsed) == 20


@pytest.mark.parametrize(
    "odd",
    [
        b'b", "say": "c',  # ends its string, and says something else
        b'b", "d',
        b'b", "cost": 7, "x": "c',
        b'b", "x": ["c',
        b"b\\",  # leaves its string open
        b"\\ud83d",  # half of a character, the other half may come next
        b"\\ude00",
        b"\\u00",
        b"41",
        b"\xf0\x9f",
        b"\x98\x80",
        b"",
        b"\x01",
        b'"',
        b"say",
        b'","',
    ],
)
def test_one_that_is_broken_or_odd_among_many(odd: bytes) -> None:
    before, after = event("Q").strip().split(b"Q")
    for row in (
        [b"a", odd, b"b", b"c"],
        [b"a", b"b", odd, b"c"],
        [b"a", b"b", odd],
        [b"a", b"b", odd, odd],
        [odd, b"b"],
    ):
        raw = b"\n\n".join(before + inside + after for inside in row)
        assert in_rows(raw) == one_by_one(raw)


def test_halves_of_characters_are_not_put_together() -> None:
    before, after = event("Q").strip().split(b"Q")
    for halves in ([b"\\ud83d", b"\\ude00"], [b"\\u00", b"41"], [b"\xf0\x9f", b"\x98\x80"], [b"b\\", b"n"]):
        raw = b"\n\n".join(before + inside + after for inside in [b"a", b"a", *halves, b"c"])
        assert in_rows(raw)[0] == one_by_one(raw)[0] == "aa" + read(before[5:] + halves[1] + after)[0] + "c"


def test_brackets_that_are_opened_in_one_and_closed_in_another() -> None:
    before, after = event("Q").strip().split(b"Q")
    raw = b"\n\n".join(before + inside + after for inside in [b"a", b'a", ["b', b"c", b'd"], "e'])
    assert in_rows(raw) == one_by_one(raw) == ("ac", [])


def test_one_string_too_few_and_one_too_many() -> None:
    before, after = event("Q").strip().split(b"Q")
    raw = b"\n\n".join(before + inside + after for inside in [b"a", b"b\\", b',"c'])
    assert in_rows(raw) == one_by_one(raw) == ("a", [])


def test_what_else_is_said_again_and_again_is_not_lost() -> None:
    assert in_rows(event("a", cost=1) * 3 + event("b", cost=2)) == ("aaab", [1, 1, 1, 2])


def test_a_text_that_is_the_same_as_something_else_in_its_line() -> None:
    raw = b"".join(b'data: {"id": "%b", "say": "c1"}\n\n' % number for number in (b"c1", b"c2", b"c1", b"c3"))
    assert in_rows(raw) == ("c1" * 4, [])
    raw = b"".join(b'data: {"note": "c1", "say": "%b"}\n\n' % text for text in (b"c1", b"c2", b"c3"))
    assert in_rows(raw) == ("c1c2c3", [])


def test_lines_end_as_they_may() -> None:
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r", b"\n: comment\nevent: e\n"):
        raw = b"".join(event(text).strip() + end for text in "abcd") + event("e", cost=1).strip()
        assert in_rows(raw) == ("abcde", [1])


pieces = st.sampled_from(
    [b"a", b"\\", b'"', b"\\n", b"\\u00", b"41", b"\\ud83d", b"\\ude00", b"\n", b"\r", b"\xff", "é".encode(), b'", "say": "',
     b'", "cost": 3, "x": "', b'", ["', b'"], "', b'"}', b"", b",", b'","']
)  # fmt: skip
lines = st.one_of(
    st.lists(pieces, max_size=3).map(lambda inside: b'data: {"id": "c1", "say": "' + b"".join(inside) + b'"}'),
    st.text(max_size=3).map(lambda text: event(text).strip()),
    st.integers(0, 9).map(lambda cost: event("b", cost=cost).strip()),
)


@given(st.lists(lines, max_size=12))
def test_rows_say_what_each_says(found: list[bytes]) -> None:
    raw = b"\n\n".join(found)
    assert in_rows(raw) == one_by_one(raw)
