"""Cards that stand for several holds: one click or one reason decides on exactly those that the card listed. Knows no platform.

Each hold is decided by itself, with its own digest, under the same rules as from a card of its own; what could not be
decided is said hold by hold. Nothing is undone: who presses again finds the decided ones decided.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from bot.desk import GONE, Desk, sentence
from bot.sentences import person
from holdpoint.errors import DecisionError, NotFound, StepUpNeeded, StoreUnavailable, TooLate
from holdpoint.model import DecisionKind, Reviewer, State
from holdpoint.store.bundles import BundleKind, Covered
from holdpoint.visible import visible_line

MOST_AT_ONCE = 8
MOST_LINES = 10


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one hold: decided now, or ``before`` by whom, or ``why`` not; nothing of it: not known.

    ``unconfirmed``: it is approved once the person has confirmed that it is them.
    """

    hold: str
    decided: bool = False
    before: str = ""
    why: str = ""
    unconfirmed: bool = False


async def saw_whole(desk: Desk, value: str, covered: Sequence[Covered], reviewer: Reviewer, *, limit: int) -> bool:
    """Whether the person has seen all of the text: a digest shows none; identical requests have one text in common.

    ``limit`` is how many of its characters the card shows.

    Who has read it with one of them has read it.
    """
    bundle = await desk.store.bundles.get(value.partition(" ")[0])
    if bundle.kind is not BundleKind.SAME or not covered or len({each.digest for each in covered}) > 1:
        return False
    view = await desk.view(await desk.look(covered[0].hold), reviewer, limit=limit)
    if view.digest == covered[0].digest and not view.needs_full_view:
        return True
    has_read = desk.store.talk.has_read
    return any(
        await asyncio.gather(*(has_read(each.hold, by=reviewer.principal, digest=each.digest) for each in covered))
    )


async def common_reasons(desk: Desk, covered: Sequence[Covered]) -> tuple[str, ...]:
    """The prepared reasons that every hold of the card has, in the order of the first one's."""
    holds = await desk.store.holds.get_many([each.hold for each in covered])
    if not holds:
        return ()
    first, *others = (hold.evaluation.terms.reasons for hold in holds)
    return tuple(reason for reason in first if all(reason in of for of in others))


async def decide_all(
    desk: Desk,
    covered: Sequence[Covered],
    reviewer: Reviewer,
    kind: DecisionKind,
    *,
    within_s: float,
    reason: str = "",
    whole: bool = False,
) -> list[Done]:
    """One decision each, several at once. What has not come to an end in time is among them, with nothing known.

    ``whole``: the person has seen all of the text.
    """
    slots = asyncio.Semaphore(MOST_AT_ONCE)
    found = {each.hold: Done(each.hold) for each in covered}

    async def decide(each: Covered) -> None:
        async with slots:
            found[each.hold] = await _decide(desk, each, reviewer, kind, reason=reason, whole=whole)

    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await asyncio.gather(*(decide(each) for each in covered))
    return list(found.values())


async def ask(
    desk: Desk, covered: Sequence[Covered], done: Sequence[Done], reviewer: Reviewer, *, whole: bool
) -> str:  # fmt: skip
    """Keep the approvals that have to be confirmed, all together; the link that does, empty where none has to.

    Raises:
        TooLate, StoreUnavailable: none was kept.
    """
    unconfirmed = {each.hold for each in done if each.unconfirmed}
    if not unconfirmed:
        return ""
    asked = [each for each in covered if each.hold in unconfirmed]
    return (await desk.decider.step_up.ask(reviewer, asked, seen_whole=whole)).url


async def _decide(
    desk: Desk, each: Covered, reviewer: Reviewer, kind: DecisionKind, *, reason: str, whole: bool
) -> Done:
    try:
        await desk.decider.decide(
            each.hold, reviewer, kind, digest=each.digest, reason=reason, seen_whole=whole, asking=False
        )
    except StepUpNeeded:
        return Done(each.hold, unconfirmed=True)
    except TooLate as error:
        return Done(each.hold, before=await _winner(desk, each.hold), why=sentence(error))
    except DecisionError as error:
        return Done(each.hold, why=sentence(error))
    except NotFound:
        return Done(each.hold, why=GONE)
    except StoreUnavailable:
        return Done(each.hold)
    return Done(each.hold, decided=True)


async def _winner(desk: Desk, hold_id: str) -> str:
    """Who decided the hold; empty when it ended in another way."""
    with suppress(NotFound, StoreUnavailable):
        hold = await desk.store.holds.get(hold_id)
        if hold.decisions and hold.state not in (State.PENDING, State.EXPIRED, State.CANCELLED):
            return visible_line(person(hold.decisions[-1]))
    return ""


def sum_of(done: Sequence[Done], kind: DecisionKind) -> str:
    """``10 approved, 2 were decided before by Kim.`` and a line for each that was not."""
    word = "approved" if kind is DecisionKind.APPROVE else "rejected"
    parts = [f"{sum(each.decided for each in done)} {word}"]
    for who, count in Counter(each.before for each in done if each.before).most_common():
        parts.append(f"{count} {'was' if count == 1 else 'were'} decided before by {who}")
    waiting = sum(each.unconfirmed for each in done)
    if waiting:
        parts.append(f"{waiting} {'counts' if waiting == 1 else 'count'} once you have confirmed that it is you")
    unknown = sum(not (each.decided or each.why or each.unconfirmed) for each in done)
    if unknown:
        parts.append(f"{unknown} could not be confirmed: look at the card, and press again")
    refused = [f"Not {word}: hold {each.hold}. {each.why}" for each in done if each.why and not each.before]
    if len(refused) > MOST_LINES:
        refused = [*refused[:MOST_LINES], f"and {len(refused) - MOST_LINES} more."]
    return "\n".join([", ".join(parts) + ".", *refused])
