"""``/link/<token>``: who follows the address that a chat account was shown, and says whether that account is theirs.

Nothing is bound here: saying yes shows a code, which the account has to type in chat (see `bot.linking` for why).
Looking at the page uses nothing up, so that what previews addresses does no harm.
"""

from __future__ import annotations

from aiohttp import web

from bot.linking import Linking, MayNotLink, SignedIn
from bot.web.pages import html
from bot.web.site import Site, site_of
from bot.web.visitors import Visitor, small_form_of, visitor
from holdpoint.errors import NotFound
from holdpoint.model import Account
from holdpoint.visible import visible_line

# Per platform: its name, what people type there, and what its accounts belong to.
_WORDS = {
    "slack": ("Slack", "/holdpoint link", "Workspace"),
    "teams": ("Teams", "@Holdpoint link", "Tenant"),
}


def routes() -> list[web.RouteDef]:
    return [web.get("/link/{token}", look), web.post("/link/{token}", confirm)]


async def look(request: web.Request) -> web.Response:
    """Which account it is, and a form to say that it is one's own."""
    site, who, token = site_of(request), await visitor(request), request.match_info["token"]
    try:
        account = await _linking(site).look(token, _signed_in(site, who))
    except (MayNotLink, NotFound) as error:
        return _refused(site, who, error)
    return _page(site, who, account, token=token)


async def confirm(request: web.Request) -> web.Response:
    """Use the address up, and show the code. It is shown once: a page that is loaded again finds nothing to use up."""
    site, (who, _) = site_of(request), await small_form_of(request)
    try:
        account, code = await _linking(site).confirm(request.match_info["token"], _signed_in(site, who))
    except (MayNotLink, NotFound) as error:
        return _refused(site, who, error)
    return _page(site, who, account, code=code)


def _linking(site: Site) -> Linking:
    return Linking(site.store, site.live, clock=site.clock)


def _signed_in(site: Site, who: Visitor) -> SignedIn:
    session = who.session
    if session.person is not None:
        return SignedIn(who.reviewer, f"a sign-in at {session.person.issuer}", session=session.id)
    key = site.live.snapshot.keys.get(session.key_digest)
    return SignedIn(who.reviewer, f"key {key.id}" if key is not None else "a key", session.key_digest, session.id)


def _page(site: Site, who: Visitor, account: Account, *, token: str = "", code: str = "") -> web.Response:
    platform, typed, place_word = _WORDS.get(account.platform, (account.platform, "link", "Place"))
    return html(
        "web/link.html", site, who, account=_inert(account), platform=platform, typed=typed, place_word=place_word,
        token=token, code=code, problem="",
    )  # fmt: skip


def _refused(site: Site, who: Visitor, error: MayNotLink | NotFound) -> web.Response:
    status = 404 if isinstance(error, NotFound) else 403
    return html("web/link.html", site, who, status=status, problem=str(error))


def _inert(account: Account) -> Account:
    """Its texts with hidden and controlling characters written out: people give themselves names."""
    shown = (visible_line(text) for text in (account.place, account.user_id, account.name, account.email))
    return Account(account.platform, *shown)
