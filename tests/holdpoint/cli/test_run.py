"""`holdpoint run`: the chat grammar on the command line, with the real program."""

from __future__ import annotations

import re

import pytest

from holdpoint import apikey
from holdpoint.model import KeyRecord, Role, State
from holdpoint.store import Store
from tests.bot.world import POLICY
from tests.support.builders import make_draft
from tests.support.cli import Cli

ADA = ("--as", "ada@example.com")


@pytest.fixture(autouse=True)
async def _policy(store: Store) -> None:
    await store.config.push_policy(POLICY, expect=0, by="test")


async def key_of(store: Store, principal: str, role: Role) -> dict[str, str]:
    new = apikey.create()
    await store.config.put_key(
        KeyRecord(
            new.id, new.digest, principal, frozenset(), frozenset({role}), 1, None, name=principal.partition("@")[0]
        )
    )
    return {"HOLDPOINT_KEY": new.text}


def test_help_and_hints(cli: Cli) -> None:
    ended = cli("run", *ADA, "help")
    assert (ended.code, ended.err) == (0, "")
    assert "policy mode <rule> shadow|enforce" in ended.out
    ended = cli("run", *ADA, "polcy show")
    assert ended.code == 1
    assert "Did you mean: policy show [version]" in ended.err


async def test_words_and_a_whole_command_are_the_same(cli: Cli, store: Store) -> None:
    assert cli("run", *ADA, "route add contractors slack:C0SECURITY").code == 0
    assert cli("run", *ADA, "route", "add", "contractors", "slack:C0SECOND").code == 0
    assert [route.channels for route in await store.config.routes()] == [("slack:C0SECOND", "slack:C0SECURITY")]
    listed = cli("run", *ADA, "--json", "route", "list").json
    assert ["contractors", "slack:C0SECOND", "command"] in listed["table"]["rows"]
    assert cli("run", *ADA, "pause", "demo", "hold", "it leaks").code == 0
    assert (await store.pauses.all())[0].reason == "it leaks"


async def test_a_question_is_asked(cli: Cli, store: Store) -> None:
    assert cli("run", *ADA, "pause all").code == 0
    for answer in ("n\n", "", "\n"):
        ended = cli("run", *ADA, "resume all", stdin=answer)
        assert ended.code == 1
        assert "nothing was changed" in ended.err
    assert len(await store.pauses.all()) == 1
    ended = cli("run", *ADA, "resume all", stdin="y\n")
    assert (ended.code, await store.pauses.all()) == (0, [])


async def test_a_program_confirms_with_what_it_was_given(cli: Cli, store: Store) -> None:
    cli("run", *ADA, "pause all")
    asked = cli("run", *ADA, "--json", "resume all")
    assert asked.code == 1
    assert re.fullmatch("confirm [0-9a-f]{8}", asked.json["confirm"])
    assert len(await store.pauses.all()) == 1
    assert cli("run", *ADA, "--json", asked.json["confirm"]).json["ok"] is True
    assert await store.pauses.all() == []


@pytest.mark.promise(5)
async def test_who_one_is(cli: Cli, store: Store) -> None:
    nobody = cli("run", "whoami")
    assert nobody.code == 2
    assert "--as PRINCIPAL" in nobody.err
    assert cli("run", "--as", " ", "whoami").code == 2
    assert cli("run", "whoami", settings={"HOLDPOINT_KEY": "hp_nonsense"}).code == 2
    assert "ada@example.com" in cli("run", "--as", "ADA@Example.com", "whoami").out
    refused = cli("run", "--as", "sam@example.com", "route list")
    assert (refused.code, refused.err) == (1, "Only admins may do this.\n")
    assert cli("run", "route list", settings=await key_of(store, "ada@example.com", Role.ADMIN)).code == 0


@pytest.mark.promise(5)
async def test_a_claimed_name_decides_nothing_and_a_key_does(cli: Cli, store: Store) -> None:
    hold = await store.holds.hold(make_draft(), gateway="g1", idempotency_key=None)
    claimed = cli("run", "--as", "sam@example.com", f"approve {hold.id}")
    assert claimed.code == 1
    assert "HOLDPOINT_KEY" in claimed.err
    assert (await store.holds.get(hold.id)).decisions == ()
    done = cli("run", f"approve {hold.id} fine", settings=await key_of(store, "sam@example.com", Role.REVIEWER))
    assert done.code == 0
    decided = await store.holds.get(hold.id)
    assert (decided.state, decided.decisions[0].channel) == (State.APPROVED, "cli")


async def test_holds_are_printed(cli: Cli, store: Store) -> None:
    hold = await store.holds.hold(make_draft(prompt="a password\u202e"), gateway="g1", idempotency_key=None)
    shown = cli("run", "--as", "sam@example.com", f"show {hold.id}")
    assert hold.id in shown.out
    assert "a password⟨U+202E⟩" in shown.out
    (card,) = cli("run", "--as", "sam@example.com", "--json", "pending").json["cards"]
    assert (card["id"], card["digest"], card["state"]) == (hold.id, hold.digest, "pending")
    assert card["url"] in cli("run", "--as", "sam@example.com", "pending").out.splitlines()


async def test_the_kill_switch_works_without_a_ledger(cli: Cli, store: Store) -> None:
    ended = cli("run", *ADA, "pause all", settings={"HOLDPOINT_LEDGER_URL": "sqlite:////dev/null/ledger.sqlite3"})
    assert ended.code == 0
    assert "without the ledger" in ended.err
    assert len(await store.pauses.all()) == 1


async def test_with_two_admins_a_push_waits(cli: Cli, store: Store) -> None:
    careful = POLICY + "changes: {second_admin: true}\n"
    (cli.folder / "careful.yaml").write_text(careful)
    (cli.folder / "other.yaml").write_text(careful.replace("10m", "11m"))
    assert cli("policy", "push", "careful.yaml").out == "version 2 is in force\n"
    waits = cli("policy", "push", "other.yaml", "--note", "longer")
    assert waits.code == 0
    found = re.match(r"change (c[0-9a-f]{8}) waits for a second admin", waits.out)
    assert found is not None
    back = cli("policy", "rollback", "1", "--json")
    assert (back.code, back.json["expect"]) == (0, 2)
    assert cli("policy", "push", "other.yaml", "--expect", "1").code == 1
    head = await store.config.policy()
    assert head is not None
    assert head.version == 2
    settings = await key_of(store, "bea@example.com", Role.ADMIN)
    ended = cli("run", f"changes confirm {found[1]}", stdin="y\n", settings=settings)
    assert ended.code == 0
    assert "timeout: 11m" in ended.out
    assert "Version 3 is in force." in ended.out
    stale = cli("run", f"changes confirm {back.json['change']}", stdin="y\n", settings=settings)
    assert stale.code == 1
    assert "gone stale" in stale.err


async def test_being_away_is_said_with_a_key_of_ones_own(cli: Cli, store: Store) -> None:
    sam, ada = await key_of(store, "sam@example.com", Role.REVIEWER), await key_of(store, "ada@example.com", Role.ADMIN)
    assert "own name" in cli("run", "--as", "sam@example.com", "away", "until", "2d").err
    ended = cli("run", "away", "until", "2d", "delegate", "kim@example.com", "because", "of it", settings=sam)
    assert (ended.code, ended.err) == (0, "")
    assert "The time is in UTC" in ended.out
    (absence,) = await store.absences.all()
    assert (absence.principal, absence.delegate, absence.reason) == ("sam@example.com", "kim@example.com", '"of it"')
    assert "kim@example.com" in cli("run", *ADA, "absences").out
    assert cli("run", "back", settings=sam).code == 0
    ended = cli(
        "run", "away", "sam@example.com", "until", "2d", "delegate", "kim@example.com", settings=ada, stdin="y\n"
    )
    assert ended.code == 0, ended.err
    assert [each.by for each in await store.absences.all()] == ["ada@example.com"]
