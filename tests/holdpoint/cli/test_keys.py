from __future__ import annotations

import pytest

from holdpoint import apikey
from holdpoint.store import Store
from tests.support.cli import Cli


@pytest.mark.promise(8)
async def test_a_key_is_printed_once_and_only_its_digest_is_stored(cli: Cli, store: Store) -> None:
    ended = cli("keys", "create", "--principal", "Dana@Example.com", "--group", "contractors", "--group", "night")
    assert ended.code == 0
    text = ended.out.strip()
    (record,) = await store.config.keys()
    assert (record.id, record.digest) == (apikey.key_id(text), apikey.digest(text))
    assert (record.principal, record.groups) == ("dana@example.com", frozenset({"contractors", "night"}))
    assert text not in ended.err + cli("keys", "list").out + cli("keys", "list", "--json").out


async def test_an_agent_has_its_owner_its_roles_and_its_expiry(cli: Cli, store: Store) -> None:
    created = cli(
        "keys", "create", "--principal", "nightly-agent", "--owner", "Dana@example.com",
        "--role", "reviewer", "--role", "admin", "--expires", "12h", "--name", "the nightly agent", "--json",
    ).json  # fmt: skip
    (record,) = await store.config.keys()
    assert apikey.digest(created["key"]) == record.digest
    assert (record.principal, record.owner, record.name) == ("nightly-agent", "dana@example.com", "the nightly agent")
    assert sorted(record.roles) == ["admin", "reviewer"]
    assert record.expires_ms == record.created_ms + 12 * 3_600_000


async def test_a_key_may_live_for_ever_and_else_lives_for_90_days(cli: Cli, store: Store) -> None:
    cli("keys", "create", "--principal", "a", "--expires", "never")
    cli("keys", "create", "--principal", "b")
    expiries = {record.principal: record.expires_ms for record in await store.config.keys()}
    created = {record.principal: record.created_ms for record in await store.config.keys()}
    assert expiries == {"a": None, "b": created["b"] + 90 * 86_400_000}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--principal", "two words"], "--principal: must be an e-mail"),
        (["--principal", "a\u202eb"], "--principal: must be an e-mail"),
        (["--principal", "a@b@c"], "--principal: must be an e-mail"),
        (["--principal", "a", "--expires", "soon"], "--expires: must be like"),
        (["--principal", "a", "--expires", "0d"], "--expires: must be like"),
        (["--principal", "a", "--role", "king"], "'king' is not one of"),
        (["--principal", "a", "--group", ""], "--group: must be a group's name"),
        (["--principal", "a", "--owner", "a"], "--owner: an agent's owner is somebody else"),
    ],
)
async def test_a_wrong_option_is_refused_and_nothing_is_stored(
    options: list[str], said: str, cli: Cli, store: Store
) -> None:
    ended = cli("keys", "create", *options)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert await store.config.keys() == []


async def test_a_key_is_revoked_by_its_id_or_by_itself_and_stays_in_the_list(cli: Cli, store: Store) -> None:
    first = cli("keys", "create", "--principal", "a", "--json").json
    second = cli("keys", "create", "--principal", "b", "--json").json
    assert cli("keys", "revoke", first["id"]).code == 0
    ended = cli("keys", "revoke", second["key"])
    assert ended.code == 0
    assert second["key"] not in ended.out + ended.err
    assert all(record.revoked_ms for record in await store.config.keys())
    assert {key["state"] for key in cli("keys", "list", "--json").json["keys"]} == {"revoked"}


@pytest.mark.promise(8)
def test_an_unknown_key_is_not_repeated_in_the_error(cli: Cli) -> None:
    key = apikey.create().text
    ended = cli("keys", "revoke", key)
    assert ended.code == 1
    assert ended.err == f"holdpoint: there is no key '{apikey.key_id(key)}'\n"


@pytest.mark.promise(7)
def test_a_name_cannot_draw_on_the_terminal(cli: Cli) -> None:
    cli("keys", "create", "--principal", "a", "--name", "x\x1b[2J\ny")
    out = cli("keys", "list").out
    assert "\x1b" not in out
    assert "⟨U+001B⟩" in out
    assert len(out.splitlines()) == 2
