"""What cards, messages and modals of Slack are made of: rows, runs, moments; and the way to the templates.

Two rules keep a text from outside inert (promise 7). It stands in ``rich_text``, which Slack never parses; headers,
notes and buttons (``plain_text``) hold only words of ours. The one exception is a message's top-level ``text``, the line
for notifications, which goes through `bot.slack.text.inert`. Pure but for reading the templates.

Limits are Slack's (3,000 a text, 50 blocks, and about 13,000 for all texts of a message, which Slack enforces but does
not document), with a margin, in UTF-16 units.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bot import facts
from bot.passages import Segment
from bot.templates import render
from bot.units import clip, pieces
from bot.views import CardView

Blocks = list[dict[str, Any]]
Row = dict[str, Any]

MOST_RUNS = 200  # runs of one passage; what comes after them is shown, but its marks are not
PAGE_UNITS = 2_500


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


def runs(segments: Iterable[Segment]) -> list[Row]:
    """Segments as text elements of at most Slack's length."""
    found: list[Row] = [
        {"text": piece, "marked": segment.marked, "gap": segment.gap}
        for segment in segments
        for piece in pieces(segment.text, PAGE_UNITS)
    ]
    if len(found) > MOST_RUNS:
        rest = "".join(run["text"] for run in found[MOST_RUNS:])
        found[MOST_RUNS:] = [{"text": piece, "marked": False, "gap": False} for piece in pieces(rest, PAGE_UNITS)]
    return found


def words(text: str, most: int) -> list[Row]:
    """What a person typed, in at most ``most`` units, as runs; nothing for an empty text."""
    shown = clip(text, most)
    return runs([Segment(shown)]) if shown.strip() else []


def moment(at_ms: int) -> Row:
    """A time for Slack to show in the reader's own zone, and in UTC where it cannot."""
    text = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"at_s": at_ms // 1000, "at_words": text}


def fact_rows(found: Iterable[facts.Fact]) -> list[Row]:
    """Labelled lines for the template, some with a time at their end."""
    return [
        {"label": fact.label, "value": fact.text, "at": None if fact.at_ms is None else moment(fact.at_ms)}
        for fact in found
    ]


def said_rows(found: Iterable[facts.Said]) -> list[Row]:
    """What people said, each behind its own bar: several lines stay where they belong."""
    return [
        {
            "label": each.label,
            "runs": runs([Segment(each.text)]),
            "at": None if each.at_ms is None else moment(each.at_ms),
        }
        for each in found
    ]


def history(view: CardView) -> list[Row]:
    """What people did."""
    return [{**moment(at_ms), "text": text} for at_ms, text in facts.history(view)]


def edits(view: CardView) -> tuple[list[Row], str]:
    """The first diffs, and how many there are beyond."""
    shown, more = facts.changed(view)
    return [{"label": each.label, "text": each.text} for each in shown], more
