"""`holdpoint keys create|list|rotate|revoke|check`: who may send requests, review and administer. A key is printed once."""

from __future__ import annotations

import sys

import click

from holdpoint import apikey, key_life
from holdpoint.cli import key_options as options
from holdpoint.cli.common import Refused, json_option, moment, operator, print_json, print_table, with_store
from holdpoint.clock import now_ms
from holdpoint.errors import PolicyError
from holdpoint.key_life import KeyRotation
from holdpoint.model import KeyRecord, Role
from holdpoint.policy import parse_policy
from holdpoint.store import Store
from holdpoint.visible import visible_line


@click.group()
def keys() -> None:
    """Keys of requesters, reviewers and admins."""


@keys.command()
@click.option("--principal", required=True, help="A person's e-mail address, or an agent's name.")
@click.option("--group", "groups", multiple=True, help="A group of the principal (repeat).")
@click.option("--role", "roles", multiple=True, type=click.Choice([role.value for role in Role]), help="Repeat.")
@click.option("--owner", help="The person who answers for an agent, and may not approve its requests.")
@click.option("--no-owner", is_flag=True, help="Nobody answers for this agent.")
@click.option("--connection", "connections", multiple=True, help="The key is for this connection only (repeat).")
@click.option("--from", "networks", multiple=True, metavar="CIDR", help="It works from this network only (repeat).")
@click.option("--name", default="", help="What is shown to people.")
@click.option("--expires", default="90d", show_default=True, help="30m, 12h, 90d … or never.")
@json_option
def create(
    *,
    principal: str,
    groups: tuple[str, ...],
    roles: tuple[str, ...],
    owner: str | None,
    no_owner: bool,
    connections: tuple[str, ...],
    networks: tuple[str, ...],
    name: str,
    expires: str,
    as_json: bool,
) -> None:
    """Create a key and print it, once."""
    now, life = now_ms(), options.lifetime(expires)
    new, whose = apikey.create(), options.principal(principal)
    record = KeyRecord(
        id=new.id,
        digest=new.digest,
        principal=whose,
        groups=frozenset(options.group(group) for group in groups),
        roles=frozenset(Role(role) for role in roles),
        created_ms=now,
        expires_ms=None if life is None else now + life,
        owner=options.owner(owner, none=no_owner, of=whose),
        name=visible_line(name),
        connections=options.connections(connections),
        networks=options.networks(networks),
    )
    if record.connections and record.roles:
        raise click.UsageError("--connection: such a key only sends requests; give it no --role, or make two")

    async def work(store: Store) -> frozenset[str]:
        await store.config.put_key(record, by=operator())
        return record.connections - await _known_connections(store) if record.connections else frozenset()

    unknown = with_store(work)
    _print_new(new, record, as_json=as_json)
    for connection in sorted(unknown):
        _warn(f"the policy in force has no connection {connection}")


@keys.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """All keys, without their secrets."""

    async def work(store: Store) -> tuple[list[KeyRecord], dict[str, int]]:
        return await store.config.keys(), await store.key_use.all()

    records, used = with_store(work)
    if as_json:
        print_json({"keys": [_public(record, used.get(record.id)) for record in records]})
        return
    now = now_ms()
    print_table(
        ["ID", "PRINCIPAL", "OWNER", "GROUPS", "ROLES", "ONLY FOR", "ONLY FROM", "CREATED", "LAST USED", "EXPIRES",
         "STATE", "NAME"],
        [
            [
                record.id,
                record.principal,
                record.owner or "-",
                ",".join(sorted(record.groups)) or "-",
                ",".join(sorted(record.roles)) or "-",
                ",".join(sorted(record.connections)) or "-",
                ",".join(record.networks) or "-",
                moment(record.created_ms),
                moment(used.get(record.id)),
                moment(record.expires_ms),
                _state_in_words(record, now),
                record.name,
            ]
            for record in records
        ],
    )  # fmt: skip


@keys.command()
@click.argument("key_id")
@click.option(
    "--overlap", default="24h", show_default=True, help="How long the old key still works; at most 30d, or 0."
)
@click.option("--expires", help="30m, 12h, 90d … Without it, as long as the old key was made for, or 90d.")
@json_option
def rotate(*, key_id: str, overlap: str, expires: str | None, as_json: bool) -> None:
    """Create a key in the place of another one, which still works for a while."""
    wanted, overlap_ms = options.key_id(key_id), options.overlap(overlap)
    life_ms = options.lifetime(expires) if expires is not None else None
    if expires is not None and life_ms is None:
        raise click.UsageError("--expires: a key that is rotated has an end")
    new = apikey.create()

    async def work(store: Store) -> KeyRotation:
        return await store.config.rotate_key(wanted, new, overlap_ms=overlap_ms, life_ms=life_ms, by=operator())

    rotation = with_store(work)
    _print_new(new, rotation.new, as_json=as_json, old=rotation.old)


@keys.command()
@click.argument("key_id")
@json_option
def revoke(*, key_id: str, as_json: bool) -> None:
    """End a key, by its id. Every process refuses it within a second."""
    wanted = options.key_id(key_id)

    async def work(store: Store) -> KeyRecord:
        return await store.config.revoke_key(wanted, by=operator())

    record = with_store(work)
    if as_json:
        print_json(_public(record))
    else:
        click.echo(f"key {record.id} of {visible_line(record.principal)} is revoked")
        if record.replaced_by is not None:
            _warn(f"key {record.replaced_by} took its place before, and is another one")


@keys.command()
@json_option
def check(*, as_json: bool) -> None:
    """Read a key from standard input: whose it is, and whether it is valid. Nothing of its secret is printed."""
    text = (click.prompt("Key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if apikey.key_id(text) is None:
        raise Refused("this is not a whole Holdpoint key: it was cut or mistyped")

    async def work(store: Store) -> tuple[list[KeyRecord], dict[str, int]]:
        return await store.config.keys(), await store.key_use.all()

    records, used = with_store(work)
    record = next((each for each in records if each.digest == apikey.digest(text)), None)
    if record is None:
        raise Refused("this key is whole, and not known here")
    if as_json:
        print_json(_public(record, used.get(record.id)))
    else:
        owner = f", owned by {visible_line(record.owner)}" if record.owner else ""
        click.echo(f"key {record.id} of {visible_line(record.principal)}{owner}: {_state_in_words(record, now_ms())}")
    if not key_life.is_valid(record, now_ms()):
        raise Refused(f"key {record.id} is {key_life.state(record, now_ms())}")


def _print_new(new: apikey.NewKey, record: KeyRecord, *, as_json: bool, old: KeyRecord | None = None) -> None:
    """The only time that the key is shown; what else there is to say goes to standard error."""
    if as_json:
        print_json({"key": new.text, **_public(record)})
    else:
        click.echo(new.text)
        whose = f"key {record.id} of {visible_line(record.principal)}"
        until = f"until {moment(record.expires_ms)}" if record.expires_ms else "without end"
        click.echo(f"{whose}, {until}; it is not stored and not shown again", err=True)
        if old is not None:
            click.echo(f"key {old.id}, which it replaces, works until {moment(old.expires_ms)}", err=True)
    if record.expires_ms is None:
        _warn("it never expires: whoever finds it can use it until somebody revokes it")
    if key_life.is_unowned_agent(record):
        _warn("nobody owns this agent: whoever runs it may approve its requests")


def _warn(text: str) -> None:
    click.echo(f"holdpoint: warning: {text}", err=True)


async def _known_connections(store: Store) -> frozenset[str]:
    stored = await store.config.policy()
    try:
        return frozenset(parse_policy(stored.text).connections) if stored is not None else frozenset()
    except PolicyError:
        return frozenset()


def _public(record: KeyRecord, used_ms: int | None = None) -> dict[str, object]:
    now = now_ms()
    return {
        "id": record.id,
        "principal": record.principal,
        "owner": record.owner,
        "name": record.name,
        "groups": sorted(record.groups),
        "roles": sorted(record.roles),
        "connections": sorted(record.connections),
        "networks": record.networks,
        "created_ms": record.created_ms,
        "last_used_ms": used_ms,
        "expires_ms": record.expires_ms,
        "expires_soon": key_life.ends_soon(record, now),
        "revoked_ms": record.revoked_ms,
        "replaces": record.replaces,
        "replaced_by": record.replaced_by,
        "state": key_life.state(record, now),
    }


def _state_in_words(record: KeyRecord, now: int) -> str:
    if record.replaced_by is not None and record.revoked_ms is None:
        return f"{key_life.state(record, now)}, now {record.replaced_by}"
    return "expires soon" if key_life.ends_soon(record, now) else key_life.state(record, now)
