"""``sessions …``: where somebody is signed in to the web inbox, and the end of that."""

from __future__ import annotations

from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import many, moment
from bot.answers import Answer, Table

_HEADER = ("id", "signed in with", "from", "since", "until")


async def _list(office: Office, call: Call) -> Answer:
    principal = call["person"]
    found = await office.store.sessions.of(principal)
    if not found:
        return Answer(True, (f"{principal} is signed in nowhere.",))
    rows = tuple(
        (
            session.id, session.person.issuer if session.person else "a Holdpoint key", session.address,
            moment(session.started_ms), moment(session.ends_ms),
        )
        for session in found
    )  # fmt: skip  # in the order of the header
    return Answer(True, table=Table(_HEADER, rows))


async def _end(office: Office, call: Call) -> Answer:
    principal, session_id, by = call["person"], call.get("id"), call.by.principal
    sessions = office.store.sessions
    if session_id:
        ended = int(await sessions.end_one(principal, session_id, by=by, reason="ended by an admin"))
    else:
        ended = await sessions.end_all(principal, by=by, reason="ended by an admin")
    if not ended:
        return Answer(True, (f"{principal} has no such session; nothing was changed.",))
    hint = "Who still has the right signs in again; take it away in the policy, at the provider, or with keys revoke."
    return Answer(True, (f"{many(ended, 'session')} of {principal} ended.", hint))


TABLE: tuple[Command, ...] = (
    command("sessions list <person>", Access.ADMINS, "where somebody is signed in to the web inbox", _list),
    command(
        "sessions end <person> [id]", Access.ADMINS, "sign somebody out, of one session or of all", _end, personal=True
    ),
)
