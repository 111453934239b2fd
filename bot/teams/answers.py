"""`Answer` → a card, and sentences for one person as one. Pure but for reading the templates.

A table stands there row by row, ``approved 9 · rejected 2`` below each row's name: on a phone columns wrap, and what has
no blanks (a channel's id) runs over its neighbour in a ``Table`` element. A long one is text in columns; what does not fit
is cut at a line's end, and a line says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.answers import Answer, Table
from bot.cards import CardView
from bot.listing import columns, cut_note, runs_of, shortened
from bot.passages import Segment
from bot.teams.elements import (
    ENVELOPE_BYTES,
    MOST_BYTES,
    ROOMS,
    Card,
    Room,
    Row,
    Run,
    fitted,
    load,
    ours,
    runs,
    size_bytes,
    words,
)
from bot.teams.text import inert
from bot.units import clip
from holdpoint.visible import visible, visible_line

MOST_LISTED = 6  # holds in one answer
CODE_UNITS = 2_800
MOST_CODES = 3
CELL_UNITS = 80
ENTRY_UNITS = 300  # of a cell that stands below its row's name
_LINE_UNITS = 2_000
_SHORT = 100  # where there is less room for a text than this, fewer holds are listed, too
_NOTICE_LINES = 20
_ENTRY_ROOMS = 2  # with less room than these, a table is text in columns


def answer_card(answer: Answer) -> Card:
    """The answer to a command. One hold is shown with its text, several as a list."""
    most_bytes = MOST_BYTES - ENVELOPE_BYTES
    if answer.table is not None:
        for room in ROOMS[:_ENTRY_ROOMS]:
            card = _drawn(replace(answer, table=None), room, _entries(answer.table, room))
            if size_bytes(card) <= most_bytes:
                return card
    return fitted(lambda room: _drawn(answer, room, []), most_bytes)


def answer_summary(answer: Answer) -> str:
    """The line for notifications."""
    return inert(" ".join(answer.lines), 500) or "Holdpoint"


def notice_card(lines: Sequence[str], url: str = "") -> Card:
    """Sentences for one person, in which names are from outside, and perhaps where they confirm that it is them."""
    shown = [line for line in lines if line.strip()][:_NOTICE_LINES] or ["Done."]
    return fitted(
        lambda room: load("notice", lines=[words(room.clip(visible(line))) for line in shown], url=url),
        MOST_BYTES - ENVELOPE_BYTES,
    )


def _entries(table: Table, room: Room) -> list[list[Run]]:
    """Each row, its first cell as its name; labels are the header's, but where one says it all."""
    found: list[list[Run]] = []
    for row in table.rows:
        name, *cells = (clip(text, min(ENTRY_UNITS, room.text)) for text in row)
        entry = words(name, "bold") or [ours("–", "bold")]
        labels = table.header[1:] if len(cells) > 1 else [""] * len(cells)
        told = [(label, text) for label, text in zip(labels, cells, strict=True) if text]
        for at, (label, text) in enumerate(told):
            entry += [ours(" · " if at else "\n", "bare"), *([ours(f"{label} ", "subtle")] if label else [])]
            entry += words(text, "bare")
        found.append(entry)
    return found


def _drawn(answer: Answer, room: Room, entries: Sequence[list[Run]]) -> Card:
    lines = answer.lines or (
        ("Here you are.",) if answer.cards or entries or answer.table or answer.text else ("Done.",)
    )
    listed = answer.cards[: MOST_LISTED if room.text >= _SHORT else MOST_LISTED // 2]
    if len(answer.cards) > len(listed):
        lines = (*lines, f"The first {len(listed)} of {len(answer.cards)}; the inbox has them all.")
    length = min(CODE_UNITS, max(room.text * 2, 100))
    table = columns(answer.table, cell=min(CELL_UNITS, room.text)) if answer.table else []
    text = answer.text.splitlines()
    codes, left = runs_of(table, most=MOST_CODES - 1 if text else MOST_CODES, length=length)
    more, more_left = runs_of(text, most=MOST_CODES - len(codes), length=length)
    return load(
        "answer", entries=entries, lines=[words(line) for line in shortened(lines, min(_LINE_UNITS, room.text * 4))],
        codes=[words(code, "mono") for code in (*codes, *more)], cut=cut_note(left + more_left), confirm=answer.confirm,
        link=answer.link, link_says=answer.link_says,
        cards=[_card(card, room, whole=len(listed) == 1) for card in listed],
        picture=[ours("Picture: "), *words(room.clip(visible_line(answer.picture.title)))] if answer.picture else [],
    )  # fmt: skip


def _card(card: CardView, room: Room, *, whole: bool) -> Row:
    status = [
        ("Status", card.state_sentence),
        ("Requester", card.requester),
        ("Groups", ", ".join(card.requester_groups)),
        ("Connection", card.connection),
        ("Model", card.model),
        ("Environment", card.environment),
        ("Id", card.id),
    ]
    segments: Sequence[Segment] = [Segment(card.preview)] if card.preview else []
    if whole and card.parts:
        segments = card.parts[0].segments
    return {
        "facts": [_fact(label, text, room) for label, text in status if text.strip()],
        "runs": runs(segments),
        "url": card.url,
    }


def _fact(label: str, text: str, room: Room) -> list[Run]:
    return [ours(f"{label}  ", "bold"), *words(clip(text, min(200, room.text)))]
