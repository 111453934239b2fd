"""Passkeys as stored: one owner, spent invitations and challenges, and a counter that two requests cannot both move."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import redis

from holdpoint.errors import Conflict, NotFound
from holdpoint.model import EventKind
from holdpoint.store import Store
from holdpoint.store.passkeys import MOST, Invitation, Passkey

SAM, KIM, ADA = (f"{name}@example.com" for name in ("sam", "kim", "ada"))


def passkey(id_: str = "k1", principal: str = SAM, **changes: object) -> Passkey:
    made = Passkey(id_, principal, "cHVibGlj", 0, "My phone", 1, None, ("internal",))
    return replace(made, **changes)  # type: ignore[arg-type]  # as a test says it


async def events_of(store: Store) -> list[tuple[EventKind, str, dict[str, object]]]:
    found = await store.outbox.follow("events", after="0", block_ms=10)
    return [(each.kind, each.subject, dict(each.data)) for each in found]


async def test_what_is_added_is_found_and_recorded_and_removed(store: Store) -> None:
    await store.passkeys.add(passkey())
    await store.passkeys.add(passkey("k2", created_ms=2))
    assert [each.id for each in await store.passkeys.all(SAM)] == ["k1", "k2"]
    assert await store.passkeys.get(SAM, "k1") == passkey()
    await store.passkeys.remove(SAM, "k1")
    with pytest.raises(NotFound):
        await store.passkeys.remove(SAM, "k1")
    assert [each.id for each in await store.passkeys.all(SAM)] == ["k2"]
    data = {"principal": SAM, "credential": "k1", "name": "My phone"}
    assert (EventKind.PASSKEY_ADDED, SAM, data) in await events_of(store)
    assert (await events_of(store))[-1] == (EventKind.PASSKEY_REMOVED, SAM, data)


async def test_a_credential_is_one_persons(store: Store) -> None:
    await store.passkeys.add(passkey())
    for again in (passkey(), passkey(principal=KIM)):
        with pytest.raises(Conflict, match="known already"):
            await store.passkeys.add(again)
    for owner in (KIM, ""):
        with pytest.raises(NotFound):
            await store.passkeys.get(owner, "k1")
        with pytest.raises(NotFound):
            await store.passkeys.remove(owner, "k1")
    await store.passkeys.remove(SAM, "k1")
    await store.passkeys.add(passkey(principal=KIM))  # free again


async def test_nobody_has_too_many(store: Store) -> None:
    for number in range(MOST):
        await store.passkeys.add(passkey(f"k{number}"))
    with pytest.raises(Conflict, match="remove one first"):
        await store.passkeys.add(passkey("one more"))
    assert len(await store.passkeys.all(SAM)) == MOST


async def test_a_use_moves_the_counter_once(store: Store) -> None:
    await store.passkeys.add(passkey())
    seen = await store.passkeys.get(SAM, "k1")
    results = await asyncio.gather(*(store.passkeys.used(seen, uses=1) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, Passkey) for each in results) == 1
    assert sum(isinstance(each, Conflict) for each in results) == 3
    assert (await store.passkeys.get(SAM, "k1")).uses == 1
    await store.passkeys.remove(SAM, "k1")
    with pytest.raises(Conflict):
        await store.passkeys.used(replace(seen, uses=1), uses=2)


async def test_an_invitation_is_spent_with_the_passkey_and_is_one_persons(store: Store) -> None:
    token = await store.passkeys.invite(Invitation(SAM, ADA))
    assert await store.passkeys.invitation(token) == Invitation(SAM, ADA)
    with pytest.raises(Conflict, match="invitation"):
        await store.passkeys.add(passkey(principal=KIM), invitation=token)
    await store.passkeys.add(passkey(), invitation=token)
    with pytest.raises(Conflict, match="invitation"):
        await store.passkeys.add(passkey("k2"), invitation=token)
    for gone in (token, "", "x" * 65, "ü"):
        with pytest.raises(NotFound):
            await store.passkeys.invitation(gone)
    invited, added = await events_of(store)
    assert invited == (EventKind.PASSKEY_INVITED, SAM, {"principal": SAM, "by": ADA})
    assert added[2]["invited_by"] == ADA


async def test_a_refused_passkey_does_not_spend_the_invitation(store: Store) -> None:
    await store.passkeys.add(passkey())
    token = await store.passkeys.invite(Invitation(SAM, ADA))
    with pytest.raises(Conflict, match="known already"):
        await store.passkeys.add(passkey(), invitation=token)
    assert await store.passkeys.invitation(token) == Invitation(SAM, ADA)


@pytest.mark.parametrize(
    ("about", "by", "taken"),
    [("confirm t1", SAM, True), ("confirm t2", SAM, False), ("add", SAM, False), ("confirm t1", KIM, False)],
)
async def test_a_challenge_is_for_one_purpose_one_person_and_one_time(
    store: Store, about: str, by: str, taken: bool
) -> None:
    made = await store.passkeys.challenge(about="confirm t1", by=SAM)
    assert len(made) == 32
    assert not await store.passkeys.take_challenge(made[::-1], about="confirm t1", by=SAM)
    assert await store.passkeys.take_challenge(made, about=about, by=by) is taken
    assert not await store.passkeys.take_challenge(made, about="confirm t1", by=SAM)


async def test_no_secret_lies_in_redis_and_all_but_passkeys_ends(store: Store, redis_url: str) -> None:
    await store.passkeys.add(passkey())
    token = await store.passkeys.invite(Invitation(KIM, ADA))
    challenge = await store.passkeys.challenge(about="add", by=KIM)
    with redis.Redis.from_url(redis_url) as client:
        names = [name.decode() for name in client.keys("*")]
        lasting = {name.removeprefix("hp:{p00}:") for name in names if client.ttl(name) == -1}
        assert lasting == {"passkeys:owners", f"passkeys:{SAM}", "events"}
        texts = " ".join(names) + str([client.get(name) for name in names if client.type(name) == b"string"])
    assert token not in texts
    assert challenge.hex() not in texts
