"""What is rendered once and said in many records: each record has its own requester, and says what the objects say."""

from __future__ import annotations

from dataclasses import replace

import orjson

from holdpoint.model import Evaluation, EventKind, Outcome, Query, Requester, Risk, RuleHit, Verdict
from holdpoint.store import Entry, request_events
from holdpoint.store.as_json import to_json
from holdpoint.store.repeated import Repeated

DANA = Requester("dana@example.com", frozenset({"b", "a"}), name='D "D" Ä', key_id="k1", aliases=frozenset({"d@e.f"}))
CLEAN = Evaluation(Verdict.ALLOW, (), Risk.LOW, 7)
QUERY = Query("demo", "chat/completions", "m", (), (), True, 3, None, (), b'{"model":"m"}')
OUTCOME = Outcome(200, "ab" * 32, 'he said "ä\n"', None, 5, 12, 600, "the client left")


def allowed(requester: Requester = DANA, evaluation: Evaluation | None = CLEAN) -> Entry:
    return request_events.request_entry(
        EventKind.REQUEST_ALLOWED,
        request="r1",
        at_ms=1,
        requester=requester,
        connection="demo",
        environment="production",
        address="127.0.0.1",
        method="POST",
        target="/v1/chat/completions",
        digest="d",
        query=QUERY,
        evaluation=evaluation,
    )


def test_an_allowed_request_is_recorded_as_its_objects_say() -> None:
    for evaluation in (CLEAN, replace(CLEAN, hits=(RuleHit("r", "d", Verdict.ALLOW, Risk.LOW),)), None):
        said = {
            "request": "r1",
            "requester": DANA,
            "connection": "demo",
            "environment": "production",
            "address": "127.0.0.1",
            "method": "POST",
            "target": "/v1/chat/completions",
            "digest": "d",
            "evaluation": evaluation,
            "reason": "",
            "model": "m",
            "stream": True,
            "body": orjson.Fragment(QUERY.body),
        }
        for _ in range(2):  # rendered, and remembered
            assert allowed(evaluation=evaluation).data == to_json(said)


def test_an_outcome_is_recorded_with_everything_it_has() -> None:
    entry = request_events.request_completed(request="r1", at_ms=1, requester=DANA, connection="demo", outcome=OUTCOME)
    assert entry.data == to_json({"request": "r1", "requester": DANA, "connection": "demo", "outcome": OUTCOME})


def test_nobody_is_recorded_as_somebody_else() -> None:
    for number in range(3_000):  # each gone before the next: the interpreter uses their ids again
        name = f"p{number}@example.com"
        assert orjson.loads(allowed(Requester(name, frozenset())).data)["requester"]["principal"] == name


def test_what_a_policy_says_is_recorded_by_its_version() -> None:
    for version in range(300):
        entry = allowed(evaluation=replace(CLEAN, policy_version=version))
        assert orjson.loads(entry.data)["evaluation"]["policy_version"] == version


def test_what_is_remembered_has_a_bound() -> None:
    repeated: Repeated[Requester] = Repeated(2)
    for number in range(9):
        repeated.json(Requester(f"p{number}", frozenset()))
        assert len(repeated._known) <= 2
