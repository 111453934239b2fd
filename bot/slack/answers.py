"""`Answer` → blocks of an ephemeral message, through ``templates/slack/answer.json.j2``. Pure but for reading the template.

A message has room for some 13,000 characters. What does not fit is cut at a line's end, and a line says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.answers import Answer, Table
from bot.cards import CardView
from bot.passages import Segment
from bot.slack.blocks import Blocks, load, rows, runs, who
from bot.slack.text import clip, inert, units

MOST_LISTED = 6  # holds in one answer
CODE_UNITS = 2_800
MOST_CODES = 3
CELL_UNITS = 80
_LINE_UNITS = 2_000


def answer_blocks(answer: Answer) -> Blocks:
    """The answer to a command. One hold is shown with its text, several as a list."""
    lines = answer.lines or (("Here you are.",) if answer.cards or answer.table or answer.text else ("Done.",))
    listed = answer.cards[:MOST_LISTED]
    if len(answer.cards) > MOST_LISTED:
        lines = (*lines, f"The first {MOST_LISTED} of {len(answer.cards)}; the inbox has them all.")
    columns = _columns(answer.table) if answer.table else []
    text = answer.text.splitlines()
    codes, left = _codes(columns, MOST_CODES - 1 if text else MOST_CODES)
    more, more_left = _codes(text, MOST_CODES - len(codes))
    blocks: Blocks = load(
        "slack/answer.json.j2", lines=_shortened(lines), codes=[*codes, *more], cut=_cut(left + more_left),
        cards=[_card(card, whole=len(listed) == 1) for card in listed], confirm=answer.confirm,
    )  # fmt: skip
    return blocks


def answer_text(answer: Answer) -> str:
    """The line for notifications and screen readers."""
    return inert(" ".join(answer.lines), 1_500) or "Holdpoint"


def _shortened(lines: Sequence[str]) -> list[str]:
    """The lines in `_LINE_UNITS` together; at least the beginning of the first."""
    kept: list[str] = []
    room = _LINE_UNITS
    for line in lines:
        if room <= 1:
            break
        kept.append(clip(line, room) or " ")
        room -= units(line) + 1
    return kept


def _card(card: CardView, *, whole: bool) -> dict[str, object]:
    status = [("Status", clip(card.state_sentence, 200)), *who(card), ("Id", card.id)]
    segments: Sequence[Segment] = [Segment(card.preview)] if card.preview else []
    if whole and card.parts:
        segments = card.parts[0].segments
    return {"facts": rows(status), "runs": runs(segments), "url": card.url}


def _columns(table: Table) -> list[str]:
    shown = [[clip(cell, CELL_UNITS) for cell in line] for line in (table.header, *table.rows) if any(line)]
    widths = [max((len(line[column]) for line in shown), default=0) for column in range(len(table.header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in shown]


def _codes(lines: Sequence[str], most: int) -> tuple[list[str], int]:
    """``lines`` in at most ``most`` runs of `CODE_UNITS`, and how many lines are left out."""
    found: list[list[str]] = []
    room = 0
    for number, line in enumerate(lines):
        fitting = clip(line, CODE_UNITS - 1)
        needed = units(fitting) + 1
        if needed > room:
            if len(found) == most:
                return ["\n".join(each) for each in found], len(lines) - number
            found.append([])
            room = CODE_UNITS
        found[-1].append(fitting)
        room -= needed
    return ["\n".join(each) or " " for each in found], 0


def _cut(left: int) -> str:
    if not left:
        return ""
    return f"{left:,} more line{'' if left == 1 else 's'} left out here. holdpoint run, on the command line, shows all."
