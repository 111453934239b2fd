"""``home``, typed in Teams: one person's queue, their requests, and for admins how things stand; as one card.

The counterpart of Slack's App Home (bot/slack/home.py), drawn when it is asked for. Holds are read here, and decided in
their cards or in the inbox: a card in this chat is a page, not a copy of a hold's card that anybody keeps true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot import requester_facts
from bot.answers import Answer
from bot.cards import CardView
from bot.dashboard import MEDIAN_DAYS, QUIET_WORDS, Dashboard, Dashboards, Overview
from bot.facts import Fact
from bot.pieces import Action
from bot.sentences import duration
from bot.teams import buttons
from bot.teams.elements import ENVELOPE_BYTES, MOST_BYTES, Card, Room, Row, Run, fact_rows, fitted, load, runs
from bot.units import clip
from bot.visibility import groups_of
from holdpoint.model import Reviewer
from holdpoint.visible import visible_line

WORD = "home"
CHARACTERS = 300  # of a request's texts
MOST_ITEMS = 5  # of the queue, and of one's own
MOST_FAILING = 5
MOST_ABSENCES = 3  # `away` lists them all
SUMMARY = "Your page in Holdpoint"


@dataclass
class Home:
    """Runs the one command ``home`` (see `bot.typed.Runs`), and leaves its ``card``."""

    dashboards: Dashboards
    link_base: str
    card: Card | None = None

    async def run(self, text: str, reviewer: Reviewer, *, place: str = "") -> Answer:
        """Gather the page of ``reviewer``.

        Raises:
            StoreUnavailable: Redis is lost.
        """
        del text, place
        self.card = home_card(await self.dashboards.of(reviewer, since_ms=0), url=f"{self.link_base}/review")
        return Answer(True, (SUMMARY,))


async def no_median(_days: int) -> int | None:
    """A `bot.dashboard.MedianOf` where the ledger is not at hand."""
    return None


def home_card(page: Dashboard, *, url: str) -> Card:
    """The whole page. Pure but for reading the template."""
    return fitted(lambda room: load("home", home=_home(page, room, url)), MOST_BYTES - ENVELOPE_BYTES)


def _home(page: Dashboard, room: Room, url: str) -> Row:
    return {
        "you": fact_rows(_you(page), room),
        "queue": _queue(page, room) if page.queued or groups_of(page.person) else None,
        "own": {
            "heading": "Your requests" if page.own else "No requests of yours were held lately",
            "items": [_item(_request(card), card, room, []) for card in page.own[: _most(room)]],
        },
        "overview": fact_rows(_overview(page.overview), room) if page.overview else [],
        "failing": _failing(page.overview, room) if page.overview else [],
        "url": url,
    }


def _you(page: Dashboard) -> list[Fact]:
    groups = visible_line(", ".join(sorted(page.person.groups)))
    return [
        Fact("You are", visible_line(page.person.principal)),
        Fact("Groups", groups or "none. To review requests, ask an admin of Holdpoint to put you into a group."),
        *(Fact(label, visible_line(text)) for label, text in page.absence[:MOST_ABSENCES]),
        Fact("Messages", f"{QUIET_WORDS[page.quiet]} (quiet all, quiet decisions, quiet none)"),
    ]


def _queue(page: Dashboard, room: Room) -> Row:
    shown = page.queue[: _most(room)]
    left = page.queued - len(shown)
    return {
        "heading": f"For you to decide: {page.queued:,}" if page.queued else "Nothing waits for you",
        "style": "warning" if page.queued else "good",
        "items": [_item(_waiting(card), card, room, buttons.for_page(card)) for card in shown],
        "note": f"{left:,} more, less urgent: they move up as you decide, and the inbox has them all." if left else "",
    }


def _most(room: Room) -> int:
    return min(MOST_ITEMS, room.lines)


def _item(found: Sequence[Fact], card: CardView, room: Room, actions: Sequence[Row]) -> Row:
    is_waiting = bool(actions)
    passage: list[Run] = runs(card.parts[0].segments) if is_waiting and card.parts and room.text > 12 else []
    return {"facts": fact_rows(found, room), "runs": passage, "actions": actions}


def _waiting(card: CardView) -> list[Fact]:
    if card.paused_ms is not None:
        until = Fact("Clock", "stands until the requester answers, since ", card.paused_ms)
    else:
        until = Fact("Decide by", "⏳ ", card.deadline_ms)
    said = " ".join(card.justification.split())
    return [
        Fact("From", clip(card.requester_line, 400)),
        Fact("Why", clip(card.title, 250)),
        Fact("Risk", card.risk.value),
        until,
        *([Fact("On it", card.claim.name)] if card.claim else []),
        *([Fact("The requester says", clip(said, 250))] if said else []),
        *([Fact("Not all shown", card.left_out)] if card.left_out and Action.VIEW not in card.actions else []),
        Fact("Id", card.id),
    ]


def _request(card: CardView) -> list[Fact]:
    found = [
        Fact(requester_facts.title(card), "sent ", card.created_ms),
        Fact("To", clip(" → ".join(filter(None, (card.model, card.connection))), 250)),
        Fact("Text", card.preview),
        Fact("Status", clip(card.state_sentence, 300)),
        Fact("Id", card.id),
    ]
    return [fact for fact in found if fact.text.strip()]


def _overview(overview: Overview) -> list[Fact]:
    median = duration(overview.median_ms) if overview.median_ms is not None else "not known"
    return [
        Fact("Held now", f"{overview.held:,}"),
        Fact(f"Median time to decision, {MEDIAN_DAYS} days", median),
        Fact("Policy", f"version {overview.policy_version}" if overview.policy_version else "none: all is refused"),
        Fact("Routes", f"{overview.routes:,}" if overview.routes else "none: cards are in the web inbox only"),
        Fact("Failing channels", f"{len(overview.failing)}" if overview.failing else "none"),
    ]


def _failing(overview: Overview, room: Room) -> list[list[Run]]:
    found = [
        Fact(clip(visible_line(each.target), 150), f"{clip(visible_line(each.text), 300)} ", each.at_ms)
        for each in overview.failing[:MOST_FAILING]
    ]
    return fact_rows(found, room)
