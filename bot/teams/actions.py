"""Buttons of a card, and what is sent with them. `DOES` is the map from verb to function, of everybody's buttons.

::

    click ─▶ who ─▶ DOES[verb] ─▶ the hold as it is now ─▶ their card, in the place of the clicked one
                                                    └────▶ the message, for everybody (desk.redraw_soon, the drawer)

Whatever decides is in Redis before Teams hears that it was done (promise 6). Teams sends a click again when the answer
takes long, so whatever is done twice is done once. Who may not, or is too late, sees the card as it is for them and reads
why on top of it; all else that goes wrong is said, and leaves the card alone with what was typed into it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from bot import acts
from bot.inputs import AGE, REASON, SCOPE, TEXT, USES, edits_of, number_of, reason_of, saw_whole, scope_of
from bot.teams import APPROVE, ASK, CLAIM, EDIT, GRANT, REFRESH, REJECT, REVEAL, UNCLAIM, VIEW, bulk, requester, seen
from bot.teams.arrived import Click
from bot.teams.desk import GONE, UNKNOWN, Desk, Outcome, Pressed, Trouble, in_words, is_old
from bot.teams.fitting import noted
from bot.teams.reactions import Reaction, Said, Showed
from bot.teams.render import CARD_CHARACTERS, notice_card
from holdpoint.errors import NotFound, NotRead, StoreUnavailable
from holdpoint.model import DecisionKind, Hold

DRAW_WITHIN_S = 0.5
RECORDED = "Recorded. The card will show it."
ELSEWHERE = "Open the inbox by the card's link, and approve it there."
NO_DIALOGS = "This app of Teams opens no dialogs. Use the card's link to the inbox to read and to decide."

Do = Callable[[Desk, Pressed], Awaitable[Outcome]]


async def act(desk: Desk, click: Click) -> Reaction:
    """Do what the button says, for who pressed it. Raises only what is a bug."""
    if click.verb == REFRESH:
        return await seen.refresh(desk, click)
    do = DOES.get(click.verb)
    if do is None:
        return Said(NO_DIALOGS if click.verb in (VIEW, REVEAL) else UNKNOWN)
    pressed: Pressed | None = None
    outcome = Outcome()
    async with in_words() as trouble:
        pressed = Pressed(click, await desk.who(click))
        outcome = await do(desk, pressed)
    if trouble.url:
        outcome = Outcome(sentence=trouble.sentence, url=trouble.url)
    elif trouble.sentence or pressed is None:
        return await _explained(desk, click, pressed, trouble)
    desk.redraw_soon(click, anyway=outcome.stale)
    if outcome.url:
        return await _to_be_confirmed(desk, click, outcome)
    if outcome.hold is None:
        return Said(outcome.sentence)
    return await _in_place(desk, pressed, outcome.hold, outcome.sentence)


async def approve(desk: Desk, pressed: Pressed) -> Outcome:
    """Approve the text that was shown. Who has to read all of it first is told so, above the button that opens it."""
    try:
        return Outcome(await acts.approve(desk, pressed.shown, pressed.person, limit=CARD_CHARACTERS))
    except NotRead:
        hold = await desk.look(pressed.shown.hold)
        acts.refuse_long(desk, hold, platform="Teams")
        return Outcome(hold, acts.READ_FIRST)


async def reject(desk: Desk, pressed: Pressed) -> Outcome:
    """Reject with the reason."""
    shown = pressed.shown
    hold = await desk.look(shown.hold)
    reason = reason_of(pressed.inputs, hold.evaluation.terms.reasons)
    return Outcome(
        await desk.decider.decide(
            shown.hold, pressed.person, DecisionKind.REJECT, digest=shown.digest, reason=reason
        )
    )  # fmt: skip


async def edit(desk: Desk, pressed: Pressed) -> Outcome:
    """Approve with the edited parts. A part that came back as it was is no edit."""
    shown, given = pressed.shown, pressed.inputs
    hold = await desk.look(shown.hold)
    before = acts.before_edit(desk, hold, pressed.person, shown.digest)
    edits = edits_of(await desk.view(hold, pressed.person, limit=None), hold, given, before=before)
    on_card = await desk.view(hold, pressed.person, limit=CARD_CHARACTERS)
    return Outcome(
        await desk.decider.decide(
            shown.hold, pressed.person, DecisionKind.APPROVE, digest=shown.digest, reason=given.get(REASON, ""),
            edits=edits, seen_whole=saw_whole(on_card, hold, given),
        )
    )  # fmt: skip


async def ask(desk: Desk, pressed: Pressed) -> Outcome:
    """Put the question to the requester."""
    return Outcome(await desk.conversation.ask(pressed.shown.hold, pressed.person, pressed.inputs.get(TEXT, "")))


async def claim(desk: Desk, pressed: Pressed) -> Outcome:
    """Say "I am on it"."""
    return Outcome(await desk.conversation.claim(pressed.shown.hold, pressed.person))


async def unclaim(desk: Desk, pressed: Pressed) -> Outcome:
    """Give it back."""
    return Outcome(await desk.conversation.unclaim(pressed.shown.hold, pressed.person))


async def grant(desk: Desk, pressed: Pressed) -> Outcome:
    """Approve this request, and those like it."""
    shown, given = pressed.shown, pressed.inputs
    scope, group = scope_of(given.get(SCOPE, ""))
    uses, age_ms = number_of(given.get(USES, "")), number_of(given.get(AGE, ""))
    on_card = await desk.view(await desk.look(shown.hold), pressed.person, limit=CARD_CHARACTERS)
    hold, _ = await desk.grants.approve_similar(
        shown.hold, pressed.person, digest=shown.digest, scope=scope, subject=group, uses=uses, age_ms=age_ms,
        reason=given.get(REASON, ""), seen_whole=not on_card.needs_full_view,
    )  # fmt: skip
    return Outcome(hold)


DOES: Mapping[str, Do] = {
    APPROVE: approve,
    REJECT: reject,
    EDIT: edit,
    ASK: ask,
    CLAIM: claim,
    UNCLAIM: unclaim,
    GRANT: grant,
    **requester.DOES,
    **bulk.DOES,
}


async def _to_be_confirmed(desk: Desk, click: Click, outcome: Outcome) -> Reaction:
    """Their card below the link. What an old client is told, everybody in the conversation reads: it gets no link."""
    if is_old(click):
        return Said(f"{outcome.sentence} {ELSEWHERE}")
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAW_WITHIN_S):
            shown = await seen.refresh(desk, click)
            if isinstance(shown, Showed):
                return Showed(noted(dict(shown.card), outcome.sentence, outcome.url))
    return Showed(notice_card([outcome.sentence], outcome.url))


async def _explained(desk: Desk, click: Click, pressed: Pressed | None, trouble: Trouble) -> Reaction:
    """What went wrong: on top of the card where that says more than the clicked one did, else as a sentence."""
    if trouble.sentence != GONE:
        desk.redraw_soon(click, anyway=trouble.stale)
    if pressed is None or not (trouble.stale or trouble.refused):
        return Said(trouble.sentence)
    try:
        async with asyncio.timeout(DRAW_WITHIN_S):
            hold = await desk.look(pressed.shown.hold)
    except (NotFound, StoreUnavailable, TimeoutError):
        return Said(trouble.sentence)
    if not trouble.stale and not seen.refusal(hold, pressed.person, desk.clock()):
        return Said(trouble.sentence)  # their card is right as it is
    return await _in_place(desk, pressed, hold, trouble.sentence)


async def _in_place(desk: Desk, pressed: Pressed, hold: Hold, said: str) -> Reaction:
    """Their card of ``hold``, below what there is to say. It was recorded, or refused, before: drawing fails by itself."""
    if said and is_old(pressed.click):
        return Said(said)
    try:
        async with asyncio.timeout(DRAW_WITHIN_S):
            view = await seen.view_for(desk, hold, pressed)
    except (NotFound, StoreUnavailable, TimeoutError):
        return Said(said or RECORDED)
    is_on_it = said == view.may_not_decide and pressed.person.principal not in view.senders
    return Showed(noted(seen.card_of(view, pressed), "" if is_on_it else said))
