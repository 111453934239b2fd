"""Every card and dialog of Teams in which text appears, as functions of one hold; and what a card says, walked through."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.answers import Answer, Picture, Table, inert
from bot.inputs import editable
from bot.shared_views import BundleView, DigestView, digest_line
from bot.teams import render
from bot.teams.answers import answer_summary
from bot.teams.forms import INPUT_UNITS, MOST_INPUTS
from holdpoint.model import Hold, Reviewer, State
from holdpoint.visible import visible
from tests.bot.slack.surfaces import LINK, MASKS, NOW, agent_with, hold_with, seen
from tests.fakes.teams.cards import card_problems

__all__ = ["LINK", "MASKS", "NOW", "SURFACES", "Json", "Surface", "agent_with", "hold_with", "problems", "seen"]

Json = dict[str, Any]
STRANGER = Reviewer("stranger@example.com", frozenset(), frozenset(), "teams", "Str")
# What clients expand, as https://github.com/microsoft/AdaptiveCards does: in text blocks and in text runs alike.
EXPANDED = re.compile(r"\{\{\s*(?:DATE|TIME)\s*\([^{}]*\)\s*\}\}", re.IGNORECASE)
OURS = re.compile(
    r"\{\{(?:DATE\(20(?:1[7-9]|2\d)-\d\d-\d\dT\d\d:\d\d:\d\dZ, SHORT|TIME\(20(?:1[7-9]|2\d)-\d\d-\d\dT\d\d:\d\d:\d\dZ)\)\}\}"
)


@dataclass(frozen=True)
class Surface:
    """What is sent: cards (the pages after the first behind it), and the line for notifications (None in a dialog)."""

    cards: tuple[Json, ...]
    text: str | None = None
    dialog: bool = False


def problems(surface: Surface) -> list[str]:
    """What Teams would refuse of it."""
    return [problem for card in surface.cards for problem in card_problems(card, dialog=surface.dialog)]


def inlines_of(thing: Any) -> Iterator[list[Any]]:
    """The runs of every RichTextBlock."""
    for each in thing if isinstance(thing, list) else thing.values() if isinstance(thing, dict) else ():
        if isinstance(each, dict) and each.get("type") == "RichTextBlock":
            yield each["inlines"]
        yield from inlines_of(each)


def text_of(run: Any) -> str:
    return run if isinstance(run, str) else str(run["text"])


def said(card: Json) -> str:
    """All that the card's runs and blocks say, line by line; dates as they are sent."""
    return "\n".join(_said(card.get("body", [])))


def _said(elements: list[Json]) -> Iterator[str]:
    for element in elements:
        if element["type"] == "RichTextBlock":
            yield "".join(text_of(run) for run in element["inlines"]).replace("\u00a0", " ")
        elif element["type"] == "TextBlock":
            yield element["text"]
        yield from _said(element.get("items", []))


def _pages(hold: Hold, *, revealed: bool) -> Surface:
    view = seen(hold, limit=None)
    first, _, pages = render.view_dialog(view, 1, revealed=revealed, note="Read it.")
    rest = [
        render.view_dialog(view, number, revealed=revealed)[0]
        for number in {2, pages - 1, pages} - {0, 1}
        if number <= pages
    ]
    return Surface((first, *rest), dialog=True)


def _edit(hold: Hold) -> Surface:
    view = seen(hold, limit=None)
    return _dialog(render.edit_dialog(view, *editable(view, hold, longest=INPUT_UNITS, most=MOST_INPUTS), whole=False))


def _dialog(card: Json) -> Surface:
    return Surface((card,), dialog=True)


def _grant(hold: Hold) -> Surface:
    limits = hold.evaluation.terms.grant
    assert limits is not None
    return _dialog(render.grant_dialog(seen(hold), limits, ["contractors"], whole=False))


def _answer(hold: Hold) -> Surface:
    text = hold.query.model
    answer = Answer(
        True, (text, "x"), Table(("a", "b"), ((text, "c"),)), (seen(hold),), text=text, confirm="confirm c0ffee",
        picture=Picture(b"", text),
    )  # fmt: skip
    shown = inert(answer, MASKS)
    return Surface((render.answer_card(shown),), answer_summary(shown))


def _bundle_of(hold: Hold) -> BundleView:
    return BundleView("b1", seen(hold), ("h1", "h2"), ((State.CANCELLED, 1),))


def _digest_of(hold: Hold) -> DigestView:
    line = digest_line(seen(hold))
    lines = (line, replace(line, senders=frozenset({STRANGER.principal})), line)
    return DigestView("b2", lines, f"{LINK}/review", more=2)


def _bundle(hold: Hold) -> Surface:
    bundle = _bundle_of(hold)
    return Surface((render.bundle_card(bundle),), render.bundle_summary(bundle))


def _own_bundle(hold: Hold) -> Surface:
    return Surface((render.bundle_card_for(_bundle_of(hold), _sender(hold)),))


def _refused_bundle(hold: Hold) -> Surface:
    why = f"Only {visible(hold.query.model)} may."
    return Surface((render.bundle_card_for(_bundle_of(hold), STRANGER, why),))


def _digest(hold: Hold) -> Surface:
    view = _digest_of(hold)
    return Surface((render.digest_card(view),), render.digest_summary(view))


def _own_digest(hold: Hold) -> Surface:
    why = f"Only {visible(hold.query.model)} may."
    return Surface((render.digest_card_for(_digest_of(hold), STRANGER, why),))


def _sender(hold: Hold) -> Reviewer:
    return Reviewer(hold.requester.principal, frozenset(), frozenset(), "teams", "Dana")


def _own(hold: Hold) -> Surface:
    return Surface((render.card_for(seen(hold), _sender(hold)),))


def _refused(hold: Hold) -> Surface:
    view = replace(seen(hold), may_not_decide=f"Already approved by {visible(hold.query.model)}.", actions=())
    return Surface((render.card_for(view, STRANGER),))


SURFACES: Mapping[str, Callable[[Hold], Surface]] = {
    "card": lambda hold: Surface((render.card(seen(hold)),), render.summary(seen(hold))),
    "own": _own,
    "may not decide": _refused,
    "dm": lambda hold: Surface((render.dm_card(seen(hold)),), render.dm_summary(seen(hold))),
    "bundle": _bundle,
    "own bundle": _own_bundle,
    "bundle may not decide": _refused_bundle,
    "digest": _digest,
    "own digest": _own_digest,
    "sample": lambda hold: Surface((render.sample_card(seen(hold)),)),
    "view full": lambda hold: _pages(hold, revealed=False),
    "reveal": lambda hold: _pages(hold, revealed=True),
    "edit": _edit,
    "reject": lambda hold: _dialog(render.reject_dialog(seen(hold), seen(hold).reasons)),
    "reject all": lambda hold: _dialog(render.bulk_reject_dialog("b1 x", 3, seen(hold).reasons)),
    "ask": lambda hold: _dialog(render.ask_dialog(seen(hold), pauses=True)),
    "grant": _grant,
    "justify": lambda hold: _dialog(render.justify_dialog(seen(hold))),
    "answer a question": lambda hold: _dialog(
        render.answer_dialog(seen(hold), hold.questions[-1], visible(hold.questions[-1].text))
    ),
    "answer to a command": _answer,
    "notice": lambda hold: Surface((render.notice_card([f"By {visible(hold.query.model)}."]),)),
}
