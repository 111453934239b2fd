"""Cards that stand for several holds: one click or one reason decides on exactly those that the card listed.

Each hold is decided by itself, with its own digest, under the same rules as from a card of its own; what could not be
decided is said hold by hold. Nothing is undone: who presses again finds the decided ones decided.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bot.sentences import person
from bot.slack import BULK_APPROVE, BULK_REJECT, BULK_REJECT_MODAL
from bot.slack.desk import ACT_WITHIN_S, GONE, Ack, Act, Body, Desk, NotTold, answer, in_words, sentence
from bot.slack.forms import bulk_reject_modal
from bot.slack.inputs import close, filled, metadata, reason_of, say
from bot.slack.render import CARD_CHARACTERS
from bot.slack.windows import open_modal
from holdpoint.errors import DecisionError, NotFound, StoreUnavailable, TooLate
from holdpoint.model import DecisionKind, Reviewer, State
from holdpoint.store.bundles import BundleKind, Covered
from holdpoint.visible import visible_line

MOST_AT_ONCE = 8
MOST_LINES = 10
_DECIDE_WITHIN_S = ACT_WITHIN_S - 0.7  # the rest is for finding out who it is, and for the answer


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one hold: decided now, or ``before`` by whom, or ``why`` not; nothing of it: not known."""

    hold: str
    decided: bool = False
    before: str = ""
    why: str = ""


async def approve(desk: Desk, ack: Ack, body: Body) -> None:
    """Approve all that the card lists, and tell the sum."""
    all_done = False
    async with in_words() as trouble:
        value = str(body["actions"][0].get("value"))
        reviewer = await desk.who(body)
        covered = await desk.store.bundles.resolve(value)
        whole = await _saw_whole(desk, value, covered, reviewer)
        done = await _decide_all(desk, covered, reviewer, DecisionKind.APPROVE, whole=whole)
        trouble.sentence = _sum(done, DecisionKind.APPROVE)
        trouble.stale = any(each.why for each in done)
        all_done = all(each.decided for each in done)
    try:
        await answer(desk, ack, body, trouble)
    except NotTold:
        if not all_done:
            raise
        await ack()  # all is recorded, and the card will say so


async def reject(desk: Desk, ack: Ack, body: Body) -> None:
    """Ask for the reason; the modal decides."""
    async with in_words() as trouble:
        value = str(body["actions"][0].get("value"))
        await desk.who(body)
        covered = await desk.store.bundles.resolve(value)
        reasons = await _common_reasons(desk, covered)
        if not covered:
            raise TooLate("Nothing on this card waits any more.")
        await open_modal(desk.client, body, bulk_reject_modal(value, len(covered), reasons))
    await answer(desk, ack, body, trouble)


async def send_rejection(desk: Desk, ack: Ack, body: Body) -> None:
    """Reject all that the card listed, and tell the sum in the modal."""
    told = ""
    async with in_words() as trouble:
        covered = await desk.store.bundles.resolve(metadata(body))
        reviewer = await desk.who(body)
        reason = reason_of(filled(body), await _common_reasons(desk, covered))
        done = await _decide_all(desk, covered, reviewer, DecisionKind.REJECT, reason=reason)
        told = _sum(done, DecisionKind.REJECT)
    if told and not trouble.sentence:
        await say(ack, told)
    else:
        await close(ack, body, trouble)


ACTIONS: Mapping[str, Act] = {BULK_APPROVE: approve, BULK_REJECT: reject}
VIEWS: Mapping[str, Act] = {BULK_REJECT_MODAL: send_rejection}


async def _saw_whole(desk: Desk, value: str, covered: Sequence[Covered], reviewer: Reviewer) -> bool:
    """Whether the person has seen all of the text: a digest shows none; identical requests have one text in common.

    Who has read it with one of them has read it.
    """
    bundle = await desk.store.bundles.get(value.partition(" ")[0])
    if bundle.kind is not BundleKind.SAME or not covered or len({each.digest for each in covered}) > 1:
        return False
    view = await desk.view(await desk.look(covered[0].hold), reviewer, limit=CARD_CHARACTERS)
    if view.digest == covered[0].digest and not view.needs_full_view:
        return True
    has_read = desk.store.talk.has_read
    return any(
        await asyncio.gather(*(has_read(each.hold, by=reviewer.principal, digest=each.digest) for each in covered))
    )


async def _common_reasons(desk: Desk, covered: Sequence[Covered]) -> tuple[str, ...]:
    """The prepared reasons that every hold of the card has, in the order of the first one's."""
    holds = await desk.store.holds.get_many([each.hold for each in covered])
    if not holds:
        return ()
    first, *others = (hold.evaluation.terms.reasons for hold in holds)
    return tuple(reason for reason in first if all(reason in of for of in others))


async def _decide_all(
    desk: Desk,
    covered: Sequence[Covered],
    reviewer: Reviewer,
    kind: DecisionKind,
    *,
    reason: str = "",
    whole: bool = False,
) -> list[_Done]:
    """One decision each, several at once. What has not come to an end in time is among them, with nothing known.

    ``whole``: the person has seen all of the text.
    """
    slots = asyncio.Semaphore(MOST_AT_ONCE)
    found = {each.hold: _Done(each.hold) for each in covered}

    async def decide(each: Covered) -> None:
        async with slots:
            found[each.hold] = await _decide(desk, each, reviewer, kind, reason=reason, whole=whole)

    with suppress(TimeoutError):
        async with asyncio.timeout(_DECIDE_WITHIN_S):
            await asyncio.gather(*(decide(each) for each in covered))
    return list(found.values())


async def _decide(
    desk: Desk, each: Covered, reviewer: Reviewer, kind: DecisionKind, *, reason: str, whole: bool
) -> _Done:
    try:
        await desk.decider.decide(each.hold, reviewer, kind, digest=each.digest, reason=reason, seen_whole=whole)
    except TooLate as error:
        return _Done(each.hold, before=await _winner(desk, each.hold), why=sentence(error))
    except DecisionError as error:
        return _Done(each.hold, why=sentence(error))
    except NotFound:
        return _Done(each.hold, why=GONE)
    except StoreUnavailable:
        return _Done(each.hold)
    return _Done(each.hold, decided=True)


async def _winner(desk: Desk, hold_id: str) -> str:
    """Who decided the hold; empty when it ended in another way."""
    with suppress(NotFound, StoreUnavailable):
        hold = await desk.store.holds.get(hold_id)
        if hold.decisions and hold.state not in (State.PENDING, State.EXPIRED, State.CANCELLED):
            return visible_line(person(hold.decisions[-1]))
    return ""


def _sum(done: Sequence[_Done], kind: DecisionKind) -> str:
    """``10 approved, 2 were decided before by Kim.`` and a line for each that was not."""
    word = "approved" if kind is DecisionKind.APPROVE else "rejected"
    parts = [f"{sum(each.decided for each in done)} {word}"]
    for who, count in Counter(each.before for each in done if each.before).most_common():
        parts.append(f"{count} {'was' if count == 1 else 'were'} decided before by {who}")
    unknown = sum(not (each.decided or each.why) for each in done)
    if unknown:
        parts.append(f"{unknown} could not be confirmed: look at the card, and press again")
    refused = [f"Not {word}: hold {each.hold}. {each.why}" for each in done if each.why and not each.before]
    if len(refused) > MOST_LINES:
        refused = [*refused[:MOST_LINES], f"and {len(refused) - MOST_LINES} more."]
    return "\n".join([", ".join(parts) + ".", *refused])
