"""Conversations are kept, found by id and by person, and forgotten."""

from __future__ import annotations

from dataclasses import replace

from holdpoint.store import Store, keys
from holdpoint.store.conversations import Conversation, ConversationKind

CHANNEL = Conversation(
    "teams", "19:b@thread.tacv2", ConversationKind.CHANNEL, "tenant", "https://smba.example/", "28:us", 1,
    team="19:a@thread.tacv2", name="Team › security",
)  # fmt: skip
CHAT = Conversation(
    "teams", "a:1", ConversationKind.PERSONAL, "tenant", "https://smba.example/", "28:us", 2, name="Kim",
    person="kim@example.com", user="tenant/kim", member="29:kim",
)  # fmt: skip


async def test_what_is_put_is_found_by_its_id(store: Store) -> None:
    assert await store.conversations.get("teams", CHANNEL.id) is None
    await store.conversations.put(CHANNEL)
    assert await store.conversations.get("teams", CHANNEL.id) == CHANNEL
    moved = replace(CHANNEL, service_url="https://emea.example/")
    await store.conversations.put(moved)
    assert await store.conversations.get("teams", CHANNEL.id) == moved


async def test_a_chat_is_found_by_its_person_in_any_case(store: Store) -> None:
    await store.conversations.put(CHAT)
    assert await store.conversations.of_person("teams", "KIM@example.com") == CHAT
    assert await store.conversations.of_person("teams", "sam@example.com") is None
    assert await store.conversations.of_person("slack", "kim@example.com") is None


async def test_a_person_who_is_called_differently_now_is_not_found_by_the_old_name(store: Store) -> None:
    await store.conversations.put(CHAT)
    await store.conversations.put(replace(CHAT, person="kim.new@example.com"))
    assert await store.conversations.of_person("teams", "kim@example.com") is None
    await store.conversations.put(replace(CHAT, person=""))
    assert await store.conversations.of_person("teams", "kim.new@example.com") is None


async def test_a_new_chat_with_somebody_replaces_the_old_one(store: Store) -> None:
    newer = replace(CHAT, id="a:2")
    await store.conversations.put(CHAT)
    await store.conversations.put(newer)
    assert await store.conversations.of_person("teams", "kim@example.com") == newer


async def test_platforms_do_not_mix(store: Store) -> None:
    other = replace(CHANNEL, platform="other", id="19:a@thread.tacv2")
    for each in (CHAT, CHANNEL, other):
        await store.conversations.put(each)
    assert await store.conversations.all("teams") == [CHANNEL, CHAT]
    assert await store.conversations.all("other") == [other]
    assert await store.conversations.get("teams", other.id) is None


async def test_what_is_forgotten_is_found_by_nothing(store: Store) -> None:
    for each in (CHAT, CHANNEL):
        await store.conversations.put(each)
    await store.conversations.forget("teams", CHAT.id)
    await store.conversations.forget("teams", "a:unknown")
    assert await store.conversations.get("teams", CHAT.id) is None
    assert await store.conversations.of_person("teams", "kim@example.com") is None
    assert await store.conversations.all("teams") == [CHANNEL]


async def test_they_outlive_a_restart(store: Store, redis_url: str) -> None:
    await store.conversations.put(CHAT)
    with_another = await Store.open(redis_url, clock=lambda: 0)
    try:
        assert await with_another.conversations.all("teams") == [CHAT]
        assert await with_another._client.command("PTTL", keys.CONVERSATIONS) == -1
    finally:
        await with_another.aclose()
