from __future__ import annotations

import pytest

from holdpoint import apikey
from holdpoint.model import EventKind
from tests.bot.admin.conftest import ADA, CARA, EVE, SAM, Run
from tests.bot.world import World
from tests.conftest import MovingClock

DAY = 86_400_000


async def test_valid_keys_are_listed_without_their_secrets(world: World, run: Run, clock: MovingClock) -> None:
    text = await world.add_key("nightly", owner="dana@example.com", expires_ms=clock.ms + DAY)
    over = await world.add_key("gone@example.com", expires_ms=clock.ms + 1)
    clock.forward(seconds=1)
    key_id = apikey.key_id(text)
    assert key_id is not None
    await world.store.key_use.write({key_id: 1_700_000_000_000})
    listed = await run("keys list", CARA)
    assert listed.table is not None
    rows = {row[0]: row for row in listed.table.rows}
    assert rows[key_id][1:7] == ("nightly", "dana@example.com", "reviewer", "", "", "2023-11-14 22:13 UTC")
    assert rows[key_id][8] == "expires soon"
    assert apikey.key_id(over) not in rows
    assert text[12:] not in str(listed)
    assert apikey.digest(text) not in str(listed)


async def test_a_key_is_revoked_by_an_admin_in_their_own_name(world: World, run: Run) -> None:
    text = world.keys[EVE]
    key_id = apikey.key_id(text)
    for who in (SAM, CARA, EVE):
        assert not (await run(f"keys revoke {key_id}", who)).ok
    assert not (await run(f"keys revoke {key_id}", verified=False)).ok
    assert all(record.revoked_ms is None for record in await world.store.config.keys())
    done = await run(f"keys revoke {key_id}", ADA)
    assert done.lines == (f"Key {key_id} of {EVE} is revoked.",)
    assert world.live.snapshot.keys[apikey.digest(text)].revoked_ms is not None
    events = await world.store.outbox.follow("events", after="0", block_ms=1)
    assert (events[-1].kind, events[-1].data["by"]) == (EventKind.KEY_REVOKED, ADA)
    assert not (await run("keys revoke 00000000")).ok


@pytest.mark.promise(8)
async def test_a_pasted_key_ends_and_is_not_repeated(world: World, run: Run) -> None:
    text = world.keys[EVE]
    done = await run(f"keys revoke {text}")
    assert done.ok
    secret = text.rsplit("_", 1)[1]
    assert secret not in str(done)
    refused = await run(f"keys revoke {secret}")
    assert not refused.ok
    assert secret not in str(refused)


async def test_no_command_makes_a_key(run: Run) -> None:
    for text in ("keys create x", "keys rotate abcd1234", "keys"):
        answer = await run(text)
        assert not answer.ok
        assert "hp_" not in str(answer)
