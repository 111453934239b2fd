"""What a click has to find out before it does something, or before a dialog is worth opening. Knows no platform.

Whatever a dialog does when it is sent is checked again (`bot.decide`, `bot.conversation`, `bot.grants`); these checks spare
people the typing.
"""

from __future__ import annotations

from bot import withdraw
from bot.cards import Action, CardView
from bot.conversation import is_requester
from bot.desk import Desk, Shown
from bot.units import units
from bot.visibility import may_see
from holdpoint.errors import MayNotDecide, TooLate
from holdpoint.model import DecisionKind, GrantLimits, GrantScope, Hold, Question, Reviewer
from holdpoint.policy import people
from holdpoint.policy.mask import mask
from holdpoint.visible import visible

PAGED_CHARACTERS = 200_000  # longer requests are read in the web inbox
READ_FIRST = (
    "The risk is high, and the card showed only a part of the text. Read it to its last page, then press Approve."
)


async def approve(desk: Desk, shown: Shown, reviewer: Reviewer, *, limit: int) -> Hold:
    """Approve the text, of which the place of the click shows ``limit`` characters; the hold as it is now.

    Raises:
        NotRead: they have to read all of it first.
        DecisionError, NotFound, StoreUnavailable: see `bot.decide.Decider.decide`.
    """
    view = await desk.view(await desk.look(shown.hold), reviewer, limit=limit)
    return await desk.decider.decide(
        shown.hold, reviewer, DecisionKind.APPROVE, digest=shown.digest, seen_whole=not view.needs_full_view
    )


def before_edit(desk: Desk, hold: Hold, reviewer: Reviewer, digest: str) -> dict[str, str]:
    """Path and text, as it was shown, of what ``reviewer`` has edited in the text with ``digest`` already.

    Where a platform delivers a submission again, it is about those texts, whatever is held by now.
    """
    masks = desk.live.snapshot.policy.masks
    mine = [done for done in hold.decisions if people.is_by(done, reviewer) and done.digest == digest]
    return {edit.path: mask(edit.text, masks).text for done in mine for edit in done.before}


async def may_decide(desk: Desk, shown: Shown, reviewer: Reviewer) -> Hold:
    """The hold, which ``reviewer`` may decide on now.

    Raises:
        MayNotDecide, TooLate, NotFound, StoreUnavailable.
    """
    hold = await desk.look(shown.hold)
    seen = await desk.view(hold, reviewer, limit=0)
    if Action.REJECT not in seen.actions:
        raise MayNotDecide(seen.may_not_decide) if seen.may_not_decide else TooLate(seen.state_sentence)
    return hold


def grant_limits(desk: Desk, hold: Hold) -> GrantLimits:
    """How far a standing approval may go.

    Raises:
        MayNotDecide: the policy allows none.
    """
    limits = desk.grants.limits(hold)
    if limits is None:
        raise MayNotDecide("The policy allows no standing approval of requests like this one.")
    return limits


def grant_groups(desk: Desk, hold: Hold, limits: GrantLimits, *, longest: int | None = None) -> list[str]:
    """The groups that a standing approval may be for: those that ``limits`` allow, with a name of ``longest`` units at most.

    Raises:
        MayNotDecide: there is nobody that it may be for.
    """
    groups = desk.grants.groups_of(hold) if GrantScope.GROUP in limits.scopes else ()
    found = [group for group in groups if longest is None or units(group) <= longest]
    if not found and GrantScope.REQUESTER not in limits.scopes:
        raise MayNotDecide(
            "The policy allows a standing approval for a group only, and there is none that it can be for."
        )
    return found


async def must_read(desk: Desk, view: CardView, reviewer: Reviewer) -> bool:
    """Whether ``reviewer`` has seen too little, here and before, to approve what ``view`` shows."""
    if not view.needs_full_view:
        return False
    return not await desk.store.talk.has_read(view.id, by=reviewer.principal, digest=view.digest)


async def own(desk: Desk, shown: Shown, person: Reviewer) -> Hold:
    """The hold, which ``person`` (or their agent) sent, and about which something can still be said.

    Raises:
        MayNotDecide, TooLate, NotFound, StoreUnavailable.
    """
    hold = await desk.look(shown.hold)
    if not is_requester(hold, person.principal):
        raise MayNotDecide(
            "Only who sent this request, or the owner of the agent that did, can say something about it."
        )
    view = await desk.view(hold, person, limit=0)
    if not view.pending:
        raise TooLate(view.state_sentence)
    return hold


def open_question(desk: Desk, hold: Hold, word: str) -> tuple[Question, str]:
    """The question that the button names (``word``), else the newest one that is open; and its text as it may be shown.

    Raises:
        TooLate: it was answered.
    """
    asked = [each for each in hold.questions if each.answered_ms is None and word in ("", each.id)]
    if not asked:
        raise TooLate("This question was answered already.")
    return asked[-1], visible(mask(asked[-1].text, desk.live.snapshot.policy.masks).text)


async def may_read(desk: Desk, shown: Shown, reviewer: Reviewer, *, platform: str) -> Hold:
    """The hold, of which ``reviewer`` may read everything, and can in ``platform`` ("Slack").

    Raises:
        MayNotDecide: they may not, or it is too long.
        NotFound, StoreUnavailable.
    """
    hold = await desk.look(shown.hold)
    if not may_see(hold, reviewer) and not withdraw.is_requester(hold, reviewer.principal):
        raise MayNotDecide("Only those who may decide on this request, admins and auditors may read all of it.")
    refuse_long(desk, hold, platform=platform)
    return hold


def refuse_long(desk: Desk, hold: Hold, *, platform: str) -> None:
    """Raise `MayNotDecide` for what is too long to be paged through in ``platform``."""
    if sum(len(part.text) for part in hold.query.parts) > PAGED_CHARACTERS:
        raise MayNotDecide(
            f"This request is too long for {platform}. Read it and decide in the inbox: {desk.link_base}/review/{hold.id}"
        )


def page_after(shown: Shown, here: Shown, hold: Hold) -> int:
    """The page that was asked for (``shown``): beside the one on the screen (``here``), or the first of a text that changed.

    The pages follow each other, so that no button leads past one that was never shown.
    """
    if here.digest != hold.digest:
        return 1
    asked, at = (int(word) if word.isdecimal() else 1 for word in (shown.word, here.word))
    return min(asked, at + 1)


async def note_read(desk: Desk, hold: Hold, reviewer: Reviewer, *, page: int, pages: int) -> None:
    """After the platform took it: whoever has the last page on the screen has read it all, if it is theirs to review."""
    if page == pages and may_see(hold, reviewer):
        await desk.conversation.read(hold.id, reviewer, hold.digest)
