"""``/confirm/<token>``: what somebody approved, shown to them once more, and the proof that it is them. See `bot.confirmation`.

Looking changes nothing. The proof is a passkey's signature of a challenge that was made for this link and person, or a
session whose sign-in is fresh; then the approval is made with every check done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from bot.accounts import UnknownPerson
from bot.confirmation import NotYours, Settled
from bot.web import passkeys
from bot.web.confirm_view import Page, facts_of, items_of, page_of
from bot.web.pages import Notice, html, masks_of, record, see_other, sentence
from bot.web.passkeys import BadPasskey, Signed
from bot.web.sign_in import begin
from bot.web.site import Site, site_of
from bot.web.visitors import Visitor, form_of, small_form_of, visitor
from holdpoint.errors import (
    ChannelError,
    Conflict,
    DecisionError,
    HoldpointError,
    NotFound,
    StepUpNeeded,
    StoreUnavailable,
)
from holdpoint.model import Factor, Reviewer
from holdpoint.store.stepups import StepUp

_GONE = "This link has lapsed, or was never one of ours. If you still want to approve, press Approve again."
_AWAY = (
    "The chat in which you approved this does not answer, so Holdpoint cannot tell whether you still may. Try again."
)
_COPIED = (
    "This passkey was not accepted: its counter did not move, so there may be a copy of it. Tell an admin, remove it, "
    "and add another one."
)
_EXPECTED = (DecisionError, UnknownPerson, ChannelError, StoreUnavailable, BadPasskey)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/confirm/{token}", look),
        web.post("/confirm/{token}", confirm),
        web.post("/confirm/{token}/challenge", challenge),
        web.get("/confirm/{token}/sign-in", sign_in),
    ]


async def look(request: web.Request) -> web.Response:
    """What was approved, and the ways to confirm it."""
    site, who = site_of(request), await visitor(request)
    try:
        step_up = await site.confirmations.opened(request.match_info["token"], who.reviewer)
    except (NotFound, NotYours) as error:
        return _refused(site, who, error)
    return await _page(request, site, who, step_up)


async def challenge(request: web.Request) -> web.Response:
    """What a passkey is to sign: JSON for the browser."""
    site, (who, _) = site_of(request), await small_form_of(request)
    try:
        step_up = await site.confirmations.opened(request.match_info["token"], who.reviewer)
    except NotYours as error:
        raise NotFound("nothing of theirs") from error
    party, known = passkeys.party_of(site.settings.link_base), await site.store.passkeys.all(who.reviewer.principal)
    if party is None or not known:
        raise NotFound("no passkey can be asked for")
    made = await site.store.passkeys.challenge(about=_about(step_up), by=who.reviewer.principal)
    options = passkeys.options_to_confirm(party, challenge=made, known=known)
    return web.Response(text=options, content_type="application/json")


async def sign_in(request: web.Request) -> web.Response:
    """Off to the identity provider, to show that it is them, and back."""
    site, who = site_of(request), await visitor(request)
    try:
        step_up = await site.confirmations.opened(request.match_info["token"], who.reviewer)
    except (NotFound, NotYours) as error:
        return _refused(site, who, error)
    within_ms = [
        hold.evaluation.terms.step_up_ms
        for hold in await site.store.holds.get_many([each.hold for each in step_up.intent.covered])
        if hold.evaluation.terms.step_up_ms is not None
    ]
    return await begin(request, target=f"/confirm/{step_up.token}", fresh_ms=min(within_ms, default=0))


async def confirm(request: web.Request) -> web.Response:
    """Make the approval, if the proof holds; then back to the page, or the page again with what went wrong."""
    site, (who, form) = site_of(request), await form_of(request)
    try:
        step_up = await site.confirmations.opened(request.match_info["token"], who.reviewer)
    except (NotFound, NotYours) as error:
        return _refused(site, who, error)
    if step_up.done_ms is not None:
        return see_other(f"/confirm/{step_up.token}")
    try:
        reviewer = await site.confirmations.reviewer_of(step_up, who.reviewer)
        factor = await _factor(site, who, step_up, form)
        settled = await site.confirmations.confirm(step_up, reviewer, factor=factor)
    except _EXPECTED as error:
        return await _page(request, site, who, step_up, problem=_words(error), status=_status(error))
    if any(each.why for each in settled):
        step_up = await site.store.stepups.get(step_up.token)
        return await _page(request, site, who, step_up, problem=_why(settled), status=409)
    return see_other(f"/confirm/{step_up.token}")


async def _factor(site: Site, who: Visitor, step_up: StepUp, form: Mapping[str, object]) -> Factor | None:
    """A passkey, if one has signed; None for a sign-in, whose age the decider looks at.

    Raises:
        BadPasskey, StoreUnavailable.
    """
    answer = form.get("credential")
    if not isinstance(answer, str) or not answer:
        return None
    signed, by = Signed.read(answer), who.reviewer.principal
    party = passkeys.party_of(site.settings.link_base)
    taken = await site.store.passkeys.take_challenge(signed.challenge, about=_about(step_up), by=by)
    if party is None or not taken:
        raise BadPasskey("This took too long, or was sent twice. Try again.")
    try:
        passkey = await site.store.passkeys.get(by, signed.id)
    except NotFound:
        raise BadPasskey("This passkey is not one of yours.") from None
    uses = signed.verified(party, passkey)
    if passkeys.is_copied(passkey, uses):
        await site.store.passkeys.refused(passkey)
        raise BadPasskey(_COPIED)
    try:
        await site.store.passkeys.used(passkey, uses=uses)
    except Conflict:
        raise BadPasskey("This passkey was used or removed in this very moment. Try again.") from None
    return Factor.PASSKEY


async def _page(
    request: web.Request, site: Site, who: Visitor, step_up: StepUp, *, problem: str = "", status: int = 200
) -> web.Response:
    """The page as things are now. What it shows is recorded first."""
    whole, reviewer = "whole" in request.query, None
    try:
        reviewer = await site.confirmations.reviewer_of(step_up, who.reviewer)
        page = await _drawn(site, who, step_up, reviewer, whole=whole)
    except (DecisionError, UnknownPerson, ChannelError) as error:
        page, problem, status = Page(), problem or _words(error), status if status != 200 else _status(error)
    for item in page.items:
        await record(site, who, item.view)
    notice = Notice("bad", problem) if problem else None
    return html(
        "web/confirm.html", site, who, status=status, page=page, notice=notice, step_up=step_up, whole=whole,
        facts=facts_of(step_up.intent, masks_of(site)),
    )  # fmt: skip


async def _drawn(site: Site, who: Visitor, step_up: StepUp, reviewer: Reviewer, *, whole: bool) -> Page:
    await site.live.ensure_fresh()
    current = set(await site.store.stepups.current(step_up)) if step_up.done_ms is None else set()
    holds = {hold.id: hold for hold in await site.store.holds.get_many([each.hold for each in step_up.intent.covered])}
    items = items_of(
        step_up.intent, current, holds, reviewer, now_ms=site.clock(), link_base=site.settings.link_base,
        masks=masks_of(site), whole=whole,
    )  # fmt: skip
    party = passkeys.party_of(site.settings.link_base)
    known = await site.store.passkeys.all(who.reviewer.principal) if party is not None else []
    return page_of(
        items, holds.values(), reviewer, now_ms=site.clock(), has_passkey=bool(known), can_add=party is not None,
        can_sign_in=bool(site.party.ways()),
    )  # fmt: skip


def _about(step_up: StepUp) -> str:
    """What a challenge is for: nothing but this link."""
    return f"confirm {step_up.token}"


def _why(settled: Sequence[Settled]) -> str:
    """Why some were not approved, each reason once."""
    reasons = dict.fromkeys(each.why for each in settled if each.why)
    done = sum(not each.why for each in settled)
    said = [f"{done} of {len(settled)} approved."] if done else []
    return " ".join([*said, *(_sentence(why) for why in reasons)])


def _refused(site: Site, who: Visitor, error: NotFound | NotYours) -> web.Response:
    """Nothing of what is behind the link."""
    is_gone = isinstance(error, NotFound)
    text = _GONE if is_gone else "This link is for somebody else, and works for nobody but them."
    return html("web/not_yours.html", site, who, status=404 if is_gone else 403, text=text, is_gone=is_gone)


def _words(error: HoldpointError) -> str:
    match error:
        case ChannelError():
            return _AWAY
        case StepUpNeeded():
            return "Not confirmed yet: sign in again, or use a passkey."
        case _:
            return sentence(error)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _status(error: HoldpointError) -> int:
    return 503 if isinstance(error, ChannelError | StoreUnavailable) else 403
