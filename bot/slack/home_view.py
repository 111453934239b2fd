"""`Dashboard` → the blocks of App Home, through ``templates/slack/``. Pure but for reading the templates.

Slack allows 100 blocks and 250 kB; with ten cards in the queue, ten requests and ten failing channels there are at most
89 blocks, and each text has its length.
"""

from __future__ import annotations

from typing import Any

from bot.cards import CardView
from bot.dashboard import MEDIAN_DAYS, QUIET_WORDS, Dashboard, Overview
from bot.requester_facts import TITLES
from bot.sentences import duration
from bot.slack.blocks import Row, load, moment, rows, runs, words
from bot.slack.render import buttons
from bot.units import clip
from bot.visibility import groups_of
from holdpoint.model import Reviewer
from holdpoint.visible import visible_line

MOST_FAILING = 9
MOST_ABSENCES = 5


def home_view(page: Dashboard) -> dict[str, Any]:
    """The whole view, for ``views.publish``."""
    home = {
        "you": [*_you(page.person), *_absence(page)],
        "queue": _queue(page) if page.queued or groups_of(page.person) else None,
        "own": _own(page),
        "quiet": {
            "options": [{"text": text, "value": level.value, "more": ""} for level, text in QUIET_WORDS.items()],
            "chosen": page.quiet.value,
        },
        "overview": _overview(page.overview) if page.overview else [],
        "failing": _failing(page.overview) if page.overview else [],
    }
    view: dict[str, Any] = load("slack/home.json.j2", home=home)
    return view


def stranger_view(why: str) -> dict[str, Any]:
    """For somebody whom Holdpoint does not know: what to do about it."""
    view: dict[str, Any] = load("slack/home_stranger.json.j2", why=clip(why, 500))
    return view


def _you(person: Reviewer) -> list[Row]:
    groups = clip(visible_line(", ".join(sorted(person.groups))), 500)
    return rows(
        [
            ("You are", clip(visible_line(person.principal), 200)),
            ("Groups", groups or "none. To review requests, ask an admin of Holdpoint to put you into a group."),
        ]
    )


def _absence(page: Dashboard) -> list[Row]:
    shown = page.absence[:MOST_ABSENCES]
    beyond = len(page.absence) - len(shown)
    more = [("Standing in", f"and for {beyond:,} more people: /holdpoint away")] if beyond else []
    return rows([*((label, clip(visible_line(text), 300)) for label, text in shown), *more])


def _queue(page: Dashboard) -> Row:
    left = page.queued - len(page.queue)
    return {
        "heading": f"For you to decide: {page.queued:,}" if page.queued else "Nothing waits for you",
        "items": [_queued(card) for card in page.queue],
        "note": f"{left:,} more, less urgent: they move up as you decide, and the inbox has them all." if left else "",
    }


def _queued(card: CardView) -> Row:
    first, second, menu = buttons(card)
    facts = rows(
        [
            ("Why", clip(card.title, 250)),
            ("Risk", card.risk.value),
            ("Status", clip(card.state_sentence, 300)),
            ("Decide by", "⏳ " if card.paused_ms is None else ""),
            ("Clock", "stands until the requester answers, since " if card.paused_ms is not None else ""),
            ("On it", clip(card.claim.name, 100) if card.claim else ""),
            ("The requester says", clip(" ".join(card.justification.split()), 250)),
        ]
    )
    ends = {"Decide by": card.deadline_ms, "Clock": card.paused_ms}
    return {
        "line": clip(card.requester_line, 400),
        "facts": [{**row, "at": moment(at) if (at := ends.get(row["label"])) is not None else None} for row in facts],
        "runs": runs(card.parts[0].segments) if card.parts and card.parts[0].plain.strip() else [],
        "note": _left_out(card),
        "first": first,
        "second": second,
        "menu": menu,
        "url": card.url,
    }


def _left_out(card: CardView) -> str:
    if card.needs_full_view:
        return f"Read it in full before approving. {card.left_out}: View full"
    return f"{card.left_out}: View full" if card.left_out else ""


def _own(page: Dashboard) -> Row:
    return {
        "heading": "Your requests" if page.own else "No requests of yours were held lately",
        "items": [_request(card) for card in page.own],
        "note": "" if page.own else "Requests that wait for a review, and what became of them, appear here.",
    }


def _request(card: CardView) -> Row:
    asked = card.open_question if card.pending else None
    facts = rows(
        [
            ("Sent by", clip(card.requester, 200)),
            ("To", clip(" → ".join(filter(None, (card.model, card.connection))), 250)),
            ("Text", card.preview),
            ("Status", clip(card.state_sentence, 300)),
            ("Reason", clip(" ".join(card.reason.split()), 250)),
        ]
    )
    return {
        "facts": [{"label": TITLES[card.state], "value": "sent ", "at": moment(card.created_ms)}, *facts],
        "question": {"label": f"{clip(asked.by, 80)} asks", "runs": words(asked.text, 500)} if asked else None,
        "value": f"{card.id} {card.digest}" if card.pending else "",
    }


def _overview(overview: Overview) -> list[Row]:
    median = duration(overview.median_ms) if overview.median_ms is not None else "not known"
    failing = len(overview.failing)
    beyond = f", {failing - MOST_FAILING} of them not shown here" if failing > MOST_FAILING else ""
    return rows(
        [
            ("Held now", f"{overview.held:,}"),
            (f"Median time to decision, {MEDIAN_DAYS} days", median),
            ("Policy", f"version {overview.policy_version}" if overview.policy_version else "none: all is refused"),
            ("Routes", f"{overview.routes:,}" if overview.routes else "none: cards are in the web inbox only"),
            ("Failing channels", f"{failing}{beyond}" if failing else "none"),
        ]
    )


def _failing(overview: Overview) -> list[Row]:
    return [
        {
            "label": clip(visible_line(each.target), 150),
            "runs": words(visible_line(each.text), 400),
            "at": moment(each.at_ms),
        }
        for each in overview.failing[:MOST_FAILING]
    ]
