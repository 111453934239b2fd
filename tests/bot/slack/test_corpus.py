"""Promise 7 in Slack: in every place where text appears, a reader sees the text and nothing else.

Each surface is drawn twice: with a harmless word in every field, and with an attack. Both payloads must have the same
shape, block for block and style for style; only texts may differ, only inside ``rich_text`` (which Slack does not parse)
or in the line for notifications (where nothing may be left that mrkdwn knows), and each exactly by the word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from bot.slack.text import LOOKALIKES, inert
from holdpoint.model import Hold, State
from holdpoint.visible import visible, visible_line
from tests.bot.slack.surfaces import SURFACES, Surface, agent_with, hold_with
from tests.corpus import ATTACKS, MASSIVE
from tests.fakes.slack.rules import VIEW_BYTES, message_problems, view_bytes, view_problems
from tests.fakes.slack.text import read_blocks, read_mrkdwn

pytestmark = pytest.mark.promise(7)

WORD = "Qqq"
EVER = (
    "card",
    "dm",
    "bundle",
    "digest",
    "thread",
    "home",
    "answer to a command",
)  # the others are there while it waits
STATES = (State.PENDING, State.REJECTED, State.FAILED, State.CANCELLED)
OURS = ["@U0SAM", "!subteam^S0ONCALL"]  # whom the thread calls, by ids that are no text
# What mrkdwn does beyond markup in angle brackets: formatting, fences, quotes at the beginning of a line, emoji.
FORMATTED = re.compile(r"(?<!\w)([*_~`])\S(?:[^\n]*\S)?\1(?!\w)|```|^\s*&gt;|:[\w+'-]+:", re.MULTILINE)


COUNT = re.compile(r"[\d,]+ characters?")  # how much is folded: as much as the text is long


def shapes_of(text: str) -> set[str]:
    """How a text may stand somewhere: hidden characters written out; on one line; with blanks run together."""
    return {visible(text), visible_line(text), " ".join(visible(text).split()), visible(text).strip()}


def holds_with(text: str, surface: str) -> Iterator[Hold]:
    """One for each state in which the surface looks different."""
    yield from (hold_with(text, state=state) for state in (STATES if surface in EVER else STATES[:1]))
    yield agent_with(text)


@cache
def harmless(surface: str) -> tuple[dict[str, Any], ...]:
    return tuple(payload_of(SURFACES[surface](hold)) for hold in holds_with(WORD, surface))


def payload_of(surface: Surface) -> dict[str, Any]:
    return {"blocks": surface.blocks, "text": surface.text, "view": surface.view, "rest": surface.rest}


def differences(ours: Any, theirs: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """The strings that differ, with the keys that lead there. Anything else that differs is a failure."""
    if isinstance(ours, str) and isinstance(theirs, str):
        if COUNT.sub("n", ours) != COUNT.sub("n", theirs):
            yield path, ours, theirs
        return
    assert type(ours) is type(theirs), f"{path}: {ours!r} became {theirs!r}"
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), f"{path}: other keys"
        inside = (*path, str(ours.get("type", "")))
        for key, value in ours.items():
            yield from differences(value, theirs[key], (*inside, key))
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), f"{path}: {len(ours)} items became {len(theirs)}"
        for one, other in zip(ours, theirs, strict=True):
            yield from differences(one, other, path)
    else:
        assert ours == theirs, f"{path}: {ours!r} became {theirs!r}"


def is_the_text(shown: str, harmless: str, attack: str) -> bool:
    """Whether ``shown`` is ``harmless`` with the attack in the word's place, perhaps cut at its end."""
    for shape in shapes_of(attack):
        whole = harmless.replace(WORD, shape)
        if " ".join(shown.split()) == " ".join(whole.split()) and ("\n" not in shown or "\n" in whole):
            return True  # a line where blanks are run together, our own beside them, too
        if shown == whole or ("…" in shown and whole.startswith(shown.rpartition("…")[0].rstrip())):
            return True
    return False


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("surface", SURFACES)
def test_a_reader_sees_the_text_and_nothing_else(surface: str, attack: str) -> None:
    for before, hold in zip(harmless(surface), holds_with(attack, surface), strict=True):
        after = SURFACES[surface](hold)
        assert_inert(after)
        if surface == "edit" and visible(attack) != attack:
            continue  # texts with hidden characters are edited in the inbox, so this modal looks different
        for path, ours, theirs in differences(before, payload_of(after)):
            if path == ("", "text"):
                continue  # the line for notifications, see below
            assert path[-2:] == ("text", "text") or path[-1] == "initial_value", f"{path}: a text outside of rich text"
            if "rich_text_preformatted" in path:
                assert_lines_of_a_change(theirs, surface)
            else:
                assert is_the_text(theirs, ours, attack), f"{path}: {theirs!r}"


def assert_lines_of_a_change(text: str, surface: str) -> None:
    """A text cannot add a line to a diff that looks like one of ours: each of them has its sign."""
    if surface in ("card", "dm", "bundle"):
        assert all(line.startswith(("− ", "+ ", "…")) or line == "…" for line in text.split("\n"))


def assert_inert(surface: Surface) -> None:
    """Slack's rules hold, and nobody is called, nothing is a link, and every date is one of ours."""
    views = [view for view in (surface.view, *surface.rest) if view is not None]
    for view in views:
        assert view_problems(view, kind=view["type"]) == []
        assert view_bytes(view) <= VIEW_BYTES
        assert read_blocks(view["blocks"]).notified == []
    if not views:
        assert message_problems(surface.blocks) == []
        seen = read_blocks(surface.blocks)
        assert [each for each in seen.notified if each not in OURS] == []
        assert all(at >= 1_600_000_000 for at in seen.dates)
    json.dumps(payload_of(surface)).encode()
    if surface.text is not None:
        assert read_mrkdwn(surface.text, verbatim=True).notified == []
        assert FORMATTED.search(surface.text) is None, surface.text
        assert "\n" not in surface.text
        assert 1 <= len(surface.text) <= 4_000


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_the_line_for_notifications_reads_like_the_text(attack: str) -> None:
    line = " ".join(visible(attack).split())
    sent = inert(f"x {attack} y", 1_500) if visible(attack) == attack else inert(f"x {line} y", 1_500)
    assert FORMATTED.search(sent) is None
    read = read_mrkdwn(sent, verbatim=True)
    assert read.notified == []
    back = {ord(like): original for original, like in LOOKALIKES.items()}
    assert read.text.translate(back) == f"x {line} y".translate(back) if line else read.text == "x y"


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("massive", MASSIVE.values(), ids=MASSIVE.keys())
def test_nothing_is_too_long_or_too_empty_for_slack(surface: str, massive: str) -> None:
    assert_inert(SURFACES[surface](hold_with(massive)))


@pytest.mark.parametrize("surface", ["card", "digest", "home"])
@pytest.mark.parametrize("line", ["x", "<!channel> ", "\u202e", "😀"])
def test_a_prompt_of_a_megabyte_on_one_line(surface: str, line: str) -> None:
    hold = hold_with(WORD)
    parts = (replace(hold.query.parts[3], text=line * (1_000_000 // len(line))), *hold.query.parts[:3])
    assert_inert(SURFACES[surface](replace(hold, query=replace(hold.query, parts=parts))))


@pytest.mark.parametrize("state", list(State))
def test_the_corpus_reaches_the_fields(state: State) -> None:
    """The holds of this test carry the text in many places of a card; otherwise it would prove little."""
    card = json.dumps(payload_of(SURFACES["card"](hold_with(WORD, state=state))))
    assert card.count(WORD) >= 15
    assert json.dumps(payload_of(SURFACES["dm"](hold_with(WORD, state=state)))).count(WORD) >= 8


@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_shows_something_of_the_hold(surface: str) -> None:
    assert WORD in json.dumps(payload_of(SURFACES[surface](hold_with(WORD))))
