"""``keys …``: which Holdpoint keys there are, and the end of one. They are made where only one person sees them: `holdpoint keys`."""

from __future__ import annotations

from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import moment
from bot.answers import Answer, Table, refusal
from holdpoint import apikey, key_life
from holdpoint.model import KeyRecord

_NO_ID = refusal("That is no key's id: eight letters and digits, as keys list shows them.")
_HEADER = ("id", "principal", "owner", "roles", "only for", "only from", "last used", "expires", "state")


async def _list(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    """Those that count now; ended ones are in the record, and in `holdpoint keys list`."""
    now_ms = office.clock()
    valid = [record for record in await office.store.config.keys() if key_life.is_valid(record, now_ms)]
    if not valid:
        return Answer(True, ("No key is valid.",))
    used = await office.store.key_use.all()
    return Answer(True, table=Table(_HEADER, tuple(_row(record, used.get(record.id), now_ms) for record in valid)))


async def _revoke(office: Office, call: Call) -> Answer:
    # Who pastes the whole key means its id; the rest must not come back in the answer.
    key_id = apikey.id_in(call["id"])
    if key_id is None:
        return _NO_ID
    record = await office.store.config.revoke_key(key_id, by=call.by.principal)
    await office.live.look()
    successor = f" Key {record.replaced_by} took its place before, and is another one." if record.replaced_by else ""
    return Answer(True, (f"Key {record.id} of {record.principal} is revoked.{successor}",))


def _row(record: KeyRecord, used_ms: int | None, now_ms: int) -> tuple[str, ...]:
    state = "expires soon" if key_life.ends_soon(record, now_ms) else key_life.state(record, now_ms)
    if record.replaced_by is not None:
        state = f"{state}, now {record.replaced_by}"
    return (
        record.id, record.principal, record.owner or "", ", ".join(sorted(record.roles)),
        ", ".join(sorted(record.connections)), ", ".join(record.networks), moment(used_ms) if used_ms else "",
        moment(record.expires_ms) if record.expires_ms is not None else "never", state,
    )  # fmt: skip  # in the order of the header


TABLE: tuple[Command, ...] = (
    command("keys list", Access.OVERSEERS, "the Holdpoint keys that are valid, and when they were last used", _list),
    command("keys revoke <id>", Access.ADMINS, "end one, at once and for good", _revoke, personal=True),
)
