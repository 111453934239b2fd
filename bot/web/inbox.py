"""The web inbox: the list, one hold with everything on it, the decision forms, and the stream that says "look again".

Every page is drawn anew from the stored hold (`pages.py`). Everything works with plain forms; the script only saves
clicks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionResetError

from bot.inputs import PREPARED, REASON, reason_of
from bot.web import forms
from bot.web.editing import diffs, texts
from bot.web.listing import bundled, is_cursor, visible_holds
from bot.web.pages import Notice, has_seen_whole, hold_of, html, masks_of, page, see_other, sentence, status_of, view_of
from bot.web.site import Site, site_of
from bot.web.visitors import SignInFirst, Visitor, form_of, visitor
from holdpoint.errors import BadEdit, DecisionError, MayNotDecide, NotFound, StepUpNeeded, StoreUnavailable, TooLate
from holdpoint.model import DecisionKind, Edit, State
from holdpoint.store.bundles import Covered

_PAGE = 50
_BEAT_S = 10.0


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", home),
        web.get("/review", inbox),
        web.get("/review/events", events),
        web.get("/review/{id}", one),
        web.post("/review/{id}", decide),
        web.post("/review/{id}/preview", preview),
    ]


async def home(_request: web.Request) -> web.Response:
    """The inbox is the front page."""
    return see_other("/review")


async def inbox(request: web.Request) -> web.Response:
    """The list."""
    site, who = site_of(request), await visitor(request)
    shown = request.query.get("state", "pending")
    if shown not in ("pending", "all"):
        raise web.HTTPNotFound
    state = State.PENDING if shown == "pending" else None
    cursor = request.query.get("cursor", "")
    holds, following = await visible_holds(
        site.store, who.lists, state=state, limit=_PAGE, cursor=cursor if is_cursor(cursor) else None
    )
    views = [view_of(site, bundle[0], who, limit=600, count=len(bundle)) for bundle in bundled(holds)]
    if state is State.PENDING:
        views.sort(key=lambda view: view.deadline_ms)
    return html("web/inbox.html", site, who, views=views, shown=shown, following=following)


async def one(request: web.Request) -> web.Response:
    """One hold."""
    site, who = site_of(request), await visitor(request)
    hold = await hold_of(request, site, who)
    return await page(request, site, who, hold)


async def decide(request: web.Request) -> web.Response:
    """Approve, approve with edits, or reject; then back to the page, or the page again with what went wrong."""
    site, (who, fields) = site_of(request), await form_of(request)
    hold = await hold_of(request, site, who)
    choice = forms.choice(hold.id, fields)
    if "preview" in fields:
        return await page(request, site, who, hold, fields=fields)
    try:
        if not who.may_decide:
            raise MayNotDecide("Your key has no reviewer role.")
        whole = await has_seen_whole(site, who, hold)
        changes = forms.edits(hold, texts(hold, masks_of(site)), fields)
        if fields.get("with_edits") and not changes and hold.state is State.PENDING:
            raise BadEdit("You have not changed anything yet.")
        reason = choice.reason
        if choice.kind is DecisionKind.REJECT:
            reason = reason_of({PREPARED: choice.prepared, REASON: reason}, hold.evaluation.terms.reasons)
        await _decide(site, who, replace(choice, reason=reason), changes, whole=whole)
    except StepUpNeeded as error:
        return see_other(urlsplit(error.url).path)
    except (DecisionError, StoreUnavailable, NotFound) as error:
        # The page is drawn from the hold as it is now, so that it tells the truth whatever went wrong.
        notice = Notice("bad", sentence(error))
        fresh = await hold_of(request, site, who)
        return await page(request, site, who, fresh, fields=fields, notice=notice, status=status_of(error))
    return see_other(f"/review/{hold.id}")


async def _decide(site: Site, who: Visitor, choice: forms.Choice, changes: Sequence[Edit], *, whole: bool) -> None:
    """The same for every hold that the page showed as one, whatever has become of some of them.

    Raises:
        StepUpNeeded: those that it is needed for are kept, all together.
        DecisionError, NotFound: why the first of those was not decided that were not.
        StoreUnavailable.
    """
    unconfirmed, failed = list[Covered](), list[DecisionError | NotFound]()
    for hold_id in choice.covered:
        try:
            await site.decider.decide(
                hold_id, who.reviewer, choice.kind,
                digest=choice.digest, reason=choice.reason, edits=changes, seen_whole=whole, asking=False,
            )  # fmt: skip
        except StepUpNeeded:
            unconfirmed.append(Covered(hold_id, choice.digest))
        except (DecisionError, NotFound) as error:
            failed.append(error)
    if unconfirmed:
        raise await site.decider.step_up.ask(
            who.reviewer, unconfirmed, reason=choice.reason, edits=changes, seen_whole=whole
        )
    if failed and (done := len(choice.covered) - len(failed)):
        word = "approved" if choice.kind is DecisionKind.APPROVE else "rejected"
        raise TooLate(f"{done} of {len(choice.covered)} {word}. {sentence(failed[0])}") from failed[0]
    if failed:
        raise failed[0]


async def preview(request: web.Request) -> web.Response:
    """The diff of what stands in the text areas, for the script: ``{"edits": [{"label", "lines": [[sign, text], …]}]}``."""
    site, (who, fields) = site_of(request), await form_of(request)
    hold = await hold_of(request, site, who)
    found = [{"label": label, "lines": [[line.change, line.text] for line in lines]}
             for label, lines in diffs(hold, masks_of(site), fields)]  # fmt: skip
    return web.Response(body=orjson.dumps({"edits": found}), content_type="application/json")


async def events(request: web.Request) -> web.StreamResponse:
    """The stream of one open page. Ends with the session, and with the process."""
    site = site_of(request)
    await visitor(request)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep the events back
    await response.prepare(request)
    try:
        await response.write(b"retry: 1000\n\n")
        async for changed in site.feed.changes(request.query.get("hold"), beat_s=_BEAT_S):
            try:
                await visitor(request, active=False)
            except SignInFirst:
                break
            await response.write(b"event: changed\ndata: .\n\n" if changed else b": beat\n\n")
    except (ClientConnectionResetError, StoreUnavailable):
        pass  # the page is gone, or it comes back and asks again
    return response
