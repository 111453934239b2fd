from __future__ import annotations

import pytest

from holdpoint import apikey
from holdpoint.store import Store
from tests.bot.world import POLICY
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
    endless = cli("keys", "create", "--principal", "a@x", "--expires", "never")
    usual = cli("keys", "create", "--principal", "b@x")
    expiries = {record.principal: record.expires_ms for record in await store.config.keys()}
    created = {record.principal: record.created_ms for record in await store.config.keys()}
    assert expiries == {"a@x": None, "b@x": created["b@x"] + 90 * 86_400_000}
    assert "warning: it never expires" in endless.err
    assert "warning" not in usual.err


async def test_an_agent_without_an_owner_is_made_in_so_many_words_only(cli: Cli, store: Store) -> None:
    refused = cli("keys", "create", "--principal", "nightly")
    assert (refused.code, refused.out) == (2, "")
    assert "--owner: an agent needs one" in refused.err
    assert "--no-owner" in refused.err
    made = cli("keys", "create", "--principal", "nightly", "--no-owner")
    assert made.code == 0
    assert "warning: nobody owns this agent: whoever runs it may approve its requests" in made.err
    (record,) = await store.config.keys()
    assert (record.principal, record.owner) == ("nightly", None)


async def test_what_a_key_is_for_and_from_where(cli: Cli, store: Store) -> None:
    await store.config.push_policy(POLICY, expect=0, by="test")
    made = cli(
        "keys", "create", "--principal", "nightly", "--owner", "dana@example.com", "--connection", "demo",
        "--connection", "later", "--from", "10.0.0.0/8", "--from", "2001:DB8::/32", "--from", "::ffff:192.0.2.0/120",
        "--from", "10.0.0.0/8", "--from", "192.0.2.7",
    )  # fmt: skip
    assert "warning: the policy in force has no connection later" in made.err
    assert "connection demo" not in made.err
    (record,) = await store.config.keys()
    assert record.connections == {"demo", "later"}
    assert record.networks == ("10.0.0.0/8", "2001:db8::/32", "192.0.2.0/24", "192.0.2.7/32")
    (listed,) = cli("keys", "list", "--json").json["keys"]
    assert (listed["connections"], listed["networks"]) == (["demo", "later"], list(record.networks))
    assert "demo,later  10.0.0.0/8,2001:db8::/32," in cli("keys", "list").out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--principal", "two words"], "--principal: must be an e-mail"),
        (["--principal", "a\u202eb"], "--principal: must be an e-mail"),
        (["--principal", "a@b@c"], "--principal: must be an e-mail"),
        (["--principal", "a@x", "--expires", "soon"], "--expires: must be like"),
        (["--principal", "a@x", "--expires", "0d"], "--expires: must be like"),
        (["--principal", "a", "--role", "king"], "'king' is not one of"),
        (["--principal", "a@x", "--group", ""], "--group: must be a group's name"),
        (["--principal", "a", "--owner", "A"], "--owner: an agent's owner is somebody else"),
        (["--principal", "bot@x", "--owner", "ＢOT@X"], "--owner: an agent's owner is somebody else"),
        (["--principal", "a", "--owner", "b"], "--owner: must be a person's e-mail address"),
        (["--principal", "a", "--owner", "b@x", "--no-owner"], "--owner and --no-owner: one or the other"),
        (["--principal", "a@x", "--no-owner"], "--no-owner: a person has no owner anyway"),
        (["--principal", "a@x", "--from", "10.0.0.1/8"], "--from: 10.0.0.1/8 has host bits set; it is like"),
        (["--principal", "a@x", "--from", "everywhere"], "--from: 'everywhere' does not appear to be"),
        (["--principal", "a@x", "--from", ""], "--from: "),
        (["--principal", "a@x", "--from", "unix:"], "--from: "),
        (["--principal", "a@x", "--connection", "a/b"], "--connection: must be a connection's name"),
        (["--principal", "a@x", "--connection", ""], "--connection: must be a connection's name"),
        (["--principal", "a@x", "--connection", "demo", "--role", "reviewer"], "--connection: such a key only sends"),
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
    first = cli("keys", "create", "--principal", "a@x", "--json").json
    second = cli("keys", "create", "--principal", "b@x", "--json").json
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


@pytest.mark.promise(8)
@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_a_secret_in_the_place_of_an_id_is_not_repeated(cli: Cli, verb: str) -> None:
    secret = apikey.create().text.rsplit("_", 1)[1]
    ended = cli("keys", verb, secret)
    assert ended.code == 2
    assert "must be a key's id" in ended.err
    assert secret not in ended.out + ended.err


async def test_a_key_is_rotated(cli: Cli, store: Store) -> None:
    first = cli(
        "keys", "create", "--principal", "nightly", "--owner", "dana@example.com", "--expires", "30d", "--json"
    ).json
    ended = cli("keys", "rotate", first["id"])
    assert ended.code == 0
    old, new = await store.config.keys()
    assert (apikey.digest(ended.out.strip()), apikey.key_id(ended.out.strip())) == (new.digest, new.id)
    assert (new.principal, new.owner, new.replaces, old.replaced_by) == ("nightly", "dana@example.com", old.id, new.id)
    assert old.expires_ms == new.created_ms + 86_400_000
    assert new.expires_ms == new.created_ms + 30 * 86_400_000
    assert f"key {old.id}, which it replaces, works until " in ended.err
    listed = {key["id"]: key for key in cli("keys", "list", "--json").json["keys"]}
    assert (listed[old.id]["state"], listed[new.id]["state"]) == ("rotated", "valid")
    assert f"rotated, now {new.id}" in cli("keys", "list").out
    again = cli("keys", "rotate", old.id)
    assert (again.code, again.out) == (1, "")
    assert again.err == f"holdpoint: key {old.id} was rotated already: rotate its successor {new.id}\n"
    revoked = cli("keys", "revoke", old.id)
    assert f"key {new.id} took its place before, and is another one" in revoked.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--overlap", "31d"], "--overlap: must be like 30m, 24h or 7d, at most 30d, or 0"),
        (["--overlap", "soon"], "--overlap: must be like"),
        (["--overlap", "never"], "--overlap: must be like"),
        (["--overlap", "-1h"], "--overlap: must be like"),
        (["--expires", "never"], "--expires: a key that is rotated has an end"),
        (["--expires", "soon"], "--expires: must be like"),
    ],
)
def test_a_wrong_rotation_changes_nothing(cli: Cli, options: list[str], said: str) -> None:
    ended = cli("keys", "rotate", "abcd1234", *options)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


async def test_a_rotation_can_end_the_old_key_at_once(cli: Cli, store: Store) -> None:
    first = cli("keys", "create", "--principal", "a@x", "--json").json
    made = cli("keys", "rotate", first["id"], "--overlap", "0", "--expires", "12h", "--json").json
    assert made["replaces"] == first["id"]
    assert made["expires_ms"] == made["created_ms"] + 12 * 3_600_000
    assert {key["id"]: key["state"] for key in cli("keys", "list", "--json").json["keys"]} == {
        first["id"]: "expired", made["id"]: "valid",
    }  # fmt: skip


async def test_the_list_says_what_ends_soon_and_what_was_used(cli: Cli, store: Store) -> None:
    soon = cli("keys", "create", "--principal", "a@x", "--expires", "7d", "--json").json
    later = cli("keys", "create", "--principal", "b@x", "--json").json
    await store.key_use.write({later["id"]: 1_700_000_000_000})
    listed = {key["id"]: key for key in cli("keys", "list", "--json").json["keys"]}
    assert [listed[key["id"]]["expires_soon"] for key in (soon, later)] == [True, False]
    assert [listed[key["id"]]["last_used_ms"] for key in (soon, later)] == [None, 1_700_000_000_000]
    lines = {line.split()[0]: line for line in cli("keys", "list").out.splitlines()}
    assert "expires soon" in lines[soon["id"]]
    assert "2023-11-14 22:13:20Z" in lines[later["id"]]


@pytest.mark.promise(8)
async def test_a_key_is_checked_without_being_shown(cli: Cli, store: Store) -> None:
    made = cli("keys", "create", "--principal", "nightly", "--owner", "dana@example.com", "--json").json
    well = cli("keys", "check", stdin=made["key"] + "\n")
    assert (well.code, well.out) == (0, f"key {made['id']} of nightly, owned by dana@example.com: valid\n")
    assert cli("keys", "check", "--json", stdin=made["key"]).json["id"] == made["id"]
    await store.config.revoke_key(made["id"], by="test")
    over = cli("keys", "check", stdin=made["key"])
    assert (over.code, over.err) == (1, f"holdpoint: key {made['id']} is revoked\n")
    mistyped = made["key"][:-1] + ("a" if made["key"][-1] != "a" else "b")
    for text, said in ((mistyped, "not a whole"), ("", "not a whole"), (apikey.create().text, "not known here")):
        ended = cli("keys", "check", stdin=text)
        assert (ended.code, ended.out) == (1, "")
        assert said in ended.err
        assert not text or text not in ended.err


def test_a_mistyped_key_is_told_apart_without_redis(cli: Cli) -> None:
    nowhere = {"HOLDPOINT_REDIS_URL": "unix:///nowhere.sock"}
    ended = cli("keys", "check", stdin="hp_abcd1234_short", settings=nowhere)
    assert (ended.code, ended.err) == (1, "holdpoint: this is not a whole Holdpoint key: it was cut or mistyped\n")
    ended = cli(
        "holds", "list", settings={"HOLDPOINT_KEY": "hp_abcd1234_short", "HOLDPOINT_PUBLIC_URL": "http://127.0.0.1:1"}
    )
    assert ended.code == 2
    assert ended.err == "holdpoint: HOLDPOINT_KEY: not a whole Holdpoint key; it was cut or mistyped\n"


@pytest.mark.promise(7)
def test_a_name_cannot_draw_on_the_terminal(cli: Cli) -> None:
    cli("keys", "create", "--principal", "a@x", "--name", "x\x1b[2J\ny")
    out = cli("keys", "list").out
    assert "\x1b" not in out
    assert "⟨U+001B⟩" in out
    assert len(out.splitlines()) == 2
