"""``link``, ``unlink``, ``links``: whose chat accounts are whose. See `bot.linking` for why linking takes two steps."""

from __future__ import annotations

from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import many, moment
from bot.answers import Answer, Table, refusal
from bot.linking import Linking, MayNotLink
from holdpoint.linked import Link, address_of
from holdpoint.model import Account, Role

_MOST_ROWS = 200
_NOT_IN_CHAT = "Type this in Slack or Teams, from the account that it is about."
_BEGUN = (
    "Open this address within ten minutes, and sign in as who you are to Holdpoint. The page then shows a code to type here.",
    "It is for you alone: never follow such an address that somebody else sends you.",
)


async def _link(office: Office, call: Call) -> Answer:
    account = call.by.account
    if account is None:
        return refusal(_NOT_IN_CHAT)
    code, linking = call.get("code"), _linking(office)
    try:
        if code:
            return _made(await linking.finish(account, code))
        path = await linking.begin(account)
    except MayNotLink as error:
        return refusal(str(error))
    address = f"{office.link_base}{path}"
    return Answer(True, (*_BEGUN, address), link=address, link_says="Open the page")


def _made(link: Link) -> Answer:
    line = f"This account is {link.principal} from now on: what it decides, {link.principal} has decided."
    return Answer(True, (line, "unlink ends that."), text=f"- {link.email_then}\n+ {link.principal}")


async def _unlink(office: Office, call: Call) -> Answer:
    account, person = call.by.account, call.get("person")
    if person:
        return await _unlink_person(office, call, person)
    if account is None:
        return refusal(_NOT_IN_CHAT)
    link = office.live.snapshot.linked.of(account.platform, account.user_id)
    if link is None:
        return refusal("This account is not linked to anybody.")
    await _linking(office).remove(link, by=call.by.principal)
    return Answer(True, (f"This account is {account.email} again.",), text=f"- {link.principal}\n+ {account.email}")


async def _unlink_person(office: Office, call: Call, person: str) -> Answer:
    if Role.ADMIN not in call.by.roles:
        return refusal("Only admins may unlink the accounts of somebody else. Without a name: unlink this account.")
    wanted = address_of(person) or person
    found = [link for link in await office.store.links.all() if wanted in (link.principal, link.email_then, link.key)]
    if not found:
        return refusal("No account is linked to this person. links shows all that are.")
    for link in found:
        await _linking(office).remove(link, by=call.by.principal)
    line = f"{many(len(found), 'account')} unlinked; each is who its own e-mail address says again."
    return Answer(True, (line,), text="\n".join(f"- {link.key} {link.principal}" for link in found))


async def _links(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    links = await office.store.links.all()
    if not links:
        return Answer(True, ("No chat account is linked: all are who their own e-mail addresses say.",))
    rows = tuple(
        (link.key, f"{link.name} <{link.email_then}>", link.principal, moment(link.at_ms), link.by, _state(link))
        for link in links[-_MOST_ROWS:]
    )
    lines = (f"The newest {_MOST_ROWS:,} of {len(links):,}:",) if len(links) > _MOST_ROWS else ()
    return Answer(True, lines, Table(("account", "name and address then", "is", "since", "shown by", ""), rows))


def _state(link: Link) -> str:
    return "in force" if link.voided_ms is None else f"void since {moment(link.voided_ms)}: its address has changed"


def known_by(office: Office, account: Account | None, channel: str) -> tuple[tuple[str, str], ...]:
    """How somebody is known: rows for ``whoami``, short enough for a chat's table."""
    if account is None:
        return (("known by", f"a sign-in or a Holdpoint key ({channel})"),)
    where = ("account", f"{account.platform} {account.user_id}" + (f" of {account.place}" if account.place else ""))
    link = office.live.snapshot.linked.of(account.platform, account.user_id)
    if link is None:
        return (("known by", f"the e-mail address {account.email}"), where)
    if link.voided_ms is not None:
        void = f"to {link.principal}, void since {moment(link.voided_ms)}"
        return (("known by", f"the e-mail address {account.email}"), where, ("link", void))
    return (("known by", f"a link of {account.email}"), where, ("linked", f"{moment(link.at_ms)}, by {link.by}"))


def _linking(office: Office) -> Linking:
    return Linking(office.store, office.live, clock=office.clock)


TABLE: tuple[Command, ...] = (
    command("link [code]", Access.EVERYBODY, "bind this chat account to who you sign in as", _link, personal=True),
    command(
        "unlink [person]", Access.EVERYBODY, "end that; admins: for all accounts of a person", _unlink, personal=True
    ),
    command("links", Access.ADMINS, "which chat accounts are linked to whom", _links),
)
