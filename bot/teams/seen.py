"""A hold, or several on one card, as one person sees it in one conversation; and the cards that ask for that by themselves.

::

    refresh ─▶ who looks (or nobody) ─▶ may it be shown here? ─▶ the view for them ─▶ render

Nothing is changed by looking. What is shown is what the conversation has on its card already, or what the person may see
anyway: a button that carries another hold's id shows nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bot.accounts import UnknownPerson
from bot.bundle_views import bundled
from bot.cards import CardView
from bot.conversation import is_requester
from bot.drawer import channels_of
from bot.shared_views import BundleView
from bot.teams import KIND
from bot.teams.arrived import Click
from bot.teams.desk import Desk, Pressed, in_words, is_old, is_personal, owner_of, sentence
from bot.teams.elements import Card
from bot.teams.reactions import Failed, Reaction, Said, Showed
from bot.teams.render import CARD_CHARACTERS, bundle_card_for, card_for, digest_card_for, dm_card
from bot.visibility import may_see
from holdpoint.errors import MayNotDecide, NotFound
from holdpoint.model import Hold, Reviewer, State
from holdpoint.policy import authority
from holdpoint.store.bundles import is_bundle

NOBODY = Reviewer("", frozenset(), frozenset(), KIND)


async def view_for(desk: Desk, hold: Hold, pressed: Pressed) -> CardView:
    """``hold`` as the person sees it now, where they clicked.

    Raises:
        NotFound: it is not theirs to see here.
    """
    if not await _may_show(desk, hold, pressed):
        raise NotFound("this hold is not shown here")
    return await desk.view(hold, pressed.person, limit=CARD_CHARACTERS)


def card_of(view: CardView, pressed: Pressed) -> Card:
    """The card that takes the place of the clicked one, for them alone."""
    if is_personal(pressed.click) and pressed.person.principal in view.senders:
        return dm_card(view)
    return card_for(view, pressed.person)


async def refresh(desk: Desk, click: Click) -> Reaction:
    """The card for who looks at it. Whom Teams does not vouch for sees it without anything to press."""
    card: Card | None = None
    async with in_words() as trouble:
        why = ""
        try:
            person = await desk.known(click)
        except UnknownPerson as error:
            person, why = NOBODY, sentence(error)
        pressed = Pressed(click, person)
        owner = owner_of(click)
        card = await (_bundle(desk, owner, pressed, why) if is_bundle(owner) else _hold(desk, pressed, why))
    if card is not None and not is_old(click):
        return Showed(card)
    said = trouble.sentence or "This app shows the card as it is for everybody."
    # Whoever did not ask for it is not bothered: their card stays as it is.
    return Failed(said) if click.automatic else Said(said)


async def _hold(desk: Desk, pressed: Pressed, why: str) -> Card:
    hold = await desk.look(pressed.shown.hold)
    view = await view_for(desk, hold, pressed)
    if why and view.may_not_decide:
        view = replace(view, may_not_decide=why)
    return card_of(view, pressed)


async def _bundle(desk: Desk, owner: str, pressed: Pressed, why: str) -> Card:
    await desk.live.ensure_fresh()
    bundle = await desk.store.bundles.get(owner)
    holds = await desk.store.holds.get_many(bundle.holds)
    if not holds or bundle.target != f"{KIND}:{pressed.click.conversation}":
        raise NotFound("this card is not shown here")
    masks = desk.live.snapshot.policy.masks
    # In a thread: the bodies of many holds together are long, and everybody who looks at the card asks for it.
    what = await asyncio.to_thread(bundled, bundle, holds, link_base=desk.link_base, masks=masks, limit=CARD_CHARACTERS)
    refused = _refused(holds, pressed.person, desk.clock())
    if what.offers and not refused:
        await desk.store.bundles.offer(what.view.value, what.offers, until_ms=max(hold.deadline_ms for hold in holds))
    refused = refused and (why or refused)
    if isinstance(what.view, BundleView):
        return bundle_card_for(what.view, pressed.person, refused)
    return digest_card_for(what.view, pressed.person, refused)


def _refused(holds: Sequence[Hold], person: Reviewer, now_ms: int) -> str:
    """Why they may decide none of those that wait; empty where they may, or where nothing waits."""
    waiting = [hold for hold in holds if hold.state is State.PENDING]
    # That a request is one's own says nothing of the others.
    waiting.sort(key=lambda hold: is_requester(hold, person.principal))
    found = [refusal(hold, person, now_ms) for hold in waiting]
    return found[0] if all(found) and found else ""


def refusal(hold: Hold, person: Reviewer, now_ms: int) -> str:
    try:
        authority.check(hold, person, now_ms=now_ms)
    except MayNotDecide as error:
        return str(error)
    return ""


async def _may_show(desk: Desk, hold: Hold, pressed: Pressed) -> bool:
    """Whether the person may see it anyway, or everybody in the conversation does."""
    if may_see(hold, pressed.person) or is_requester(hold, pressed.person.principal):
        return True
    conversation = pressed.click.conversation
    if f"{KIND}:{conversation}" in channels_of(hold, desk.live.snapshot, KIND):
        return True
    places = await desk.store.cards.all(hold.id)
    return any(place.message and place.channel == conversation for place in places.values())
