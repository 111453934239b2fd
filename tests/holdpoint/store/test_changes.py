"""Changes that wait for a second admin, on a real Redis: who confirms, what is applied with it, and what goes stale."""

from __future__ import annotations

import asyncio

import pytest

from holdpoint.errors import Conflict, MayNotDecide, NotFound
from holdpoint.model import Event, EventKind, Route
from holdpoint.standing import Change, ChangeKind
from holdpoint.store import Store
from holdpoint.store.changes import MOST_WAITING

ADA, BEA = "ada@example.com", "bea@example.com"


def policy_change(change_id: str = "c1", *, expect: int = 1, text: str = "two") -> Change:
    return Change(change_id, ChangeKind.POLICY, ADA, 5, "why", expect, text=text)


def route_change(change_id: str = "c1", kind: ChangeKind = ChangeKind.ROUTE_ADD) -> Change:
    return Change(change_id, kind, ADA, 5, "", 1, group="contractors", channel="web")


async def said(store: Store) -> list[Event]:
    return [
        event
        for event in await store.outbox.follow("events", after="0", block_ms=1)
        if event.kind is not EventKind.POLICY_PUSHED or event.data["version"] > 1
    ]


@pytest.fixture(autouse=True)
async def first_policy(store: Store) -> None:
    await store.config.push_policy("one", expect=0, by="test")


async def test_another_admin_puts_a_policy_in_force(store: Store) -> None:
    await store.changes.propose(policy_change())
    assert await store.changes.all() == [policy_change()]
    before = await store.config.revision()
    await store.changes.confirm("c1", by=BEA)
    head = await store.config.policy()
    assert head is not None
    assert (head.version, head.text, head.by, head.note) == (2, "two", ADA, f"why; confirmed by {BEA}")
    assert await store.config.revision() == before + 1
    assert await store.changes.all() == []
    proposed, confirmed, pushed = await said(store)
    assert (proposed.kind, proposed.data["text"], proposed.data["by"]) == (EventKind.CHANGE_PROPOSED, "two", ADA)
    assert (confirmed.kind, confirmed.data["by"]) == (EventKind.CHANGE_CONFIRMED, BEA)
    assert (pushed.kind, pushed.subject, pushed.data["by"]) == (EventKind.POLICY_PUSHED, "2", ADA)


async def test_another_admin_adds_and_removes_a_route(store: Store) -> None:
    await store.changes.propose(route_change())
    assert await store.config.routes() == []
    await store.changes.confirm("c1", by=BEA)
    assert await store.config.routes() == [Route("contractors", ("web",))]
    await store.changes.propose(route_change("c2", ChangeKind.ROUTE_REMOVE))
    await store.changes.confirm("c2", by=BEA)
    assert await store.config.routes() == []
    kinds = [event.kind for event in await said(store)]
    assert kinds == [
        EventKind.CHANGE_PROPOSED, EventKind.CHANGE_CONFIRMED, EventKind.ROUTE_ADDED,
        EventKind.CHANGE_PROPOSED, EventKind.CHANGE_CONFIRMED, EventKind.ROUTE_REMOVED,
    ]  # fmt: skip


@pytest.mark.promise(5)
@pytest.mark.parametrize("same", [ADA, " ADA@Example.com "])
async def test_nobody_confirms_their_own_change(store: Store, same: str) -> None:
    await store.changes.propose(policy_change())
    with pytest.raises(MayNotDecide, match="another admin"):
        await store.changes.confirm("c1", by=same)
    head = await store.config.policy()
    assert head is not None
    assert head.version == 1
    assert len(await store.changes.all()) == 1


async def test_a_policy_that_moved_on_is_not_overwritten(store: Store) -> None:
    await store.changes.propose(policy_change())
    await store.config.push_policy("three", expect=1, by="somebody")
    with pytest.raises(Conflict, match="stale: it was made from version 1 of the policy, and version 2 is in force"):
        await store.changes.confirm("c1", by=BEA)
    head = await store.config.policy()
    assert head is not None
    assert head.text == "three"
    assert len(await store.changes.all()) == 1


@pytest.mark.parametrize("kind", [ChangeKind.ROUTE_ADD, ChangeKind.ROUTE_REMOVE])
async def test_a_route_that_is_so_already_makes_its_change_stale(store: Store, kind: ChangeKind) -> None:
    if kind is ChangeKind.ROUTE_ADD:
        await store.config.add_route("contractors", "web", by=BEA)
    await store.changes.propose(route_change(kind=kind))
    routes = await store.config.routes()
    with pytest.raises(Conflict, match="stale"):
        await store.changes.confirm("c1", by=BEA)
    assert await store.config.routes() == routes


async def test_a_dropped_change_is_gone(store: Store) -> None:
    await store.changes.propose(policy_change())
    await store.changes.drop("c1", by=ADA)
    for verb in (store.changes.confirm, store.changes.drop):
        with pytest.raises(NotFound):
            await verb("c1", by=BEA)
    with pytest.raises(NotFound):
        await store.changes.get("c1")
    assert (await said(store))[-1].kind is EventKind.CHANGE_DROPPED


async def test_of_many_confirmations_one_counts(store: Store) -> None:
    await store.changes.propose(policy_change())
    ends = await asyncio.gather(
        *(store.changes.confirm("c1", by=f"admin{n}@example.com") for n in range(8)),
        *(store.changes.drop("c1", by=BEA) for _ in range(2)),
        return_exceptions=True,
    )
    assert sum(isinstance(end, Change) for end in ends) == 1
    assert all(isinstance(end, Change | NotFound) for end in ends)


@pytest.mark.parametrize("change", [policy_change(), route_change()], ids=["policy", "route"])
async def test_what_was_dropped_while_it_was_confirmed_is_not_made(store: Store, change: Change) -> None:
    await store.changes.propose(change)
    seen = await store.changes._seen("c1")
    await store.changes.drop("c1", by=ADA)
    confirm = store.changes._confirm_policy if change.text else store.changes._confirm_route
    before = await store.config.revision()
    with pytest.raises(NotFound):
        await confirm(change, seen, BEA)
    assert await store.config.revision() == before


async def test_an_id_is_used_once_and_the_list_is_bounded(store: Store) -> None:
    await store.changes.propose(policy_change())
    with pytest.raises(Conflict, match="already"):
        await store.changes.propose(route_change())
    for number in range(2, MOST_WAITING + 1):
        await store.changes.propose(route_change(f"c{number}"))
    with pytest.raises(Conflict, match="confirm or drop some"):
        await store.changes.propose(route_change("one-more"))
