"""Events as the store builds them, for the ledger's tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from holdpoint.ledger.chain import Entry, entry

REQUESTER = {
    "principal": "dana@example.com",
    "groups": ["contractors", "staff"],
    "owner": None,
    "name": "Dana",
    "key_id": "k1",
}
EVALUATION = {
    "verdict": "review",
    "hits": [
        {
            "rule": "secrets",
            "description": "Credentials in a prompt",
            "verdict": "review",
            "risk": "high",
            "spans": [{"path": "messages/0/content", "start": 12, "end": 26}],
        },
        {"rule": "night", "description": "At night", "verdict": "allow", "risk": "low", "spans": []},
    ],
    "risk": "high",
    "policy_version": 3,
    "requirements": [{"group": "security", "approvals": 1, "alternates": []}],
    "reason": "Credentials in a prompt",
}
BODY = {"model": "m", "messages": [{"role": "user", "content": "what is the admin password \u202e?"}]}


def hold_event(kind: str, number: int, *, hold: str = "h1", **data: Any) -> Entry:
    """One event of a hold, as the scripts put it together."""
    common = {"hold": hold, "rev": number, "digest": "d" * 64, "requester": REQUESTER, "connection": "demo"}
    return event(kind, hold, number, {**common, **data})


def event(kind: str, subject: str, number: int, data: Any, *, stream: str = "events") -> Entry:
    return entry(
        source=f"{stream}/{1700000000000 + number}-0",
        kind=kind,
        subject=subject,
        at_ms=1700000000000 + number * 1000,
        raw=data if isinstance(data, bytes) else orjson.dumps(data),
    )


def story(hold: str = "h1", start: int = 1) -> Sequence[Entry]:
    """A hold that was shown, approved with an edit, released and completed; beside it an allowed request."""
    decision = {
        "kind": "approve",
        "by": "sam@example.com",
        "name": "Sam",
        "groups": ["security"],
        "channel": "slack",
        "at_ms": 1700000003000,
        "digest": "d" * 64,
        "result_digest": "e" * 64,
        "reason": "a test\x1b[31m account",
        "edits": [{"path": "messages/0/content", "text": "what is a password"}],
        "before": [{"path": "messages/0/content", "text": BODY["messages"][0]["content"]}],  # type: ignore[index]
    }
    outcome = {
        "status": 200,
        "digest": "f" * 64,
        "text": "A secret word.\x1b]0;title\x07",
        "prompt_tokens": 5,
        "completion_tokens": 4,
        "duration_ms": 1234,
        "size_bytes": 99,
        "error": "",
    }
    created = {
        "state": "pending", "address": "127.0.0.1", "environment": "production", "method": "POST",
        "target": "/v1/chat/completions", "original_digest": "d" * 64, "model": "m", "stream": False, "uninspectable": [],
        "evaluation": EVALUATION, "deadline_ms": 1700000600000, "body": BODY,
    }  # fmt: skip
    request = {"request": f"r{start}", "requester": REQUESTER, "connection": "demo", "digest": "c" * 64,
               "evaluation": {**EVALUATION, "verdict": "allow", "hits": []}, "body": BODY}  # fmt: skip
    return [
        hold_event("hold.created", start, hold=hold, **created),
        event("card.shown", hold, start + 1, {"hold": hold, "rev": 1, "target": "slack:C1", "digest": "d" * 64, "view": "Dana asks"}),
        hold_event("hold.approved", start + 2, hold=hold, state="approved", decision=decision),
        hold_event("hold.released", start + 3, hold=hold, state="released"),
        hold_event("hold.completed", start + 4, hold=hold, state="completed", outcome=outcome),
        event("request.allowed", f"r{start}", start, request, stream="traffic"),
        event("request.completed", f"r{start}", start + 1, {"request": f"r{start}", "requester": REQUESTER,
              "connection": "demo", "outcome": outcome}, stream="traffic"),
    ]  # fmt: skip
