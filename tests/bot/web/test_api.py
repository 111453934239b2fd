"""The review API over real HTTP: statuses, shapes, who sees what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from holdpoint.model import Hold, PartRole, Requirement, State
from tests.bot.world import Site, conversation, running_site
from tests.support.builders import hold_in
from tests.support.waiting import wait_until

SAM, KIM, LENA, ADA, CARA, DANA, EVE = (
    f"{n}@example.com" for n in ("sam", "kim", "lena", "ada", "cara", "dana", "eve")
)


async def test_a_hold_is_listed_read_and_approved(site: Site) -> None:
    hold = await site.world.hold()
    status, listed = await site.api("GET", "/holds?state=pending")
    assert status == 200
    assert [(each["id"], each["digest"], each["state"]) for each in listed["holds"]] == [
        (hold.id, hold.digest, "pending")
    ]
    assert listed["next"] is None
    status, one = await site.api("GET", f"/holds/{hold.id}")
    assert status == 200
    assert one["parts"] == [
        {"path": "messages/0/content", "role": "user", "text": "what is the admin password", "editable": True}
    ]
    assert one["requester"]["principal"] == DANA
    status, decided = await site.decide(hold, reason="fine")
    assert (status, decided["state"]) == (201, "approved")
    (decision,) = decided["decisions"]
    assert (decision["by"], decision["channel"], decision["reason"]) == (SAM, "api", "fine")


async def test_an_edit_through_the_api(site: Site) -> None:
    hold = await site.world.hold("the password")
    status, decided = await site.decide(hold, edits=[{"part": "messages/0/content", "text": "the weather"}])
    assert (status, decided["parts"][0]["text"]) == (201, "the weather")
    assert decided["original_digest"] == hold.digest != decided["digest"]
    assert decided["decisions"][0]["edits"] == [
        {"part": "messages/0/content", "before": "the password", "text": "the weather"}
    ]


@pytest.mark.promise(5)
async def test_409_says_who_and_what(site: Site) -> None:
    hold = await site.world.hold()
    await site.decide(hold, "reject", by=KIM)
    status, answer = await site.decide(hold, by=SAM)
    assert status == 409
    error = answer["error"]
    assert (error["code"], error["by"], error["decision"], error["state"]) == (
        "already_decided",
        KIM,
        "reject",
        "rejected",
    )
    assert error["message"].startswith("Already rejected by Kim (kim@example.com)")


async def test_409_for_another_digest_names_the_right_one(site: Site) -> None:
    hold, other = await site.world.hold(), await site.world.hold("another password")
    status, answer = await site.decide(hold, digest=other.digest)
    assert (status, answer["error"]["code"], answer["error"]["digest"]) == (409, "another_digest", hold.digest)


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("by", "status", "word"),
    [(DANA, 403, "own request"), (LENA, 403, "Only security"), (CARA, 403, "no reviewer role"), (EVE, 403, "no reviewer role"),
     ("robot", 403, "agent's key"), (None, 401, "Bearer")],
)  # fmt: skip
@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_who_may_not_decide_is_told_why(
    site: Site, by: str | None, status: int, word: str, decision: str
) -> None:
    hold = await site.world.hold()
    body = {"decision": decision, "digest": hold.digest}
    code, answer = await site.api("POST", f"/holds/{hold.id}/decisions", by=by, json=body)
    assert code == status
    assert word in answer["error"]["message"]
    assert (await site.world.store.holds.get(hold.id)).rev == hold.rev


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer nonsense", "Basic YTpi", "Bearer hp_00000000_" + "a" * 38]
)
async def test_401(site: Site, authorization: str) -> None:
    async with site.client.get(f"{site.url}/api/v1/holds", headers={"Authorization": authorization}) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await answer.json())["error"]["code"] == "unknown_key"


async def test_a_revoked_key_ends_within_a_second(site: Site) -> None:
    key = site.world.keys[SAM]
    assert (await site.api("GET", "/holds"))[0] == 200
    await site.world.store.config.revoke_key(key.split("_")[1], by="test")
    await wait_until(lambda: _status_is(site, 401), "the key is refused", seconds=1)


async def _status_is(site: Site, status: int) -> bool:
    return (await site.api("GET", "/holds"))[0] == status


@pytest.mark.parametrize(
    ("by", "sees"), [(SAM, True), (KIM, True), (LENA, False), (ADA, True), (CARA, True), ("robot", True)]
)
async def test_who_sees_a_hold(site: Site, by: str, sees: bool) -> None:
    hold = await site.world.hold()
    _, listed = await site.api("GET", "/holds", by=by)
    assert [each["id"] for each in listed["holds"]] == ([hold.id] if sees else [])
    status, _ = await site.api("GET", f"/holds/{hold.id}", by=by)
    assert status == (200 if sees else 403)


async def test_pages(site: Site) -> None:
    holds = [await site.world.hold(f"password {number}") for number in range(7)]
    for number in range(3):  # hidden from sam, in between
        await site.world.hold_draft(
            conversation((PartRole.USER, f"contract {number}"), requirements=(Requirement("legal", 1),))
        )
    seen: list[str] = []
    path = "/holds?limit=3"
    while True:
        _, page = await site.api("GET", path)
        seen += [each["id"] for each in page["holds"]]
        if page["next"] is None:
            break
        path = f"/holds?limit=3&cursor={page['next']}"
    assert sorted(seen) == sorted(hold.id for hold in holds)
    assert len(seen) == 7


@pytest.mark.parametrize("state", list(State))
async def test_every_state_has_its_list_and_its_document(site: Site, state: State) -> None:
    hold = await hold_in(site.world.store, state, gateway="g#1")
    _, listed = await site.api("GET", f"/holds?state={state}")
    assert [each["id"] for each in listed["holds"]] == [hold.id]
    assert (listed["holds"][0]["outcome"] is not None) == (state in (State.COMPLETED, State.FAILED))


@pytest.mark.parametrize(
    "query",
    [
        "state=nope",
        "state=",
        "limit=0",
        "limit=-1",
        "limit=201",
        "limit=x",
        "limit=²",
        "cursor=x",
        "cursor=1-../",
        "other=1",
    ],
)
async def test_wrong_parameters(site: Site, query: str) -> None:
    status, answer = await site.api("GET", f"/holds?{query}")
    assert (status, answer["error"]["code"]) == (422, "bad_body")


BAD_BODIES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 422),
    "no JSON": (b"{", 422),
    "an array": (b"[]", 422),
    "duplicate keys": (b'{"decision":"reject","decision":"approve","digest":"%(digest)s"}', 422),
    "no digest": (b'{"decision":"approve"}', 422),
    "no decision": (b'{"digest":"%(digest)s"}', 422),
    "an unknown decision": (b'{"decision":"allow","digest":"%(digest)s"}', 422),
    "an unknown field": (b'{"decision":"approve","digest":"%(digest)s","force":true}', 422),
    "a reason that is no text": (b'{"decision":"approve","digest":"%(digest)s","reason":1}', 422),
    "a reason without end": (b'{"decision":"approve","digest":"%(digest)s","reason":"' + b"x" * 4001 + b'"}', 422),
    "edits that are no list": (b'{"decision":"approve","digest":"%(digest)s","edits":{}}', 422),
    "an edit without text": (b'{"decision":"approve","digest":"%(digest)s","edits":[{"part":"messages/0/content"}]}', 422),
    "an edit too many": (b'{"decision":"approve","digest":"%(digest)s","edits":[{"part":"a","text":"b","c":"d"}]}', 422),
    "an edit of an unknown part": (b'{"decision":"approve","digest":"%(digest)s","edits":[{"part":"a","text":"b"}]}', 422),
    "edits of a rejection": (
        b'{"decision":"reject","digest":"%(digest)s","edits":[{"part":"messages/0/content","text":"b"}]}', 422,
    ),
    "a lone surrogate": (b'{"decision":"approve","digest":"%(digest)s","reason":"\\ud800"}', 422),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_decides_nothing(site: Site, name: str) -> None:
    hold = await site.world.hold()
    body, status = BAD_BODIES[name]
    data = body.replace(b"%(digest)s", hold.digest.encode())
    code, answer = await _post(site, hold, data)
    assert code == status
    assert set(answer["error"]) >= {"code", "message"}
    assert (await site.world.store.holds.get(hold.id)).rev == hold.rev


async def _post(site: Site, hold: Hold, data: Any, content_type: str = "application/json") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {site.world.keys[SAM]}", "Content-Type": content_type}
    async with site.client.post(f"{site.url}/api/v1/holds/{hold.id}/decisions", data=data, headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"]
)
async def test_only_json(site: Site, content_type: str) -> None:
    hold = await site.world.hold()
    status, answer = await _post(site, hold, b'{"decision":"approve"}', content_type)
    assert (status, answer["error"]["code"]) == (415, "wrong_content_type")


async def test_a_body_over_the_limit(redis_url: str, tmp_path: Path) -> None:
    async with running_site(redis_url, tmp_path, max_body_bytes=1000) as site:
        status, answer = await _post(site, await site.world.hold(), b" " * 80_000)
        assert (status, answer["error"]["code"]) == (413, "too_large")


async def test_a_body_that_does_not_come(redis_url: str, tmp_path: Path) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with running_site(redis_url, tmp_path, body_timeout_s=0.2) as site:
        status, answer = await _post(site, await site.world.hold(), slowly())
        assert (status, answer["error"]["code"]) == (408, "too_slow")


async def test_404_and_405_are_json(site: Site) -> None:
    assert (await site.api("GET", "/holds/nope"))[0] == 404
    assert (await site.api("GET", "/nothing"))[0] == 404
    status, answer = await site.api("DELETE", "/holds")
    assert (status, answer["error"]["code"]) == (405, "method_not_allowed")
    body = {"decision": "approve", "digest": "x"}
    assert (await site.api("POST", "/holds/nope/decisions", json=body))[0] == 404


@pytest.mark.promise(8)
async def test_masks_apply_to_everything_that_is_said(site: Site) -> None:
    hold = await site.world.hold("password of 4111 1111 1111 1111")
    _, listed = await site.api("GET", "/holds")
    _, decided = await site.decide(
        hold, edits=[{"part": "messages/0/content", "text": "code of ⟦card number 1⟧"}], reason="4111 1111 1111 1111"
    )
    assert "4111 1111" not in repr(listed) + repr(decided)
    stored = await site.world.store.holds.get(hold.id)
    assert stored.query.parts[0].text == "code of 4111 1111 1111 1111"


@pytest.mark.promise(3)
async def test_the_same_decision_twice_is_one(site: Site) -> None:
    hold = await site.world.hold()
    first = await site.decide(hold)
    assert await site.decide(hold) == first
    assert len((await site.world.store.holds.get(hold.id)).decisions) == 1
