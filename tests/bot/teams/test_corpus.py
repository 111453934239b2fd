"""Promise 7 in Teams: on every card and in every dialog a reader sees the text and nothing else.

Each surface is drawn twice: with a harmless word of the same length in every field, and with an attack. Both cards must
have the same shape, element for element; only texts may differ, and only in runs, which Teams does not parse, in inputs,
and in the closed lists and the notifications, where nothing may be left that could format. No run may begin a date that
is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import repeat
from typing import Any

import pytest

from bot.teams.elements import ENVELOPE_BYTES, MOST_BYTES, size_bytes
from holdpoint.model import Hold, State
from holdpoint.visible import visible, visible_line
from tests.bot.teams.surfaces import (
    EXPANDED,
    OURS,
    SURFACES,
    Json,
    Surface,
    agent_with,
    hold_with,
    inlines_of,
    problems,
    text_of,
)
from tests.corpus import ATTACKS, MASSIVE

pytestmark = pytest.mark.promise(7)

EVER = (
    "card",
    "own",
    "dm",
    "bundle",
    "digest",
    "own digest",
    "sample",
    "answer to a command",
)  # the others are there while it waits
STATES = (State.PENDING, State.REJECTED, State.FAILED, State.CANCELLED)
COUNT = re.compile(r"[\d,]+ characters?")  # how much is folded: as much as the text is long
MARKUP = re.compile(r"[*~`\[\]<>{}#|&\\]|(?<!\w)_|_(?!\w)")
KINDS = {"RichTextBlock", "Input.Text"}


def harmless_word(attack: str) -> str:
    return "Q" + "q" * (len(visible(attack)) - 1)


def shapes_of(text: str) -> set[str]:
    """How a text may stand somewhere: hidden characters written out; on one line; with blanks run together."""
    return {visible(text), visible_line(text), " ".join(visible(text).split()), visible(text).strip()}


def holds_with(text: str, surface: str) -> Iterator[Hold]:
    """One for each state in which the surface looks different."""
    yield from (hold_with(text, state=state) for state in (STATES if surface in EVER else STATES[:1]))
    yield agent_with(text)


@cache
def harmless(surface: str, word: str) -> tuple[Surface, ...]:
    return tuple(SURFACES[surface](hold) for hold in holds_with(word, surface))


def joined(thing: Any) -> Any:
    """The card with the runs of each block as one text: an attack may be cut into more of them than a word."""
    if isinstance(thing, list):
        return [joined(each) for each in thing]
    if not isinstance(thing, dict):
        return thing
    if thing.get("type") == "RichTextBlock":
        return {**thing, "inlines": "".join(text_of(run) for run in thing["inlines"]).replace("\u00a0", " ")}
    return {name: joined(value) for name, value in thing.items()}


def differences(ours: Any, theirs: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """The strings that differ, with the keys that lead there. Anything else that differs is a failure."""
    if isinstance(ours, str) and isinstance(theirs, str):
        if COUNT.sub("n", ours) != COUNT.sub("n", theirs):
            yield path, ours, theirs
        return
    assert type(ours) is type(theirs), f"{path}: {ours!r} became {theirs!r}"
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), f"{path}: other keys"
        for key, value in ours.items():
            yield from differences(value, theirs[key], (*path, str(ours.get("type", "")), key))
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), f"{path}: {len(ours)} items became {len(theirs)}"
        for one, other in zip(ours, theirs, strict=True):
            yield from differences(one, other, path)
    else:
        assert ours == theirs, f"{path}: {ours!r} became {theirs!r}"


def is_the_text(shown: str, harmless: str, word: str, attack: str) -> bool:
    """Whether ``shown`` is ``harmless`` with the attack in the word's place, perhaps cut at its end."""
    if harmless.count("\n") == shown.count("\n") > 0:
        return all(map(is_the_text, shown.split("\n"), harmless.split("\n"), repeat(word), repeat(attack)))
    for shape in shapes_of(attack):
        whole = harmless.replace(word, shape)
        if " ".join(shown.split()) == " ".join(whole.split()) and ("\n" not in shown or "\n" in whole):
            return True
        if shown == whole or ("…" in shown and whole.startswith(shown.rpartition("…")[0].rstrip())):
            return True
        if "…" in harmless and shown.startswith(harmless.partition(word[0])[0]):
            return True  # the word itself was cut, in another place
    return False


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("surface", SURFACES)
def test_a_reader_sees_the_text_and_nothing_else(surface: str, attack: str) -> None:
    word = harmless_word(attack)
    for before, hold in zip(harmless(surface, word), holds_with(attack, surface), strict=True):
        after = SURFACES[surface](hold)
        assert_inert(after)
        if visible(attack) != attack and surface in ("card", "edit"):
            continue  # texts with hidden characters are edited in the inbox, so there is something else to press
        for path, ours, theirs in differences(joined(list(before.cards)), joined(list(after.cards))):
            if path[-2:] == ("", "title") and path[-3] == "choices":
                assert MARKUP.search(theirs) is None, theirs
                continue
            assert path[-2:] in (("RichTextBlock", "inlines"), ("Input.Text", "value")), f"{path}: {theirs!r}"
            if "− " in ours:
                assert all(line.startswith(("− ", "+ ", "…")) for line in theirs.split("\n")), theirs
            else:
                assert is_the_text(theirs, ours, word, attack), f"{path}: {theirs!r}, not {ours!r}"


def assert_inert(surface: Surface) -> None:
    """Teams takes it; nothing in it is expanded but our own dates; and the line for notifications is only a line."""
    assert problems(surface) == []
    assert max(map(size_bytes, surface.cards)) <= MOST_BYTES - ENVELOPE_BYTES
    for card in surface.cards:
        for inlines in inlines_of(card):
            assert inlines
            for run in inlines:
                left = OURS.sub("", text_of(run))
                assert EXPANDED.search(left) is None, left
                assert isinstance(run, str) or run.keys() <= {
                    "type", "text", "weight", "italic", "isSubtle", "fontType", "highlight"
                }  # fmt: skip
        assert not list(selected(card))
    if surface.text is not None:
        assert 1 <= len(surface.text) <= 1_000
        assert "\n" not in surface.text
        assert MARKUP.search(surface.text) is None, surface.text


def selected(thing: Any) -> Iterator[Json]:
    """What can be pressed inside of a text."""
    if isinstance(thing, list):
        for each in thing:
            yield from selected(each)
    elif isinstance(thing, dict):
        if "selectAction" in thing or "entities" in thing:
            yield thing
        for each in thing.values():
            yield from selected(each)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("massive", MASSIVE.values(), ids=MASSIVE.keys())
def test_nothing_is_too_long_or_too_empty_for_teams(surface: str, massive: str) -> None:
    assert_inert(SURFACES[surface](hold_with(massive)))


@pytest.mark.parametrize("state", list(State))
def test_the_corpus_reaches_the_fields(state: State) -> None:
    """The holds of this test carry the text in many places of a card; otherwise it would prove little."""
    word = harmless_word("xyz")
    assert str(SURFACES["card"](hold_with(word, state=state)).cards).count(word) >= 15
    assert str(SURFACES["dm"](hold_with(word, state=state)).cards).count(word) >= 8


@pytest.mark.parametrize("surface", [each for each in SURFACES if each != "reject all"])
def test_every_surface_shows_something_of_the_hold(surface: str) -> None:
    assert "Qqq" in str(SURFACES[surface](hold_with("Qqq")).cards)
