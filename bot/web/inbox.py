"""The web inbox: the list, one hold with everything on it, the decision forms, and the stream that says "look again".

Every page is drawn anew from the stored hold. Everything works with plain forms; the script only saves clicks. What a
page showed is on the record before the page is sent (promise 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionResetError

from bot.cards import CardView, card_view, plain_text
from bot.templates import render
from bot.visibility import may_see
from bot.web import forms, reading, sign_in
from bot.web.editing import diffs, edit_fields, texts
from bot.web.listing import bundled, identity, is_cursor, visible_holds
from bot.web.sign_in import Visitor
from bot.web.site import Site, site_of
from holdpoint.errors import (
    BadEdit,
    DecisionError,
    HoldpointError,
    MayNotDecide,
    NotFound,
    StoreUnavailable,
    TooLate,
    WrongDigest,
)
from holdpoint.model import Hold, State
from holdpoint.policy.mask import Masks
from holdpoint.store import CardPlace
from holdpoint.store.events import card_shown

_PAGE = 50
_SHOWN_CHARACTERS = 200_000  # beyond, the page offers the whole text behind a link
_BEAT_S = 10.0
_WHILE_LOOKING = 500


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", home),
        web.get("/review", inbox),
        web.get("/review/events", events),
        web.get("/review/{id}", one),
        web.post("/review/{id}", decide),
        web.post("/review/{id}/preview", preview),
    ]


@dataclass(frozen=True, slots=True)
class Notice:
    """A message on top of a page. ``tone``: "good" or "bad"."""

    tone: str
    text: str


async def home(_request: web.Request) -> web.Response:
    """The inbox is the front page."""
    return _see_other("/review")


async def inbox(request: web.Request) -> web.Response:
    """The list."""
    site, who = site_of(request), await sign_in.visitor(request)
    shown = request.query.get("state", "pending")
    if shown not in ("pending", "all"):
        raise web.HTTPNotFound
    state = State.PENDING if shown == "pending" else None
    cursor = request.query.get("cursor", "")
    holds, following = await visible_holds(
        site.store, who.reviewer, state=state, limit=_PAGE, cursor=cursor if is_cursor(cursor) else None
    )
    views = [_view(site, bundle[0], who, limit=600, count=len(bundle)) for bundle in bundled(holds)]
    if state is State.PENDING:
        views.sort(key=lambda view: view.deadline_ms)
    return _html("web/inbox.html", site, who, views=views, shown=shown, following=following)


async def one(request: web.Request) -> web.Response:
    """One hold."""
    site, who = site_of(request), await sign_in.visitor(request)
    hold = await _hold(request, site, who)
    return await _page(request, site, who, hold)


async def decide(request: web.Request) -> web.Response:
    """Approve, approve with edits, or reject; then back to the page, or the page again with what went wrong."""
    sign_in.check_origin(request)
    site, who = site_of(request), await sign_in.visitor(request)
    fields = await reading.form(request)
    sign_in.check_token(who, str(fields.get("csrf", "")))
    hold = await _hold(request, site, who)
    choice = forms.choice(hold.id, fields)
    if "preview" in fields:
        return await _page(request, site, who, hold, fields=fields)
    try:
        if not who.may_decide:
            raise MayNotDecide("Your key has no reviewer role.")
        changes = forms.edits(hold, texts(hold, _masks(site)), fields)
        if fields.get("with_edits") and not changes and hold.state is State.PENDING:
            raise BadEdit("You have not changed anything yet.")
        for hold_id in choice.covered:
            await site.decider.decide(
                hold_id, who.reviewer, choice.kind, digest=choice.digest, reason=choice.reason, edits=changes
            )
    except (DecisionError, StoreUnavailable, NotFound) as error:
        # The page is drawn from the hold as it is now, so that it tells the truth whatever went wrong.
        notice = Notice("bad", _sentence(error))
        fresh = await _hold(request, site, who)
        return await _page(request, site, who, fresh, fields=fields, notice=notice, status=_status(error))
    return _see_other(f"/review/{hold.id}")


async def preview(request: web.Request) -> web.Response:
    """The diff of what stands in the text areas, for the script: ``{"edits": [{"label", "lines": [[sign, text], …]}]}``."""
    sign_in.check_origin(request)
    site, who = site_of(request), await sign_in.visitor(request)
    fields = await reading.form(request)
    sign_in.check_token(who, str(fields.get("csrf", "")))
    hold = await _hold(request, site, who)
    found = [{"label": label, "lines": [[line.change, line.text] for line in lines]}
             for label, lines in diffs(hold, _masks(site), fields)]  # fmt: skip
    return web.Response(body=orjson.dumps({"edits": found}), content_type="application/json")


async def events(request: web.Request) -> web.StreamResponse:
    """The stream of one open page. Ends with the session, and with the process."""
    site = site_of(request)
    await sign_in.visitor(request)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep the events back
    await response.prepare(request)
    try:
        await response.write(b"retry: 1000\n\n")
        async for changed in site.feed.changes(request.query.get("hold"), beat_s=_BEAT_S):
            try:
                await sign_in.visitor(request)
            except sign_in.SignInFirst:
                break
            await response.write(b"event: changed\ndata: .\n\n" if changed else b": beat\n\n")
    except (ClientConnectionResetError, StoreUnavailable):
        pass  # the page is gone, or it comes back and asks again
    return response


async def _page(
    request: web.Request,
    site: Site,
    who: Visitor,
    hold: Hold,
    *,
    fields: Mapping[str, Any] | None = None,
    notice: Notice | None = None,
    status: int = 200,
) -> web.Response:
    whole = "whole" in request.query
    twins = await _twins(site, who, hold)
    view = _view(site, hold, who, limit=None if whole else _SHOWN_CHARACTERS, count=1 + len(twins))
    await _record(site, who, view)
    return _html(
        "web/hold.html",
        site,
        who,
        status=status,
        view=view,
        also=" ".join(twin.id for twin in twins),
        fields=edit_fields(hold, _masks(site), fields or {}),
        diffs=diffs(hold, _masks(site), fields or {}),
        editing=bool(fields and fields.get("with_edits")),
        reason=str((fields or {}).get("reason", "")),
        notice=notice,
    )


async def _hold(request: web.Request, site: Site, who: Visitor) -> Hold:
    """The hold of the path, if this person may see it; a hidden one looks like none."""
    hold = await site.store.holds.get(request.match_info["id"])
    if not may_see(hold, who.reviewer):
        raise NotFound("there is no such hold")
    return hold


async def _twins(site: Site, who: Visitor, hold: Hold) -> list[Hold]:
    """The identical holds that wait beside this one."""
    if hold.state is not State.PENDING:
        return []
    others, _ = await visible_holds(
        site.store, who.reviewer, state=State.PENDING, limit=_WHILE_LOOKING, cursor=None
    )  # fmt: skip
    return [other for other in others if other.id != hold.id and identity(other) == identity(hold)]


def _view(site: Site, hold: Hold, who: Visitor, *, limit: int | None, count: int) -> CardView:
    return card_view(
        hold,
        now_ms=site.clock(),
        link_base=site.settings.link_base,
        masks=_masks(site),
        viewer=who.reviewer,
        limit=limit,
        count=count,
    )


async def _record(site: Site, who: Visitor, view: CardView) -> None:
    """Put on the record what this person was shown, once per text."""
    target = f"web:{who.reviewer.principal}"
    text = plain_text(view)
    shown = hashlib.sha256(text.encode()).hexdigest()
    place = (await site.store.cards.all(view.id)).get(target)
    if place is not None and place.shown == shown:
        return
    now_ms = site.clock()
    entry = card_shown(hold=view.id, rev=view.rev, target=target, digest=view.digest, view=text, at_ms=now_ms)
    await site.store.outbox.append([entry])
    place = CardPlace(intent="", intended_ms=now_ms, channel="web", message=view.id, shown_rev=view.rev, shown=shown)
    await site.store.cards.posted(view.id, target, place=place)


def _masks(site: Site) -> Masks:
    return site.live.snapshot.policy.masks


def _html(template: str, site: Site, who: Visitor, *, status: int = 200, **context: Any) -> web.Response:
    html = render(
        template, who=who.reviewer, csrf=who.session.csrf, may_decide=who.may_decide, now_ms=site.clock(), **context
    )
    return web.Response(text=html, status=status, content_type="text/html")


def _sentence(error: HoldpointError) -> str:
    """What to tell the person; every way in which it can go wrong has its own words."""
    match error:
        case StoreUnavailable():
            return (
                "The decision may not have been stored: Redis does not answer. Try again; deciding twice does no harm."
            )
        case NotFound():
            return "There is no such hold any more."
        case _:
            text = str(error)
            return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _status(error: HoldpointError) -> int:
    match error:
        case MayNotDecide():
            return 403
        case TooLate() | WrongDigest():
            return 409
        case BadEdit():
            return 422
        case NotFound():
            return 404
        case _:
            return 503


def _see_other(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})
