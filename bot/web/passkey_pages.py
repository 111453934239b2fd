"""``/passkeys``: a person's own passkeys, which they add and remove.

Adding takes a sign-in at an identity provider at most five minutes ago, or the one-time invitation of an admin, so that
whoever got hold of a session or a key cannot make a passkey of theirs the person's. Removing takes neither: it is the
safe direction.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from aiohttp import web

from bot.web import passkeys
from bot.web.pages import Notice, html, see_other, sentence
from bot.web.passkeys import BadPasskey, Made
from bot.web.sign_in import begin
from bot.web.site import Site, site_of
from bot.web.visitors import Visitor, form_of, small_form_of, visitor
from holdpoint.errors import Conflict, NotFound
from holdpoint.policy.people import same
from holdpoint.store.passkeys import Invitation
from holdpoint.visible import visible_line

FRESH_MS = 5 * 60_000
_SKEW_MS = 60_000
_ABOUT = "add"  # what challenges are for


class MayNotAdd(BadPasskey):
    """Neither a fresh sign-in nor an invitation."""


def routes() -> list[web.RouteDef]:
    return [
        web.get("/passkeys", look),
        web.get("/passkeys/sign-in", sign_in),
        web.get("/passkeys/{invitation}", look),
        web.post("/passkeys", add),
        web.post("/passkeys/challenge", challenge),
        web.post("/passkeys/remove", remove),
    ]


async def look(request: web.Request) -> web.Response:
    """The list, and a form to add one where that is allowed now."""
    return await _page(site_of(request), await _person(request), invitation=request.match_info.get("invitation", ""))


async def sign_in(request: web.Request) -> web.Response:
    """Off to the identity provider and back, so that a passkey can be added."""
    await visitor(request)
    return await begin(request, target="/passkeys", fresh_ms=FRESH_MS)


async def challenge(request: web.Request) -> web.Response:
    """What a new passkey is to be made for: JSON for the browser."""
    site, (who, form) = site_of(request), await small_form_of(request, by=_person)
    party, principal = passkeys.party_of(site.settings.link_base), who.reviewer.principal
    try:
        await _check_may_add(site, who, form.get("invitation", ""))
    except MayNotAdd as error:
        raise NotFound("nothing that may be added") from error
    if party is None:
        raise NotFound("no passkeys here")
    made = await site.store.passkeys.challenge(about=_ABOUT, by=principal)
    known = await site.store.passkeys.all(principal)
    options = passkeys.options_to_add(
        party, principal=principal, name=who.reviewer.name, challenge=made, known=known
    )  # fmt: skip
    return web.Response(text=options, content_type="application/json")


async def add(request: web.Request) -> web.Response:
    """Keep a new passkey; then back to the list, or the list with what went wrong."""
    site, (who, form) = site_of(request), await form_of(request, by=_person)
    invitation = str(form.get("invitation", ""))
    try:
        await _check_may_add(site, who, invitation)
        await _add(site, who, str(form.get("credential", "")), str(form.get("name", "")), invitation)
    except (BadPasskey, Conflict) as error:
        return await _page(site, who, invitation=invitation, problem=sentence(error), status=403)
    return see_other("/passkeys")


async def remove(request: web.Request) -> web.Response:
    """Remove one's own; one that is gone already is no error."""
    site, (who, form) = site_of(request), await small_form_of(request, by=_person)
    with suppress(NotFound):  # pressed twice, or in another tab
        await site.store.passkeys.remove(who.reviewer.principal, form.get("id", ""))
    return see_other("/passkeys")


async def _add(site: Site, who: Visitor, credential: str, name: str, invitation: str) -> None:
    principal, party = who.reviewer.principal, passkeys.party_of(site.settings.link_base)
    made = Made.read(credential)
    taken = await site.store.passkeys.take_challenge(made.challenge, about=_ABOUT, by=principal)
    if party is None or not taken:
        raise BadPasskey("This took too long, or was sent twice. Try again.")
    passkey = made.verified(party, principal=principal, name=name, now_ms=site.clock())
    # An invitation is kept for when it is needed.
    await site.store.passkeys.add(passkey, invitation="" if _is_fresh(site, who) else invitation)


async def _person(request: web.Request) -> Visitor:
    """A person; passkeys are not for agents."""
    who = await visitor(request)
    if who.reviewer.owner is not None:
        raise web.HTTPForbidden
    return who


def _is_fresh(site: Site, who: Visitor) -> bool:
    auth_ms = who.reviewer.auth_ms
    return auth_ms is not None and -_SKEW_MS <= site.clock() - auth_ms <= FRESH_MS


async def _check_may_add(site: Site, who: Visitor, invitation: str) -> Invitation | None:
    """The invitation by which they may, None where a fresh sign-in is enough.

    Raises:
        MayNotAdd
    """
    if _is_fresh(site, who):
        return None
    if not invitation:
        raise MayNotAdd("Your sign-in is more than five minutes ago. Sign in again.")
    try:
        invited = await site.store.passkeys.invitation(invitation)
    except NotFound:
        raise MayNotAdd("This invitation was used, or has lapsed. Ask for another one.") from None
    if not same(invited.principal, who.reviewer.principal):
        raise MayNotAdd("This invitation is for somebody else.")
    return invited


async def _page(
    site: Site, who: Visitor, *, invitation: str = "", problem: str = "", status: int = 200
) -> web.Response:
    may_add, invited = True, None
    try:
        invited = await _check_may_add(site, who, invitation)
    except MayNotAdd as error:
        may_add = False
        if invitation and not problem:
            problem, status = str(error), 403
    found = await site.store.passkeys.all(who.reviewer.principal)
    return html(
        "web/passkeys.html", site, who, status=status, keys=[replace(key, name=visible_line(key.name)) for key in found],
        may_add=may_add, invitation=invitation if may_add else "", invited_by=visible_line(invited.by) if invited else "",
        can_add=passkeys.party_of(site.settings.link_base) is not None, address=site.settings.link_base,
        can_sign_in=bool(site.party.ways()), suggested=f"Passkey {len(found) + 1}",
        notice=Notice("bad", problem) if problem else None,
    )  # fmt: skip
