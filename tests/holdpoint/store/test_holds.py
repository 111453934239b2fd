"""Holds on a real Redis: waiting, coming back, one release, deadlines, what is kept and for how long."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import redis

from holdpoint.errors import Conflict, NotFound, StoreUnavailable
from holdpoint.model import DecisionKind, Escalation, OnTimeout, Question, Requester, ReviewTerms, State
from holdpoint.store import Store, StoredResponse, keys
from holdpoint.store.gateways import GONE_AFTER_MS
from holdpoint.store.holds import NOT_COLLECTED
from tests.conftest import MovingClock
from tests.support.builders import DANA, OUTCOME, hold_in, make_decision, make_draft, make_evaluation
from tests.support.redis_server import RedisServer

S = State


@pytest.fixture
async def gateway(store: Store) -> str:
    return await store.gateways.start("gw")


async def find(
    store: Store, *, key: str | None = None, retrying: bool = False, requester: Requester = DANA
) -> str | None:
    draft = make_draft()
    hold = await store.holds.find(
        requester=requester, connection="demo", digest=draft.digest, idempotency_key=key, retrying=retrying
    )
    return hold.id if hold else None


async def test_a_hold_reads_back_as_it_was_written(store: Store, gateway: str) -> None:
    written = await store.holds.hold(make_draft(), gateway=gateway, idempotency_key=None)
    assert await store.holds.get(written.id) == written
    assert written.query == make_draft().query
    assert written.deadline_ms - written.created_ms == 600_000
    assert written.due_ms - written.created_ms == 300_000, "the first escalation comes before the deadline"


@pytest.mark.parametrize("state", list(S))
async def test_an_outline_is_the_hold_without_its_texts(state: State, store: Store, gateway: str) -> None:
    hold = await store.holds.get((await hold_in(store, state, gateway=gateway)).id)
    query = replace(hold.query, body=b"", parts=tuple(replace(part, text="") for part in hold.query.parts))
    assert await store.holds.outline(hold.id) == replace(hold, query=query)
    with pytest.raises(NotFound):
        await store.holds.outline("h0")


@pytest.mark.parametrize("changes", [{"justification": "an incident"}, {"asynchronous": True}], ids=str)
async def test_what_a_new_hold_is_taken_for_is_what_is_stored(
    changes: dict[str, Any], store: Store, gateway: str
) -> None:
    draft = replace(make_draft(), **changes)
    written = await store.holds.hold(draft, gateway=gateway, idempotency_key=None)
    assert await store.holds.get(written.id) == written


@pytest.mark.parametrize("key", [None, "k"], ids=["by what it is", "by its key"])
async def test_only_the_first_of_its_kind_is_created_without_a_look(
    key: str | None, store: Store, gateway: str
) -> None:
    first = await store.holds.hold(make_draft(), gateway=gateway, idempotency_key=key, if_first=True)
    with pytest.raises(Conflict):
        await store.holds.hold(make_draft(), gateway=gateway, idempotency_key=key, if_first=True)
    kim = make_draft(requester=Requester("kim@example.com", frozenset()))
    await store.holds.hold(kim, gateway=gateway, idempotency_key=key, if_first=True)
    if key is None:
        await store.holds.delivered(first.id, gateway=gateway)
        await store.holds.hold(make_draft(), gateway=gateway, idempotency_key=key, if_first=True)


async def test_who_has_looked_may_create_another_of_the_same(store: Store, gateway: str) -> None:
    first = await store.holds.hold(make_draft(), gateway=gateway, idempotency_key=None)
    assert (await store.holds.hold(make_draft(), gateway=gateway, idempotency_key=None)).id != first.id


async def test_a_decision_returns_the_hold_as_it_is_then(store: Store, gateway: str) -> None:
    for state, kind in ((S.APPROVED, DecisionKind.APPROVE), (S.REJECTED, DecisionKind.REJECT)):
        hold = await hold_in(store, S.PENDING, gateway=gateway)
        assert await store.holds.decide(
            hold, make_decision(hold, kind), state=state, body=None
        ) == await store.holds.get(hold.id)


async def test_who_waits_for_what_is_pending(store: Store, gateway: str) -> None:
    waits, left, approved = [await hold_in(store, s, gateway=gateway) for s in (S.PENDING, S.PENDING, S.APPROVED)]
    await store.holds.leave(left.id, gateway=gateway, grace_ms=1000)
    assert await store.holds.waiters([waits.id, left.id, approved.id, "h0"]) == {waits.id: gateway, left.id: ""}


@pytest.mark.promise(3)
async def test_one_approval_is_one_release_whoever_asks(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.APPROVED, gateway=gateway)
    answers = await asyncio.gather(
        *(store.holds.release(hold.id, gateway=f"gateway#{n}") for n in range(20)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 19


@pytest.mark.promise(3)
async def test_the_same_attempt_may_ask_again_after_a_lost_answer(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.APPROVED, gateway=gateway)
    await store.holds.release(hold.id, gateway=gateway, token="one")
    again = await store.holds.release(hold.id, gateway=gateway, token="one")
    assert again.state is S.RELEASED
    with pytest.raises(Conflict):
        await store.holds.release(hold.id, gateway=gateway, token="two")
    with pytest.raises(Conflict):
        await store.holds.release(hold.id, gateway="other#1", token="one")


@pytest.mark.promise(1)
@pytest.mark.parametrize(("glass", "seconds"), [(False, 3_600), (True, 300)], ids=["approval", "broken glass"])
async def test_an_approval_that_was_not_collected_in_time_is_over_though_no_timer_has_looked(
    glass: bool, seconds: int, store: Store, gateway: str, clock: MovingClock
) -> None:
    hold = await hold_in(store, S.PENDING, gateway=gateway)
    decision = replace(make_decision(hold), glass=glass)
    hold = await store.holds.decide(hold, decision, state=S.APPROVED, body=None)
    clock.forward(seconds=seconds)
    with pytest.raises(Conflict):
        await store.holds.release(hold.id, gateway=gateway)
    expired = await store.holds.get(hold.id)
    assert (expired.state, expired.close_reason) == (S.EXPIRED, NOT_COLLECTED)


@pytest.mark.promise(5)
async def test_of_many_decisions_at_once_one_counts(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.PENDING, gateway=gateway)
    answers = await asyncio.gather(
        *(
            store.holds.decide(hold, make_decision(hold, by=f"r{n}@example.com"), state=S.APPROVED, body=None)
            for n in range(20)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert len((await store.holds.get(hold.id)).decisions) == 1


async def test_a_decision_after_the_deadline_does_not_count(store: Store, gateway: str, clock: MovingClock) -> None:
    hold = await hold_in(store, S.PENDING, gateway=gateway)
    clock.forward(seconds=600)
    with pytest.raises(Conflict, match="deadline"):
        await store.holds.decide(hold, make_decision(hold), state=S.APPROVED, body=None)


async def test_a_decision_wakes_the_gateway_that_waits_even_before_it_listens(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.APPROVED, gateway=gateway)
    ((position, woken),) = await store.gateways.wakes(gateway, after="0", block_ms=10)
    assert woken == hold.id
    assert await store.gateways.wakes(gateway, after=position, block_ms=1) == []


async def test_a_client_that_left_has_a_grace_to_return(store: Store, gateway: str, clock: MovingClock) -> None:
    hold = await hold_in(store, S.PENDING, gateway=gateway)
    assert await find(store) is None, "while its client waits, an identical request is another one"
    await store.holds.leave(hold.id, gateway=gateway, grace_ms=60_000)
    left = await store.holds.get(hold.id)
    assert (left.waiter, left.return_by_ms, left.due_ms) == ("", clock.ms + 60_000, clock.ms + 60_000)
    assert await find(store) == hold.id
    back = await store.holds.attach(left, gateway=gateway)
    assert back == await store.holds.get(hold.id) or back.rev == left.rev + 1
    stored = await store.holds.get(hold.id)
    assert (stored.waiter, stored.return_by_ms, stored.due_ms) == (gateway, None, hold.due_ms)
    assert await find(store) is None


async def test_a_look_among_many_of_the_same_reads_no_body_of_those_that_others_wait_for(
    store: Store, gateway: str, redis_url: str
) -> None:
    draft = make_draft(prompt="password " * 10_000)
    holds = [await store.holds.hold(draft, gateway=gateway, idempotency_key=None) for _ in range(20)]

    async def look() -> tuple[str | None, int]:
        with redis.Redis.from_url(redis_url) as client:
            before = client.info("stats")["total_net_output_bytes"]
            found = await store.holds.find(
                requester=DANA, connection="demo", digest=draft.digest, idempotency_key=None, retrying=False
            )
            return found.id if found else None, client.info("stats")["total_net_output_bytes"] - before

    found, size = await look()
    assert found is None
    assert size < len(draft.query.body)
    await store.holds.leave(holds[0].id, gateway=gateway, grace_ms=60_000)
    found, size = await look()
    assert found == holds[0].id
    assert size < len(draft.query.body)


async def test_leaving_what_another_gateway_has_taken_over_changes_nothing(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.PENDING, gateway=gateway)
    taken = await store.holds.attach(hold, gateway="other#1")
    await store.holds.leave(hold.id, gateway=gateway, grace_ms=0)
    assert (await store.holds.get(hold.id)).waiter == "other#1"
    assert (await store.holds.get(hold.id)).rev == taken.rev


async def test_two_that_come_back_at_once_do_not_both_get_it(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.PENDING, gateway=gateway)
    await store.holds.leave(hold.id, gateway=gateway, grace_ms=60_000)
    seen = await store.holds.get(hold.id)
    await store.holds.attach(seen, gateway="a#1")
    with pytest.raises(Conflict):
        await store.holds.attach(seen, gateway="b#1")


async def test_a_silent_gateway_is_gone_and_a_successor_retires_it_at_once(
    store: Store, gateway: str, clock: MovingClock
) -> None:
    hold = await hold_in(store, S.PENDING, gateway=gateway)
    clock.forward(seconds=GONE_AFTER_MS / 1000)
    assert await find(store) == hold.id
    await store.gateways.beat(gateway)
    assert await find(store) is None
    await store.gateways.start("gw")
    assert await find(store) == hold.id
    assert await store.gateways.lost() == [(gateway, [hold.id])]
    await store.holds.leave(hold.id, gateway=gateway, grace_ms=0)
    assert await store.gateways.forget(gateway)
    assert await store.gateways.lost() == []


@pytest.mark.parametrize("beats", [2, 1, 0])
async def test_what_a_gateway_takes_on_while_it_is_swept_is_swept_after_its_next_loss(
    beats: int, store: Store, gateway: str, clock: MovingClock
) -> None:
    """It was stalled, and comes back in the middle of the sweep; then it is killed."""
    first = await hold_in(store, S.PENDING, gateway=gateway)
    clock.forward(seconds=GONE_AFTER_MS / 1000)
    assert await store.gateways.lost() == [(gateway, [first.id])]
    await store.holds.leave(first.id, gateway=gateway, grace_ms=60_000)
    if beats:
        await store.gateways.beat(gateway)
    await store.holds.attach(await store.holds.get(first.id), gateway=gateway)
    second = await hold_in(store, S.RELEASED, gateway=gateway)
    assert not await store.gateways.forget(gateway)
    if beats > 1:
        await store.gateways.beat(gateway)
    clock.forward(seconds=GONE_AFTER_MS / 1000)
    assert await store.gateways.lost() == [(gateway, sorted([first.id, second.id]))]


async def test_a_retry_finds_its_hold_although_the_first_socket_still_stands(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.PENDING, gateway=gateway)
    assert await find(store, retrying=True) == hold.id


async def test_what_was_delivered_is_not_found_by_digest_again(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.REJECTED, gateway=gateway)
    assert await find(store, retrying=True) == hold.id
    await store.holds.delivered(hold.id, gateway=gateway)
    assert await find(store, retrying=True) is None


@pytest.mark.parametrize("goes", ["delivered", "make_asynchronous"])
async def test_what_is_released_is_swept_until_it_is_closed(
    goes: str, store: Store, gateway: str, clock: MovingClock
) -> None:
    """The client has had a refusal, or a 202, and the gateway ends before the outcome is written."""
    hold = await hold_in(store, State.RELEASED, gateway=gateway)
    await getattr(store.holds, goes)(hold.id, gateway=gateway)
    clock.forward(seconds=6)
    assert await store.gateways.lost() == [(gateway, [hold.id])]
    await store.holds.close(
        await store.holds.get(hold.id), state=State.FAILED, outcome=replace(OUTCOME, error="lost"), response=None
    )
    assert await store.gateways.lost() == [(gateway, [])]


async def test_an_idempotency_key_stands_for_one_hold_of_one_requester(store: Store, gateway: str) -> None:
    hold = await store.holds.hold(make_draft(), gateway=gateway, idempotency_key="k")
    assert await find(store, key="k") == hold.id
    assert await find(store, key="other") is None
    eli = Requester("eli@example.com", frozenset({"contractors"}))
    assert await find(store, key="k", requester=eli) is None
    with pytest.raises(Conflict):
        await store.holds.hold(make_draft(), gateway=gateway, idempotency_key="k")
    await store.holds.delivered(hold.id, gateway=gateway)
    assert await find(store, key="k") == hold.id


async def test_nobody_waits_for_an_asynchronous_hold(store: Store, gateway: str, clock: MovingClock) -> None:
    hold = await store.holds.hold(make_draft(asynchronous=True), gateway=gateway, idempotency_key=None)
    assert (hold.waiter, hold.asynchronous) == ("", True)
    assert await find(store, retrying=True) is None
    waited = await hold_in(store, S.PENDING, gateway=gateway)
    await store.holds.make_asynchronous(waited.id, gateway=gateway)
    await store.holds.leave(waited.id, gateway=gateway, grace_ms=0)
    stored = await store.holds.get(waited.id)
    assert (stored.asynchronous, stored.return_by_ms) == (True, None)
    clock.forward(seconds=GONE_AFTER_MS / 1000)
    assert await store.gateways.lost() == [(gateway, [])]


async def test_requests_whose_answers_nobody_collects_do_not_make_the_next_one_like_them_dearer(
    store: Store, gateway: str
) -> None:
    async def reads() -> int:
        stats = (await store._client.command("INFO", "commandstats")).decode()
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in stats.splitlines() if "_hgetall:" in line)

    for _ in range(20):
        await store.holds.hold(make_draft(asynchronous=True), gateway=gateway, idempotency_key=None)
        waited = await store.holds.hold(make_draft(), gateway=gateway, idempotency_key=None)
        await store.holds.make_asynchronous(waited.id, gateway=gateway)
    before = await reads()
    assert await find(store) is None
    assert await reads() == before
    back = await store.holds.attach(await store.holds.get(waited.id), gateway=gateway)
    await store.holds.leave(back.id, gateway=gateway, grace_ms=60_000)
    assert await find(store) == back.id, "who waits again comes back to it"


async def test_an_edit_replaces_body_and_digest(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.PENDING, gateway=gateway)
    edited = make_draft(prompt="what is the weather")
    decision = make_decision(hold)
    decision = type(decision)(
        **{**{f: getattr(decision, f) for f in decision.__slots__}, "result_digest": edited.digest}
    )
    after = await store.holds.decide(hold, decision, state=S.APPROVED, body=edited.query.body)
    assert after.query.body == edited.query.body
    assert (after.digest, after.original_digest) == (edited.digest, hold.digest)
    assert after.query.parts[0].text == "what is the weather"


async def test_the_response_is_kept_for_a_replay(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.RELEASED, gateway=gateway)
    response = StoredResponse(200, (("content-type", "application/json"),), b'{"a":1}')
    await store.holds.close(hold, state=S.COMPLETED, outcome=OUTCOME, response=response)
    assert await store.holds.response(hold.id) == response
    assert (await store.holds.get(hold.id)).outcome == OUTCOME


async def test_only_the_releaser_closes(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.RELEASED, gateway=gateway)
    forged = type(hold)(**{**{f: getattr(hold, f) for f in hold.__slots__}, "releaser": "other#1"})
    with pytest.raises(Conflict):
        await store.holds.close(forged, state=S.COMPLETED, outcome=OUTCOME, response=None)


async def test_who_waits_elsewhere_is_woken_by_the_end(store: Store, gateway: str) -> None:
    hold = await hold_in(store, S.RELEASED, gateway=gateway)
    other = await store.gateways.start("other")
    await store.holds.attach(hold, gateway=other)
    await store.holds.close(hold, state=S.COMPLETED, outcome=OUTCOME, response=None)
    assert [woken for _, woken in await store.gateways.wakes(other, after="0", block_ms=10)] == [hold.id]


async def test_pages_lose_no_hold_however_many_were_made_in_one_millisecond(store: Store, gateway: str) -> None:
    made = [(await store.holds.hold(make_draft(), gateway=gateway, idempotency_key=None)).id for _ in range(200)]
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = await store.holds.list(state=S.PENDING, limit=10, cursor=cursor)
        seen += [hold.id for hold in page]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_holds_are_listed_newest_first_page_by_page(store: Store, gateway: str, clock: MovingClock) -> None:
    made = []
    for n in range(7):
        made.append((await hold_in(store, S.PENDING, gateway=gateway, draft=make_draft(prompt=f"p{n}"))).id)
        clock.forward(seconds=n % 2)
    await hold_in(store, S.REJECTED, gateway=gateway)
    listed: list[str] = []
    cursor = None
    while True:
        page, cursor = await store.holds.list(state=S.PENDING, limit=3, cursor=cursor)
        listed += [hold.id for hold in page]
        if cursor is None:
            break
    assert sorted(listed) == sorted(made)
    assert len(await store.holds.get_many(made)) == 7
    everything, _ = await store.holds.list(limit=50)
    assert len(everything) == 8


async def test_a_hold_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.holds.get("h0")
    await store.holds.delivered("h0", gateway="g#1")
    assert await store.holds.response("h0") is None


async def test_every_key_of_a_hold_has_an_end(store: Store, gateway: str) -> None:
    for state in State:
        hold = await hold_in(store, state, gateway=gateway)
        await store.cards.intend(hold.id, "slack:C1", intent="i")
        await store.gateways.beat(gateway)
    permanent = {
        b"state",
        b"due",
        b"gateways",
        b"events",
        b"traffic",
        b"revision",
        b"policy",
        b"keys",
        b"routes",
        b"at",
    }
    for key in await store._client.command("KEYS", "*"):
        kind = key.split(b":")[2]
        ttl = await store._client.command("PTTL", key)
        assert (ttl > 0) != (kind in permanent), key


async def test_closed_holds_leave_the_indexes_after_their_retention(
    store: Store, gateway: str, clock: MovingClock
) -> None:
    await hold_in(store, S.REJECTED, gateway=gateway)
    clock.forward(seconds=7 * 86_400 + 3601)
    await store.holds.prune()
    assert sum((await store.holds.count()).values()) == 0


async def test_a_hold_that_was_open_for_long_is_listed_for_as_long_as_it_is_kept(
    store: Store, gateway: str, clock: MovingClock
) -> None:
    """Its retention begins when it is closed."""
    long = make_draft(evaluation=make_evaluation(timeout_ms=30 * 86_400_000))
    kept = await hold_in(store, S.PENDING, gateway=gateway, draft=long)
    clock.forward(seconds=8 * 86_400)
    await store.holds.decide(kept, make_decision(kept, DecisionKind.REJECT), state=S.REJECTED, body=None)
    await store.holds.prune()
    assert [hold.id for hold in (await store.holds.list(state=S.REJECTED))[0]] == [kept.id]
    assert await store.cards.recent(clock.ms) == ([], [kept.id])
    await store._client.command("DEL", keys.hold(kept.id))
    await store.holds.prune()
    assert (await store.holds.count())[S.REJECTED] == 0


async def test_what_leads_to_a_hold_lasts_as_long_as_it_may_be_kept(
    store: Store, gateway: str, clock: MovingClock
) -> None:
    """A deadline moves while the clock stands for a question, and again for each group that joins then."""
    month_ms = 30 * 86_400_000
    terms = ReviewTerms(question_pauses=True)
    groups = tuple(Escalation(month_ms, group) for group in ("leads", "chiefs"))
    evaluation = make_evaluation(timeout_ms=month_ms, on_timeout=OnTimeout.ESCALATE, escalations=groups, terms=terms)
    draft = make_draft(evaluation=evaluation)
    hold = await store.holds.hold(draft, gateway=gateway, idempotency_key="k")
    await store.holds.hold(
        make_draft(evaluation=make_evaluation(timeout_ms=1_000)), gateway=gateway, idempotency_key=None
    )
    ((idem,), (same,), (of,)) = [
        await store._client.command("KEYS", f"hp:*:{kind}:*") for kind in ("idem", "same", "of")
    ]
    leads_ms = min([await store._client.command("PTTL", key) for key in (idem, same, of)])
    hold = await store.talk.ask(hold, Question("q1", "sam@example.com", "Sam", "why?", clock.ms), pauses=True)
    for step in (store.talk.resume, store.holds.escalate, store.holds.escalate):
        clock.forward(seconds=month_ms / 1000)
        hold = await step(hold)
    past_ms = clock.ms - hold.created_ms
    assert hold.deadline_ms - hold.created_ms == 4 * month_ms
    assert leads_ms + 10_000 > past_ms + await store._client.command("PTTL", keys.hold(hold.id))


@pytest.mark.promise(4)
async def test_what_was_acknowledged_survives_a_killed_redis(redis_server: RedisServer, clock: MovingClock) -> None:
    store = await Store.open(redis_server.url, clock=clock)
    hold = await hold_in(store, S.APPROVED, gateway="g#1")
    redis_server.kill()
    with pytest.raises(StoreUnavailable):
        await store.holds.release(hold.id, gateway="g#1")
    redis_server.start()
    assert (await store.holds.get(hold.id)) == hold
    await store.aclose()


async def test_a_redis_that_hangs_is_unavailable_within_seconds(redis_server: RedisServer, clock: MovingClock) -> None:
    store = await Store.open(redis_server.url, clock=clock)
    redis_server.pause()
    with pytest.raises(StoreUnavailable):
        await store.holds.count()
    redis_server.resume()
    await store.aclose()


async def test_timeouts_of_a_rule_set_the_deadline(store: Store, gateway: str) -> None:
    for remind, due_ms in ((True, 500), (False, 1000)):
        draft = make_draft(
            evaluation=make_evaluation(timeout_ms=1000, escalations=(), terms=ReviewTerms(remind=remind))
        )
        hold = await store.holds.hold(draft, gateway=gateway, idempotency_key=None)
        assert hold.deadline_ms == hold.created_ms + 1000
        assert hold.due_ms == hold.created_ms + due_ms, "the timer looks at half of the time only to remind"
