"""Modals and answers to commands, through ``templates/slack/``. Pure but for reading the templates. Limits as in render.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bot.cards import CardView, PartView
from bot.commands import Answer, Table
from bot.passages import Segment
from bot.slack.render import MOST_RUNS, PAGE_UNITS, Blocks, Row, load, rows, runs, value_of, who
from bot.slack.text import clip, clip_escaped, head, units

Modal = dict[str, Any]

MOST_LISTED = 6  # holds in an answer to a command
PAGE_PASSAGES = 4


def reject_modal(view: CardView) -> Modal:
    return _modal("slack/reject.json.j2", value=value_of(view), facts=_modal_facts(view))


def edit_modal(view: CardView, inputs: Sequence[tuple[str, PartView]], elsewhere: Sequence[str]) -> Modal:
    """``inputs``: block id and part of everything that can be edited here; ``elsewhere``: why the rest cannot."""
    fields = [{"block": block, "label": clip(part.label, 150), "text": part.text} for block, part in inputs]
    return _modal(
        "slack/edit.json.j2", value=value_of(view), facts=_modal_facts(view), inputs=fields,
        elsewhere=[clip(sentence, 300) for sentence in elsewhere], url=view.url,
    )  # fmt: skip


def view_modal(view: CardView, page: int) -> Modal:
    """Page ``page`` (from 1) of everything that is held."""
    pages = _pages(view)
    page = max(1, min(page, len(pages)))
    return _modal(
        "slack/view.json.j2", value=value_of(view), url=view.url, page=page, pages=len(pages), items=pages[page - 1],
        heading=f"{clip(view.requester_line, 300)} · page {page} of {len(pages)}",
    )  # fmt: skip


def answer_blocks(answer: Answer) -> Blocks:
    """The answer to a command. One hold is shown with its text, several as a list."""
    heading = clip("\n".join(answer.lines), 2_000) or ("Here you are." if answer.cards or answer.table else "Done.")
    listed = answer.cards[:MOST_LISTED]
    if len(answer.cards) > MOST_LISTED:
        heading += f"\nThe first {MOST_LISTED} of {len(answer.cards)}; the inbox has them all."
    cards = [
        {"facts": rows([("Status", clip(card.state_sentence, 200)), *who(card), ("Id", card.id)]),
         "runs": runs(_passage(card) if len(listed) == 1 else _preview(card)), "url": card.url}
        for card in listed
    ]  # fmt: skip
    table = clip(_columns(answer.table), 2_800) if answer.table else ""
    blocks: Blocks = load("slack/answer.json.j2", heading=heading, table=table, cards=cards)
    return blocks


def answer_text(answer: Answer) -> str:
    return clip_escaped(" ".join(answer.lines), 1_500) or "Holdpoint"


def _modal_facts(view: CardView) -> list[Row]:
    return rows(
        [("Requester", clip(view.requester, 200)), ("Why", clip(view.title, 300)), ("Model", clip(view.model, 150))]
    )


def _pages(view: CardView) -> list[list[dict[str, Any]]]:
    """The parts as pages of a few passages each."""
    items: list[list[dict[str, Any]]] = []
    for part in view.parts:
        label = {"label": clip(part.label, 150)}
        items += ([label, {"runs": passage}] for passage in _passages(part.segments))
    grouped = [items[at : at + PAGE_PASSAGES] for at in range(0, len(items), PAGE_PASSAGES)] or [[]]
    return [[item for pair in group for item in pair] for group in grouped]


def _passages(segments: Iterable[Segment]) -> list[list[dict[str, Any]]]:
    """Segments as passages of at most `PAGE_UNITS` and `MOST_RUNS` each."""
    found: list[list[dict[str, Any]]] = []
    room = 0
    for segment in segments:
        text = segment.text
        while text:
            if room <= 0 or len(found[-1]) >= MOST_RUNS:
                found.append([])
                room = PAGE_UNITS
            # A surrogate pair may not fit into the last unit: at least one character moves on.
            piece = head(text, max(room, 2))
            found[-1].append({"text": piece, "marked": segment.marked, "gap": segment.gap})
            room -= units(piece)
            text = text[len(piece) :]
    return found


def _preview(view: CardView) -> list[Segment]:
    return [Segment(view.preview)] if view.preview else []


def _passage(view: CardView) -> Sequence[Segment]:
    return view.parts[0].segments if view.parts else ()


def _columns(table: Table) -> str:
    lines = [line for line in (table.header, *table.rows) if any(line)]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(len(table.header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _modal(template: str, **context: Any) -> Modal:
    view: Modal = load(template, **context)
    return view
