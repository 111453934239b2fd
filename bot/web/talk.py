"""What a reviewer says from a hold's page before deciding: "I am on it", and a question to the requester."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot.conversation import Conversation
from bot.web import forms
from bot.web.pages import Notice, hold_of, page, see_other, sentence, status_of
from bot.web.site import site_of
from bot.web.visitors import Visitor, form_of
from holdpoint.errors import DecisionError, MayNotDecide, NotFound, StoreUnavailable


def routes() -> list[web.RouteDef]:
    return [web.post("/review/{id}/talk", talk)]


async def talk(request: web.Request) -> web.Response:
    """Claim, give back or ask; then back to the page, or the page again with what went wrong."""
    site, (who, fields) = site_of(request), await form_of(request)
    hold = await hold_of(request, site, who)
    try:
        if not who.may_decide:
            raise MayNotDecide("Your key has no reviewer role.")
        await _say(site.conversation, hold.id, who, fields)
    except (DecisionError, StoreUnavailable, NotFound) as error:
        fresh = await hold_of(request, site, who)
        notice = Notice("bad", sentence(error))
        return await page(
            request, site, who, fresh, fields=fields, notice=notice, status=status_of(error)
        )  # fmt: skip
    return see_other(f"/review/{hold.id}")


async def _say(conversation: Conversation, hold_id: str, who: Visitor, fields: Mapping[str, Any]) -> None:
    match fields.get("say"):
        case "claim":
            await conversation.claim(hold_id, who.reviewer)
        case "unclaim":
            await conversation.unclaim(hold_id, who.reviewer)
        case "ask":
            await conversation.ask(hold_id, who.reviewer, forms.text(fields, "question"))
        case _:
            raise forms.BadForm("nothing that can be said")
