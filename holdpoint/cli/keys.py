"""`holdpoint keys create|list|revoke`: who may send requests, review and administer. A key is printed once."""

from __future__ import annotations

import re

import click

from holdpoint import apikey
from holdpoint.cli.common import json_option, moment, operator, print_json, print_table, with_store
from holdpoint.clock import now_ms
from holdpoint.model import KeyRecord, Role
from holdpoint.store import Store
from holdpoint.visible import visible_line

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LIFETIME = re.compile(r"([1-9]\d{0,5})([mhd])\Z")
_PRINCIPAL = re.compile(r"[^\s@]+(@[^\s@]+)?\Z")


@click.group()
def keys() -> None:
    """Keys of requesters, reviewers and admins."""


@keys.command()
@click.option("--principal", required=True, help="A person's e-mail address, or an agent's name.")
@click.option("--group", "groups", multiple=True, help="A group of the principal (repeat).")
@click.option("--role", "roles", multiple=True, type=click.Choice([role.value for role in Role]), help="Repeat.")
@click.option("--owner", help="The person who answers for an agent.")
@click.option("--name", default="", help="What is shown to people.")
@click.option("--expires", default="90d", show_default=True, help="30m, 12h, 90d … or never.")
@json_option
def create(
    *,
    principal: str,
    groups: tuple[str, ...],
    roles: tuple[str, ...],
    owner: str | None,
    name: str,
    expires: str,
    as_json: bool,
) -> None:
    """Create a key and print it, once."""
    now = now_ms()
    new = apikey.create()
    record = KeyRecord(
        id=new.id,
        digest=new.digest,
        principal=_principal(principal, "--principal"),
        groups=frozenset(_group(group) for group in groups),
        roles=frozenset(Role(role) for role in roles),
        created_ms=now,
        expires_ms=_expiry(expires, now),
        owner=_principal(owner, "--owner") if owner else None,
        name=visible_line(name),
    )
    if record.owner == record.principal:
        raise click.UsageError("--owner: an agent's owner is somebody else than the agent")

    async def work(store: Store) -> None:
        await store.config.put_key(record, by=operator())

    with_store(work)
    if as_json:
        print_json({"key": new.text, **_public(record)})
        return
    click.echo(new.text)
    until = f"until {moment(record.expires_ms)}" if record.expires_ms else "without end"
    click.echo(f"key {record.id} of {record.principal}, {until}; it is not stored and not shown again", err=True)


@keys.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """All keys, without their secrets."""

    async def work(store: Store) -> list[KeyRecord]:
        return await store.config.keys()

    records = with_store(work)
    if as_json:
        print_json({"keys": [_public(record) for record in records]})
        return
    now = now_ms()
    print_table(
        ["ID", "PRINCIPAL", "OWNER", "GROUPS", "ROLES", "CREATED", "EXPIRES", "STATE", "NAME"],
        [
            [
                record.id,
                record.principal,
                record.owner or "-",
                ",".join(sorted(record.groups)) or "-",
                ",".join(sorted(record.roles)) or "-",
                moment(record.created_ms),
                moment(record.expires_ms),
                _state(record, now),
                record.name,
            ]
            for record in records
        ],
    )


@keys.command()
@click.argument("key_id")
@json_option
def revoke(*, key_id: str, as_json: bool) -> None:
    """End a key, by its id. Every process refuses it within a second."""
    # Whoever pastes the whole key means its id; the rest must not go into an error message.
    wanted = key_id.removeprefix("hp_").split("_", 1)[0]

    async def work(store: Store) -> KeyRecord:
        return await store.config.revoke_key(wanted, by=operator())

    record = with_store(work)
    if as_json:
        print_json(_public(record))
    else:
        click.echo(f"key {record.id} of {visible_line(record.principal)} is revoked")


def _public(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "principal": record.principal,
        "owner": record.owner,
        "name": record.name,
        "groups": sorted(record.groups),
        "roles": sorted(record.roles),
        "created_ms": record.created_ms,
        "expires_ms": record.expires_ms,
        "revoked_ms": record.revoked_ms,
        "state": _state(record, now_ms()),
    }


def _state(record: KeyRecord, now: int) -> str:
    if record.revoked_ms is not None:
        return "revoked"
    return "expired" if record.expires_ms is not None and record.expires_ms <= now else "valid"


def _principal(text: str, option: str) -> str:
    """An e-mail in lower case, because identities are compared as text; an agent's name as it is."""
    text = text.strip()
    if not _PRINCIPAL.match(text) or text != visible_line(text):
        raise click.UsageError(f"{option}: must be an e-mail address or a name without spaces")
    return text.lower() if "@" in text else text


def _group(text: str) -> str:
    if not text or text != visible_line(text) or text != text.strip():
        raise click.UsageError("--group: must be a group's name")
    return text


def _expiry(text: str, now: int) -> int | None:
    if text == "never":
        return None
    found = _LIFETIME.match(text)
    if found is None:
        raise click.UsageError("--expires: must be like 30m, 12h or 90d, or 'never'")
    return now + int(found[1]) * _UNITS_MS[found[2]]
