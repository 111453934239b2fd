"""Modals, through ``templates/slack/``. Pure but for reading the templates. Limits as in render.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.cards import CardView, PartView
from bot.pages import Passage, pages_of
from bot.slack.blocks import MOST_RUNS, PAGE_UNITS, Row, load, rows, runs, value_of
from bot.units import clip

Modal = dict[str, Any]

PAGE_PASSAGES = 4


def edit_modal(
    view: CardView, inputs: Sequence[tuple[str, PartView]], elsewhere: Sequence[str], *, whole: bool
) -> Modal:  # fmt: skip
    """``inputs``: block id and part of everything that can be edited here; ``elsewhere``: why the rest cannot.

    ``whole``: the reviewer has every text before their eyes, here or on the card.
    """
    fields = [{"block": block, "label": clip(part.label, 150), "text": part.text} for block, part in inputs]
    return _modal(
        "slack/edit.json.j2", value=f"{value_of(view)} {'whole' if whole else 'part'}", facts=modal_facts(view),
        inputs=fields, elsewhere=[clip(sentence, 300) for sentence in elsewhere], url=view.url,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PageOf:
    """One page of everything that is held: ``page`` of ``pages``, from 1."""

    modal: Modal
    page: int
    pages: int


def view_modal(view: CardView, page: int, *, revealed: bool = False, note: str = "") -> PageOf:
    """Page ``page`` (from 1; one beyond the last is the last) of everything that is held, below ``note``."""
    pages = pages_of(view, passage_units=PAGE_UNITS, most_segments=MOST_RUNS, passages=PAGE_PASSAGES)
    page = max(1, min(page, len(pages)))
    modal = _modal(
        "slack/reveal.json.j2" if revealed else "slack/view.json.j2",
        value=value_of(view), url=view.url, page=page, pages=len(pages), items=_items(pages[page - 1]),
        heading=f"{clip(view.requester_line, 300)} · page {page} of {len(pages)}", note=note,
    )  # fmt: skip
    return PageOf(modal, page, len(pages))


def modal_facts(view: CardView) -> list[Row]:
    return rows(
        [("Requester", clip(view.requester, 200)), ("Why", clip(view.title, 300)), ("Model", clip(view.model, 150))]
    )


def _items(page: Sequence[Passage]) -> list[dict[str, Any]]:
    pairs = [({"label": clip(each.label, 150)}, {"runs": runs(each.segments)}) for each in page]
    return [item for pair in pairs for item in pair]


def _modal(template: str, **context: Any) -> Modal:
    view: Modal = load(template, **context)
    return view
