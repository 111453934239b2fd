"""What cards and dialogs of Teams are made of: runs, rows, moments; how much room there is; the way to the templates. Pure.

A card is drawn once with all that it has to say, and again with less until it fits: Teams refuses a message over
28 KB, counted in UTF-16 (https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit and the limits of
messages in channels). What the request itself says is never cut here: who approves has seen what `bot.cards` showed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.facts import Changed, Fact, Said, changed, history
from bot.passages import Segment
from bot.pieces import Tone
from bot.teams.text import spaced, unexpanded
from bot.templates import render
from bot.units import clip
from bot.views import CardView
from holdpoint.model import Risk

Card = dict[str, Any]
Row = dict[str, Any]
Run = dict[str, str]
"""``text`` and ``style``: "", "bold", "italic", "subtle", "mono", "marked" or "bare" (no style at all, the shortest)."""

CARD_CHARACTERS = 1_200  # of the request's texts on a card; at most twice as many units
MOST_BYTES = 28_000  # of a whole activity, as UTF-16
ENVELOPE_BYTES = 2_000  # of what stands around a card
PEOPLE_BYTES = 6_000  # of the ids of those who see a view of their own
MOST_RUNS = 40  # runs with a style of one card's passages; what comes after them is shown, but its marks are not
_STYLED = 1  # pieces of any other text that keep their style

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_STYLES = {Tone.GOOD: "good", Tone.BAD: "attention", Tone.ENDED: "emphasis"}
_RISKS = {Risk.HIGH: "attention", Risk.MEDIUM: "warning", Risk.LOW: "accent"}


@dataclass(frozen=True, slots=True)
class Room:
    """How much is said: units of each text, lines under one label, lines of history, diffs and their units."""

    text: int
    lines: int
    history: int
    changes: int
    change: int

    def clip(self, text: str) -> str:
        return clip(text, self.text)


ROOMS = (
    Room(2_000, 6, 5, 2, 600),
    Room(400, 4, 5, 2, 300),
    Room(200, 3, 3, 1, 300),
    Room(100, 2, 2, 0, 0),
    Room(40, 1, 1, 0, 0),
    Room(12, 1, 0, 0, 0),
)


def fitted(draw: Callable[[Room], Card], most_bytes: int) -> Card:
    """What ``draw`` makes with the most room that fits, else with the least."""
    for room in ROOMS[:-1]:
        card = draw(room)
        if size_bytes(card) <= most_bytes:
            return card
    return draw(ROOMS[-1])


def size_bytes(value: Any) -> int:
    """The bytes of ``value`` as Teams counts them: its JSON in UTF-16."""
    return len(_JSON.encode(value).encode("utf-16-le", "surrogatepass"))


def load(template: str, **context: Any) -> Card:
    """The card that a template gives."""
    card: Card = json.loads(render(f"teams/{template}.json.j2", **context))
    return card


def value_of(view: CardView, word: str = "") -> str:
    """What a button carries: which hold, which text of it was shown, and perhaps a word. The server knows the rest."""
    return f"{view.id} {view.digest} {word}".rstrip()


def style_of(view: CardView) -> str:
    """The colour of a heading; its words say the same."""
    return _RISKS[view.risk] if view.pending else _STYLES[view.tone]


def words(text: str, style: str = "") -> list[Run]:
    """A text from outside, as runs; nothing for an empty one."""
    if not text:
        return []
    found = unexpanded(spaced(text) if style == "mono" else text)
    return [{"text": piece, "style": style if number < _STYLED else "bare"} for number, piece in enumerate(found)]


def ours(text: str, style: str = "") -> Run:
    """Words of ours, dates in them, as one run."""
    return {"text": text, "style": style}


def runs(segments: Iterable[Segment], room: int = MOST_RUNS) -> list[Run]:
    """A passage, letter by letter and line by line. The first ``room`` runs show what matched; the others only the text."""
    found: list[Run] = []
    for segment in segments:
        style = "marked" if segment.marked else "italic" if segment.gap else "mono"
        found += ({"text": piece, "style": style} for piece in unexpanded(spaced(segment.text)))
    rest = "".join(run["text"] for run in found[room:])
    return [*found[:room], *({"text": piece, "style": "bare"} for piece in unexpanded(rest) if rest)]


def passages(pairs: Iterable[tuple[str, Sequence[Segment]]], *, label_units: int = 100) -> list[Row]:
    """Label and runs of each passage; the card's styled runs go to the first ones."""
    found: list[Row] = []
    room = MOST_RUNS
    for label, segments in pairs:
        shown = runs(segments, room)
        room -= min(len(shown), room)
        found.append({"label": words(clip(label, label_units), "bold"), "runs": shown})
    return found


def moment(at_ms: int) -> Run:
    """A time, which Teams shows in the reader's own zone and language."""
    text = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return ours(f"{{{{DATE({text}, SHORT)}}}} {{{{TIME({text})}}}}")


def fact_rows(found: Iterable[Fact], room: Room) -> list[list[Run]]:
    """Labelled lines, as many of each label as there is room for; some end in a time."""
    rows: list[list[Run]] = []
    seen: dict[str, int] = {}
    for fact in found:
        seen[fact.label] = seen.get(fact.label, 0) + 1
        if seen[fact.label] <= room.lines:
            at = [] if fact.at_ms is None else [moment(fact.at_ms)]
            rows.append([ours(f"{fact.label}  ", "bold"), *words(room.clip(fact.text)), *at])
    return rows


def said_rows(found: Iterable[Said], room: Room) -> list[Row]:
    """What people said, each in its own box."""
    return [
        {
            "label": [
                *words(room.clip(each.label), "bold"),
                *([] if each.at_ms is None else [ours("  "), moment(each.at_ms)]),
            ],
            "runs": words(room.clip(each.text)) or [ours(" ")],
        }
        for each in found
    ]


@dataclass(frozen=True, slots=True)
class Story:
    """What is said of a hold beside its texts, as long as a card with all the room would say it; made once for all rooms."""

    facts: Sequence[Fact]
    said: Sequence[Said]
    changed: Sequence[Changed]
    edits: int
    history: Sequence[tuple[int, str]]

    @classmethod
    def of(cls, view: CardView, found: Sequence[Fact], said: Sequence[Said]) -> Story:
        """With the facts and the texts that this card is to tell."""
        return cls(found, said, changed(view)[0], len(view.edits), history(view))

    def rows(self, room: Room) -> Row:
        """As much of it as there is room for, by the templates' names."""
        beyond = self.edits - min(len(self.changed), room.changes)
        history = self.history[-room.history :] if room.history else []
        return {
            "facts": fact_rows(self.facts, room),
            "said": said_rows(self.said, room),
            "edits": [
                {"label": words(room.clip(each.label), "bold"), "runs": words(clip(each.text, room.change), "mono")}
                for each in self.changed[: room.changes]
            ],
            "more_edits": f"{beyond} more edit{'' if beyond == 1 else 's'} in the inbox" if beyond else "",
            "history": [[ours("• "), moment(at_ms), ours("  "), *words(room.clip(text))] for at_ms, text in history],
        }
