from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.grammar import Form, nearest, partial, tokens_of

FORMS = [Form.parse(shown) for shown in ("route list", "route add <group> <channel>", "pending [group]", "whoami")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  route\tadd\n a  ", ["route", "add", "a"]),
        ('a "b c" d', ["a", "b c", "d"]),
        ("a 'b c' d", ["a", "b c", "d"]),
        ("a “b c” d", ["a", "b c", "d"]),
        ("a „b c“ ‘d e’ «f g»", ["a", "b c", "d e", "f g"]),
        ("a ”b c” d", ["a", "b c", "d"]),
        ('""', [""]),
        ("don't can't", ["don't", "can't"]),
        ("don’t stop", ["don’t", "stop"]),
        ('say "it', ["say", '"it']),
        ('"a"b c', ['"a"b', "c"]),
        ("'a' 'b", ["a", "'b"]),
        ('it"s', ['it"s']),
        ('"a "quoted" word"', ['a "quoted', 'word"']),
    ],
)
def test_words_and_quotes(text: str, words: list[str]) -> None:
    assert [token.text for token in tokens_of(text)] == words


@given(st.text(alphabet=st.sampled_from("ab \"'“”„‘’«»\n\t\u2028"), max_size=60) | st.text(max_size=80))
def test_every_text_has_words_that_cover_it(text: str) -> None:
    found = tokens_of(text)
    at = 0
    for token in found:
        assert text[at : token.start].strip() == ""
        assert token.text == text[token.start + token.quoted : token.end - token.quoted]
        at = token.end
    assert text[at:].strip() == ""


def bound(shown: str, text: str) -> dict[str, str] | None:
    arguments = Form.parse(shown).bind(text, tokens_of(text))
    return None if arguments is None else dict(arguments)


@pytest.mark.parametrize(
    ("shown", "text", "arguments"),
    [
        ("route add <group> <channel>", "route add a b", {"group": "a", "channel": "b"}),
        ("route add <group> <channel>", 'ROUTE Add "a b" c', {"group": "a b", "channel": "c"}),
        ("route add <group> <channel>", "route add a", None),
        ("route add <group> <channel>", "route add a b c", None),
        ("pending [group]", "pending", {}),
        ("pending [group]", "pending a", {"group": "a"}),
        ("pending [group]", "pending a b", None),
        ("reject <id> <reason…>", "reject h1  not   yours, don't", {"id": "h1", "reason": "not   yours, don't"}),
        ("reject <id> <reason…>", "reject h1 “not yours”", {"id": "h1", "reason": "not yours"}),
        ("reject <id> <reason…>", 'reject h1 "a" and "b"', {"id": "h1", "reason": '"a" and "b"'}),
        ("reject <id> <reason…>", "reject h1", None),
        ("mode <rule> shadow|enforce", "mode r SHADOW", {"rule": "r", "shadow|enforce": "shadow"}),
        ("mode <rule> shadow|enforce", "mode r off", None),
        ("mode <rule> shadow|enforce", "mode r", None),
        ("pause <connection|all> [refuse|hold] [reason…]", "pause all", {"connection|all": "all"}),
        ("pause <connection|all> [refuse|hold] [reason…]", "pause x hold", {"connection|all": "x", "refuse|hold": "hold"}),
        ("pause <connection|all> [refuse|hold] [reason…]", "pause x it leaks", {"connection|all": "x", "reason": "it leaks"}),
        ("pause <connection|all> [refuse|hold] [reason…]", 'pause x "hold" it', {"connection|all": "x", "reason": '"hold" it'}),
        ("break-glass <hold> <reason…>", "break-glass h1 now", {"hold": "h1", "reason": "now"}),
    ],
)  # fmt: skip
def test_a_form_takes_what_fits(shown: str, text: str, arguments: dict[str, str] | None) -> None:
    assert bound(shown, text) == arguments


@pytest.mark.parametrize(
    ("typed", "shown"),
    [("rout lst", "route list"), ("whoiam", "whoami"), ("pendign security", "pending [group]"), ("xyzzy", None), ("", None)],
)  # fmt: skip
def test_the_nearest(typed: str, shown: str | None) -> None:
    found = nearest(FORMS, typed.split())
    assert (found.shown if found else None) == shown


def test_what_was_begun() -> None:
    assert [form.shown for form in partial(FORMS, ["route"])] == ["route list", "route add <group> <channel>"]
    assert [form.shown for form in partial(FORMS, ["route", "add", "x"])] == ["route add <group> <channel>"]
    assert partial(FORMS, ["nonsense"]) == []
