"""How the pages of the inbox are drawn: one hold as this person may see it, what went wrong in words, statuses.

What a page showed is on the record before the page is sent (promise 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.cards import CardView, card_view, plain_text
from bot.conversation import is_requester
from bot.presence import off_sentence
from bot.templates import render
from bot.web.editing import diffs, edit_fields
from bot.web.listing import identity, visible_holds
from bot.web.site import Site
from bot.web.visitors import Visitor
from holdpoint.errors import (
    BadEdit,
    BadText,
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
from holdpoint.store.card_events import card_shown
from holdpoint.visible import visible

_SHOWN_CHARACTERS = 200_000  # beyond, the page offers the whole text behind a link
_WHILE_LOOKING = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """A message on top of a page. ``tone``: "good" or "bad"."""

    tone: str
    text: str


class OwnRequest(Exception):
    """Who looks at a hold sent it, and may not review it. The server answers with a redirect to `bot.web.own`."""

    def __init__(self, hold_id: str) -> None:
        super().__init__(hold_id)
        self.hold_id = hold_id


async def page(
    request: web.Request,
    site: Site,
    who: Visitor,
    hold: Hold,
    *,
    fields: Mapping[str, Any] | None = None,
    notice: Notice | None = None,
    status: int = 200,
) -> web.Response:
    """A hold's page as it is now, with what was typed (``fields``) and what went wrong. What it shows is recorded first."""
    hold = await site.history.note(hold)
    whole = "whole" in request.query
    twins = await _twins(site, who, hold)
    view = view_of(site, hold, who, limit=None if whole else _SHOWN_CHARACTERS, count=1 + len(twins))
    await record(site, who, view)
    if whole and not view.cut:
        await site.store.talk.read(hold.id, by=who.reviewer.principal, digest=hold.digest, channel="web")
    return html(
        "web/hold.html",
        site,
        who,
        status=status,
        view=view,
        own=is_requester(hold, who.reviewer.principal),
        also=" ".join(twin.id for twin in twins),
        fields=edit_fields(hold, masks_of(site), fields or {}),
        diffs=diffs(hold, masks_of(site), fields or {}),
        editing=bool(fields and fields.get("with_edits")),
        reason=str((fields or {}).get("reason", "")),
        question=str((fields or {}).get("question", "")),
        notice=notice,
    )


async def hold_of(request: web.Request, site: Site, who: Visitor) -> Hold:
    """The hold of the path, if this person may see it; a hidden one looks like none.

    Raises:
        OwnRequest: they sent it, and see it on another page.
        NotFound, StoreUnavailable.
    """
    hold = await site.store.holds.get(request.match_info["id"])
    if who.may_see(hold):
        return hold
    if request.method == "GET" and is_requester(hold, who.reviewer.principal):
        raise OwnRequest(hold.id)
    raise NotFound("there is no such hold")


async def _twins(site: Site, who: Visitor, hold: Hold) -> list[Hold]:
    """The identical holds that wait beside this one."""
    if hold.state is not State.PENDING:
        return []
    others, _ = await visible_holds(
        site.store, who.may_see, state=State.PENDING, limit=_WHILE_LOOKING, cursor=None
    )  # fmt: skip
    return [other for other in others if other.id != hold.id and identity(other) == identity(hold)]


def view_of(site: Site, hold: Hold, who: Visitor, *, limit: int | None, count: int) -> CardView:
    return card_view(
        hold,
        now_ms=site.clock(),
        link_base=site.settings.link_base,
        masks=masks_of(site),
        viewer=who.reviewer,
        limit=limit,
        fold=False,
        count=count,
        off=off_sentence(hold, site.live.snapshot, site.clock()),
    )


async def has_seen_whole(site: Site, who: Visitor, hold: Hold) -> bool:
    """Whether the page showed this person all of the text, at once or behind its link."""
    if not view_of(site, hold, who, limit=_SHOWN_CHARACTERS, count=1).cut:
        return True
    return await site.store.talk.has_read(hold.id, by=who.reviewer.principal, digest=hold.digest)


async def record(site: Site, who: Visitor, view: CardView) -> None:
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


def masks_of(site: Site) -> Masks:
    return site.live.snapshot.policy.masks


def html(template: str, site: Site, who: Visitor, *, status: int = 200, **context: Any) -> web.Response:
    html = render(
        template, who=who.reviewer, csrf=who.session.csrf, may_decide=who.may_decide, now_ms=site.clock(), **context
    )
    return web.Response(text=html, status=status, content_type="text/html")


def sentence(error: HoldpointError) -> str:
    """What to tell the person; every way in which it can go wrong has its own words."""
    match error:
        case StoreUnavailable():
            return (
                "The decision may not have been stored: Redis does not answer. Try again; deciding twice does no harm."
            )
        case NotFound():
            return "There is no such hold any more."
        case _:
            text = visible(str(error))  # names that people give themselves stand in it
            return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def status_of(error: HoldpointError) -> int:
    """The HTTP status that goes with it."""
    match error:
        case MayNotDecide():
            return 403
        case TooLate() | WrongDigest():
            return 409
        case BadEdit() | BadText():
            return 422
        case NotFound():
            return 404
        case _:
            return 503


def see_other(path: str) -> web.Response:
    """On to another page, after a form was taken."""
    return web.Response(status=303, headers={"Location": path})
