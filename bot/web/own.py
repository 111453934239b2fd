"""A requester's own request: what became of it, and what they can say: answer, justify, take it back. Never the decision.

Whoever sent a request may look at it, with any key of theirs; so the link in their mail leads here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot import facts, requester_facts
from bot.conversation import is_requester, open_questions
from bot.web import forms
from bot.web.pages import Notice, html, record, see_other, sentence, status_of, view_of
from bot.web.site import Site, site_of
from bot.web.visitors import Visitor, form_of, visitor
from bot.withdraw import Withdrawals
from holdpoint.errors import DecisionError, NotFound, StoreUnavailable
from holdpoint.model import Hold

_SHOWN_CHARACTERS = 200_000


def routes() -> list[web.RouteDef]:
    return [web.get("/requests/{id}", one), web.post("/requests/{id}", say)]


async def one(request: web.Request) -> web.Response:
    """One request."""
    site, who = site_of(request), await visitor(request)
    return await _page(site, who, await _hold_of(request, site, who))


async def say(request: web.Request) -> web.Response:
    """Answer, justify or take back; then back to the page, or the page again with what went wrong."""
    site, (who, fields) = site_of(request), await form_of(request)
    hold = await _hold_of(request, site, who)
    try:
        await _say(site, hold, who, fields)
    except (DecisionError, StoreUnavailable, NotFound) as error:
        fresh = await _hold_of(request, site, who)
        notice = Notice("bad", sentence(error))
        return await _page(site, who, fresh, fields=fields, notice=notice, status=status_of(error))
    return see_other(f"/requests/{hold.id}")


async def _say(site: Site, hold: Hold, who: Visitor, fields: Mapping[str, Any]) -> None:
    match fields.get("say"):
        case "answer":
            question = str(fields.get("question", ""))
            await site.conversation.answer(hold.id, question, who.reviewer, forms.text(fields, "text"))
        case "justify":
            await site.conversation.justify(hold.id, who.reviewer, forms.text(fields, "text"))
        case "withdraw":
            await Withdrawals(site.store, clock=site.clock).withdraw(hold.id, who.reviewer.principal)
        case _:
            raise forms.BadForm("nothing that can be said")


async def _hold_of(request: web.Request, site: Site, who: Visitor) -> Hold:
    """The request of the path, if it is this person's own; another one looks like none."""
    hold = await site.store.holds.get(request.match_info["id"])
    if not is_requester(hold, who.reviewer.principal):
        raise NotFound("there is no such hold")
    return hold


async def _page(
    site: Site,
    who: Visitor,
    hold: Hold,
    *,
    fields: Mapping[str, Any] | None = None,
    notice: Notice | None = None,
    status: int = 200,
) -> web.Response:
    """The page as the hold is now, with what was typed (``fields``) and what went wrong. What it shows is recorded first."""
    view = view_of(site, hold, who, limit=_SHOWN_CHARACTERS, count=1)
    await record(site, who, view)
    asked = {question.id for question in open_questions(hold)}
    return html(
        "web/own.html",
        site,
        who,
        status=status,
        view=view,
        title=requester_facts.title(view),
        facts=requester_facts.facts(view),
        said=requester_facts.said(view),
        history=facts.history(view, most=50),
        questions=[question for question in view.questions if question.id in asked],
        typed={"say": "", "question": "", "text": "", **(fields or {})},
        notice=notice,
    )
