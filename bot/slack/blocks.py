"""What cards, messages and modals of Slack are made of: rows, runs, moments; and the way to the templates.

Two rules keep a text from outside inert (promise 7). It stands in ``rich_text``, which Slack never parses; headers,
notes and buttons (``plain_text``) hold only words of ours. The one exception is a message's top-level ``text``, the line
for notifications, which goes through `bot.slack.text.inert`. Pure but for reading the templates.

Limits are Slack's (3,000 a text, 50 blocks), with a margin, in UTF-16 units. What a message comes to in all, Slack limits
but does not document: 12,000 characters of text and a little for what holds them, by its own people's words; what others
have measured fits some 13,200 for the blocks' JSON. So a card is drawn again with less until it fits; what the request
itself says is never cut here: who approves has seen what `bot.cards` showed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot import facts
from bot.passages import Segment
from bot.templates import render
from bot.units import clip, pieces, units
from bot.views import CardView

Blocks = list[dict[str, Any]]
Row = dict[str, Any]

MOST_RUNS = 200  # runs of one passage; what comes after them is shown, but its marks are not
PAGE_UNITS = 2_500
MESSAGE_UNITS = 12_500  # of a message's blocks, as JSON

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_BLOCK_ID = len('"block_id":"abcde",')  # Slack gives one to every block


@dataclass(frozen=True, slots=True)
class Room:
    """How much is said beside the request's own texts: units of each text, lines under one label, edits and lines of
    history; and how many runs of a passage keep their style.
    """

    text: int
    lines: int
    past: int
    runs: int


ALL = Room(2_000, 6, 5, MOST_RUNS)
_ROOMS = (ALL, Room(300, 4, 5, 60), Room(120, 3, 2, 20), Room(60, 1, 1, 5), Room(20, 1, 0, 1))


def fitted(draw: Callable[[Room], Blocks]) -> Blocks:
    """What ``draw`` makes with the most room that fits into a message, else with the least."""
    for room in _ROOMS[:-1]:
        blocks = draw(room)
        if units(_JSON.encode(blocks)) + _BLOCK_ID * len(blocks) <= MESSAGE_UNITS:
            return blocks
    return draw(_ROOMS[-1])


def load(template: str, **context: Any) -> Any:
    """The JSON that a template gives."""
    return json.loads(render(template, **context))


def value_of(view: CardView) -> str:
    """What a button carries: which hold, and which text of it was shown. Nothing else; the server knows the rest."""
    return f"{view.id} {view.digest}"


def rows(pairs: Iterable[tuple[str, str]]) -> list[Row]:
    """Labels and values for the template; those without a value are left out."""
    return [{"label": label, "value": value} for label, value in pairs if value.strip()]


def who(view: CardView) -> list[tuple[str, str]]:
    """Who asked what of which model."""
    return [
        ("Requester", clip(view.requester, 200)),
        ("Groups", clip(", ".join(view.requester_groups), 200)),
        ("Connection", clip(view.connection, 100)),
        ("Model", clip(view.model, 150)),
        ("Environment", clip(view.environment, 100)),
    ]


def runs(segments: Iterable[Segment], most: int = MOST_RUNS) -> list[Row]:
    """Segments as text elements of at most Slack's length; the first ``most`` keep their marks."""
    found: list[Row] = [
        {"text": piece, "marked": segment.marked, "gap": segment.gap}
        for segment in segments
        for piece in pieces(segment.text, PAGE_UNITS)
    ]
    if len(found) > most:
        rest = "".join(run["text"] for run in found[most:])
        found[most:] = [{"text": piece, "marked": False, "gap": False} for piece in pieces(rest, PAGE_UNITS)]
    return found


def words(text: str, most: int) -> list[Row]:
    """What a person typed, in at most ``most`` units, as runs; nothing for an empty text."""
    shown = clip(text, most)
    return runs([Segment(shown)]) if shown.strip() else []


def moment(at_ms: int) -> Row:
    """A time for Slack to show in the reader's own zone, and in UTC where it cannot."""
    text = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"at_s": at_ms // 1000, "at_words": text}


def fact_rows(found: Iterable[facts.Fact], room: Room) -> list[Row]:
    """Labelled lines for the template, as many of each label as there is room for, some with a time at their end."""
    shown: list[Row] = []
    seen: dict[str, int] = {}
    for fact in found:
        seen[fact.label] = seen.get(fact.label, 0) + 1
        if seen[fact.label] <= room.lines:
            at = None if fact.at_ms is None else moment(fact.at_ms)
            shown.append({"label": fact.label, "value": clip(fact.text, room.text), "at": at})
    return shown


def said_rows(found: Iterable[facts.Said], room: Room) -> list[Row]:
    """What people said, each behind its own bar: several lines stay where they belong."""
    return [
        {
            "label": clip(each.label, room.text),
            "runs": runs([Segment(clip(each.text, room.text))]),
            "at": None if each.at_ms is None else moment(each.at_ms),
        }
        for each in found
    ]


def history(view: CardView, room: Room) -> list[Row]:
    """What people did."""
    lines = facts.history(view, most=room.past) if room.past else []
    return [{**moment(at_ms), "text": clip(text, room.text)} for at_ms, text in lines]


def edits(view: CardView, room: Room) -> tuple[list[Row], str]:
    """The first diffs, and how many there are beyond."""
    shown, more = facts.changed(view, most=min(room.past, 2))
    return [{"label": clip(each.label, room.text), "text": clip(each.text, room.text)} for each in shown], more
