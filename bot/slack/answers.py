"""`Answer` → blocks of an ephemeral message, through ``templates/slack/answer.json.j2``. Pure but for reading the template.

A message has room for some 13,000 characters. What does not fit is cut at a line's end, and a line says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.answers import Answer
from bot.cards import CardView
from bot.listing import columns, cut_note, runs_of, shortened
from bot.passages import Segment
from bot.slack.blocks import Blocks, load, rows, runs, who
from bot.slack.text import inert
from bot.units import clip

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
    table = columns(answer.table, cell=CELL_UNITS) if answer.table else []
    text = answer.text.splitlines()
    codes, left = runs_of(table, most=MOST_CODES - 1 if text else MOST_CODES, length=CODE_UNITS)
    more, more_left = runs_of(text, most=MOST_CODES - len(codes), length=CODE_UNITS)
    blocks: Blocks = load(
        "slack/answer.json.j2", lines=shortened(lines, _LINE_UNITS), codes=[*codes, *more], cut=cut_note(left + more_left),
        cards=[_card(card, whole=len(listed) == 1) for card in listed], confirm=answer.confirm, link=answer.link,
        link_says=answer.link_says,
    )  # fmt: skip
    return blocks


def answer_text(answer: Answer) -> str:
    """The line for notifications and screen readers."""
    return inert(" ".join(answer.lines), 1_500) or "Holdpoint"


def _card(card: CardView, *, whole: bool) -> dict[str, object]:
    status = [("Status", clip(card.state_sentence, 200)), *who(card), ("Id", card.id)]
    segments: Sequence[Segment] = [Segment(card.preview)] if card.preview else []
    if whole and card.parts:
        segments = card.parts[0].segments
    return {"facts": rows(status), "runs": runs(segments), "url": card.url}
