"""``pending``, ``show``, ``approve``, ``reject``: what a reviewer does without a card."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.admin.office import Access, Call, Command, Office, command
from bot.answers import Answer, refusal
from bot.cards import CardView, card_view
from bot.presence import off_sentence
from bot.visibility import may_see
from holdpoint.errors import NotFound
from holdpoint.model import DecisionKind, Hold, Reviewer, State

_HOLD_ID = re.compile(r"[a-z0-9]{8,64}")
_CARD_CHARACTERS = 2_000
_MOST_PENDING = 20
_SCANNED = 500
_PAGE = 100
UNKNOWN = refusal("There is no such hold, or it is not for you to see.")


async def _pending(office: Office, call: Call) -> Answer:
    """The newest that this person may see; of one group: its requests, and those that wait for it."""
    group = call.get("group")
    found: list[Hold] = []
    cursor: str | None = None
    scanned = 0
    while True:
        page, cursor = await office.store.holds.list(state=State.PENDING, limit=_PAGE, cursor=cursor)
        scanned += len(page)
        found += [hold for hold in page if may_see(hold, call.by) and (not group or _concerns(hold, group))]
        if cursor is None or len(found) > _MOST_PENDING or scanned >= _SCANNED:
            break
    of = f" of {group}" if group else ""
    if not found:
        return Answer(True, (f"Nothing{of} waits for a decision.",))
    whole = cursor is None and len(found) <= _MOST_PENDING
    line = f"{len(found)}{of} waiting." if whole else f"The newest {min(len(found), _MOST_PENDING)}{of}."
    return Answer(True, (line,), cards=_cards(office, found[:_MOST_PENDING], call.by))


async def _show(office: Office, call: Call) -> Answer:
    hold = await visible_hold(office, call["id"], call.by)
    return UNKNOWN if hold is None else Answer(True, cards=_cards(office, [hold], call.by))


async def _approve(office: Office, call: Call) -> Answer:
    """Approve the text that the id stands for. Where somebody has edited it since, the person sees it first."""
    hold = await visible_hold(office, call["id"], call.by)
    if hold is None:
        return UNKNOWN
    question = await unless_unedited(office, call, hold)
    if question is not None:
        return question
    (card,) = _cards(office, [hold], call.by)
    return await _decided(office, call, hold, card, DecisionKind.APPROVE, call.get("note"))


async def _reject(office: Office, call: Call) -> Answer:
    hold = await visible_hold(office, call["id"], call.by)
    if hold is None:
        return UNKNOWN
    (card,) = _cards(office, [hold], call.by)
    return await _decided(office, call, hold, card, DecisionKind.REJECT, call["reason"])


async def _decided(office: Office, call: Call, hold: Hold, card: CardView, kind: DecisionKind, reason: str) -> Answer:
    """Decide on what ``card`` shows; one that is cut does not count as seen.

    Raises:
        DecisionError: why it does not count; who won, when it comes too late.
    """
    decided = await office.decider.decide(
        hold.id, call.by, kind, digest=hold.digest, reason=reason, seen_whole=_is_whole(card)
    )
    (after,) = _cards(office, [decided], call.by)
    return Answer(True, (f"{after.state_sentence}.",))


async def unless_unedited(office: Office, call: Call, hold: Hold) -> Answer | None:
    """None when the id alone says which text is meant. Else the text as it is now, to be confirmed: it was edited since."""
    if hold.state is not State.PENDING or hold.digest == hold.original_digest:
        return None
    line = "The text was edited since the request came in. This is what you would approve:"
    return await office.unless_confirmed(call, Answer(True, (line,), cards=_cards(office, [hold], call.by)))


def _is_whole(card: CardView) -> bool:
    return not card.cut and not card.folded


async def visible_hold(office: Office, hold_id: str, reviewer: Reviewer) -> Hold | None:
    """The hold, if it is there and this person may look at it."""
    if not _HOLD_ID.fullmatch(hold_id):
        return None
    try:
        hold = await office.store.holds.get(hold_id)
    except NotFound:
        return None
    return hold if may_see(hold, reviewer) else None


def _concerns(hold: Hold, group: str) -> bool:
    waiting = {name for each in hold.requirements for name in (each.group, *each.alternates)}
    return group in hold.requester.groups or group in waiting


def _cards(office: Office, holds: Sequence[Hold], reviewer: Reviewer) -> tuple[CardView, ...]:
    masks, now_ms = office.live.snapshot.policy.masks, office.clock()
    return tuple(
        card_view(
            hold,
            now_ms=now_ms,
            link_base=office.link_base,
            masks=masks,
            viewer=reviewer,
            limit=_CARD_CHARACTERS,
            off=off_sentence(hold, office.live.snapshot, now_ms),
        )
        for hold in holds
    )


TABLE: tuple[Command, ...] = (
    command("pending [group]", Access.READERS, "what waits for a decision", _pending),
    command("show <id>", Access.READERS, "one hold", _show),
    command("approve <id> [note…]", Access.READERS, "let a request pass", _approve, personal=True),
    command(
        "reject <id> <reason…>",
        Access.READERS,
        "refuse a request; the requester reads the reason",
        _reject,
        personal=True,
    ),
)
