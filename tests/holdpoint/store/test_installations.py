"""Installations are locked, recorded and compared before they go; deliveries and states serve once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from holdpoint.errors import ConfigurationError
from holdpoint.model import EventKind
from holdpoint.store import Store, keys
from holdpoint.store.installations import Installed
from holdpoint.store.safe import Safe

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
NEXT = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
ONE = Installed("slack", "T1", "One", "T1", "", "U0BOT", ("chat:write",), "locked", "U1", 1)


async def changes(store: Store) -> list[tuple[EventKind, str]]:
    return [(e.kind, str(e.data["by"])) for e in await store.outbox.follow("events", after="0", block_ms=1)]


async def test_an_installation_comes_and_goes_with_its_record(store: Store) -> None:
    assert await store.installations.get("slack", "T1") is None
    before = await store.config.revision()
    await store.installations.put(ONE)
    await store.installations.put(replace(ONE, id="T0", team="T0"))
    assert [each.id for each in await store.installations.all("slack")] == ["T0", "T1"]
    assert await store.installations.all("teams") == []
    assert await store.installations.get("slack", "T1") == ONE
    assert await store.installations.remove(ONE, by="slack") is True
    assert await store.installations.remove(ONE, by="slack") is False
    assert await store.installations.get("slack", "T1") is None
    assert await changes(store) == [
        (EventKind.APP_INSTALLED, "U1"), (EventKind.APP_INSTALLED, "U1"), (EventKind.APP_REMOVED, "slack"),
    ]  # fmt: skip
    assert await store.config.revision() == before + 3


@pytest.mark.promise(8)
async def test_the_record_has_no_token(store: Store) -> None:
    await store.installations.put(ONE)
    [event] = await store.outbox.follow("events", after="0", block_ms=1)
    assert "locked" not in repr(event.data)


async def test_a_newer_installation_is_not_removed_for_an_older_one(store: Store) -> None:
    newer = replace(ONE, locked_token="another", at_ms=2)
    await store.installations.put(ONE)
    await store.installations.put(newer)
    assert await store.installations.remove(ONE, by="slack") is False
    assert await store.installations.get("slack", "T1") == newer


async def test_a_state_serves_once_and_is_not_stored(store: Store) -> None:
    await store.installations.begin("secret-state", ttl_ms=10_000)
    assert b"secret-state" not in b"".join(await store._client.command("KEYS", "*"))
    assert await store.installations.finish("another") is False
    assert await store.installations.finish("secret-state") is True
    assert await store.installations.finish("secret-state") is False


async def test_a_state_lapses(store: Store) -> None:
    await store.installations.begin("s", ttl_ms=60_000)
    [name] = await store._client.command("KEYS", keys.installing("*"))
    assert 0 < await store._client.command("PTTL", name) <= 60_000


async def test_a_delivery_is_new_once(store: Store) -> None:
    assert await store.seen.first("event", "Ev1") is True
    assert await store.seen.first("event", "Ev1") is False
    assert await store.seen.first("command", "Ev1") is True
    await store.seen.forget("event", "Ev1")
    assert await store.seen.first("event", "Ev1") is True
    assert 0 < await store._client.command("PTTL", keys.seen("event", "Ev1")) <= 3_600_000


def test_what_is_locked_opens_with_its_key_alone() -> None:
    locked = Safe(SecretStr(KEY)).lock(SecretStr("xoxb-secret"))
    assert "secret" not in locked
    assert locked != Safe(SecretStr(KEY)).lock(SecretStr("xoxb-secret"))
    assert Safe(SecretStr(KEY)).open(locked).get_secret_value() == "xoxb-secret"
    assert Safe(SecretStr(f"{NEXT}, {KEY}")).open(locked).get_secret_value() == "xoxb-secret"
    for safe, text in ((Safe(SecretStr(NEXT)), locked), (Safe(SecretStr(KEY)), locked[:-4] + "AAAA")):
        with pytest.raises(ConfigurationError, match="put the earlier key back"):
            safe.open(text)


@pytest.mark.parametrize("keys_", [None, "", " , ", "short", KEY[:-2], f"{KEY},no", "ä" * 44, "x" * 44])
def test_what_is_no_key(keys_: str | None) -> None:
    with pytest.raises(ConfigurationError, match="HOLDPOINT_SECRET_KEY") as caught:
        Safe(SecretStr(keys_) if keys_ is not None else None)
    for part in (keys_ or "").split(","):
        assert not part.strip() or part.strip() not in str(caught.value)
