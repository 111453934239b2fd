"""What an event says: the one place that builds its ``data`` (JSON), so that cards, ledger and tests agree.

Events of a hold are put together by the scripts from the stored hold (``hold``, ``rev``, ``state``, ``digest``,
``requester``, ``connection``) and the *extra* members that the functions here return, each with a comma in front.
Events without a hold are whole objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from holdpoint.model import Decision, Evaluation, EventKind, KeyRecord, Outcome, Query, Requester
from holdpoint.store.codec import Draft, to_json


@dataclass(frozen=True, slots=True)
class Entry:
    """One event that is about to be appended. ``stream`` is "events" or "traffic"; ``data`` is a JSON object."""

    stream: str
    kind: EventKind
    subject: str
    at_ms: int
    data: bytes


def _members(values: Mapping[str, Any]) -> bytes:
    """``,"a":1,"b":2`` or nothing."""
    return b"," + to_json(values)[1:-1] if values else b""


def hold_created(draft: Draft, *, deadline_ms: int) -> bytes:
    """Everything that was inspected: the record of the request itself."""
    query = draft.query
    return _members(
        {
            "address": draft.address,
            "environment": draft.environment,
            "method": draft.method,
            "target": draft.target,
            "original_digest": draft.digest,
            "model": query.model,
            "stream": query.stream,
            "uninspectable": query.uninspectable,
            "evaluation": draft.evaluation,
            "deadline_ms": deadline_ms,
            "asynchronous": draft.asynchronous,
            "justification": draft.justification,
            "body": orjson.Fragment(query.body),
        }
    )


def decided(decision: Decision, body: bytes | None) -> bytes:
    """A decision; with the body that would be forwarded now when it carries edits."""
    extra: dict[str, Any] = {"decision": decision}
    if body is not None:
        extra["body"] = orjson.Fragment(body)
    return _members(extra)


def escalated(group: str, *, deadline_ms: int) -> bytes:
    return _members({"group": group, "deadline_ms": deadline_ms})


def ended(*, by: str, reason: str) -> bytes:
    return _members({"by": by, "reason": reason})


def closed(outcome: Outcome) -> bytes:
    return _members({"outcome": outcome})


def request_entry(
    kind: EventKind,
    *,
    request: str,
    at_ms: int,
    requester: Requester,
    connection: str,
    environment: str,
    address: str,
    method: str,
    target: str,
    digest: str,
    query: Query | None,
    evaluation: Evaluation | None,
    reason: str = "",
) -> Entry:
    """``request.allowed``, ``request.blocked`` or ``request.refused``. ``query`` is None for what was not understood."""
    data: dict[str, Any] = {
        "request": request,
        "requester": requester,
        "connection": connection,
        "environment": environment,
        "address": address,
        "method": method,
        "target": target,
        "digest": digest,
        "evaluation": evaluation,
        "reason": reason,
    }
    if query is not None:
        data["model"] = query.model
        data["stream"] = query.stream
        data["body"] = orjson.Fragment(query.body) if query.body else None
    return Entry("traffic", kind, request, at_ms, to_json(data))


def request_completed(*, request: str, at_ms: int, requester: Requester, connection: str, outcome: Outcome) -> Entry:
    data = {"request": request, "requester": requester, "connection": connection, "outcome": outcome}
    return Entry("traffic", EventKind.REQUEST_COMPLETED, request, at_ms, to_json(data))


def card_shown(*, hold: str, rev: int, target: str, digest: str, view: str, at_ms: int) -> Entry:
    """``view`` is what the card showed, as plain text, masks applied; ``digest`` the text that it stood for."""
    data = {"hold": hold, "rev": rev, "target": target, "digest": digest, "view": view}
    return Entry("events", EventKind.CARD_SHOWN, hold, at_ms, to_json(data))


def policy_pushed(*, by: str, note: str, text: str, after: int) -> bytes:
    return to_json({"version": after + 1, "by": by, "note": note, "text": text})


def key_changed(record: KeyRecord, *, by: str) -> bytes:
    """Without the digest: a record needs to say which key, not to help in guessing it."""
    return to_json(
        {
            "key": record.id,
            "by": by,
            "principal": record.principal,
            "groups": record.groups,
            "roles": record.roles,
            "owner": record.owner,
            "expires_ms": record.expires_ms,
            "revoked_ms": record.revoked_ms,
        }
    )


def route_changed(*, group: str, channel: str, by: str) -> bytes:
    return to_json({"group": group, "channel": channel, "by": by})
