"""A hold, a key, a decision ⇄ what Redis keeps of it. Pure.

A hold is one hash. What never changes stands in ``doc`` (JSON), what changes in fields of its own, so that a script
can change one without parsing the other. The texts of the query are not stored twice: ``doc`` has their paths, and
``body`` is the one place that they are read from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import TypeAdapter

from holdpoint.canonical import lookup
from holdpoint.model import (
    Claim,
    Confirming,
    Decision,
    Evaluation,
    Hold,
    KeyRecord,
    Outcome,
    Part,
    PartRole,
    Query,
    Question,
    Requester,
    RuleHit,
    Similar,
    State,
)
from holdpoint.store.as_json import to_json
from holdpoint.store.drafts import Draft

_EVALUATION = TypeAdapter(Evaluation)
_DECISIONS = TypeAdapter(tuple[Decision, ...])
_DECISION = TypeAdapter(Decision)
_OUTCOME = TypeAdapter(Outcome)
_CLAIM = TypeAdapter(Claim)
_CONFIRMING = TypeAdapter(Confirming)
_CONFIRMING_OF = "confirming:"
_QUESTIONS = TypeAdapter(tuple[Question, ...])
_SIMILAR = TypeAdapter(Similar)
_REQUESTER = TypeAdapter(Requester)
_KEY = TypeAdapter(KeyRecord)


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A model's answer, kept for a replay. ``headers`` are the ones that the client was sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def fingerprint(requester: Requester, connection: str, what: str) -> str:
    """What re-attachment goes by: who, to which model, and the digest or Idempotency-Key."""
    joined = "\x00".join((requester.principal, requester.owner or "", connection, what))
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()


def head(requester: Requester, connection: str) -> bytes:
    """The JSON members that every event of a hold repeats (see `lua/_common.lua`)."""
    return to_json({"requester": requester, "connection": connection})[1:-1]


def document(draft: Draft, fingerprint_: str) -> bytes:
    """``doc``: what never changes."""
    query = draft.query
    return to_json(
        {
            "original_digest": draft.digest,
            "connection": query.connection,
            "environment": draft.environment,
            "method": draft.method,
            "target": draft.target,
            "query": {
                "endpoint": query.endpoint,
                "model": query.model,
                "parts": [(part.path, part.role) for part in query.parts],
                "tools": query.tools,
                "stream": query.stream,
                "prompt_tokens": query.prompt_tokens,
                "max_tokens": query.max_tokens,
                "uninspectable": query.uninspectable,
            },
            "requester": draft.requester,
            "address": draft.address,
            "evaluation": draft.evaluation,
            "justification": draft.justification,
            "fingerprint": fingerprint_,
        }
    )


def new_hold(draft: Draft, hold_id: str, *, created_ms: int, deadline_ms: int, waiter: str) -> Hold:
    """What `load_hold` makes of a hold that has just been created, but for ``due_ms``."""
    return Hold(
        id=hold_id,
        rev=1,
        state=State.PENDING,
        digest=draft.digest,
        original_digest=draft.digest,
        connection=draft.query.connection,
        environment=draft.environment,
        method=draft.method,
        target=draft.target,
        query=draft.query,
        requester=draft.requester,
        address=draft.address,
        evaluation=draft.evaluation,
        created_ms=created_ms,
        deadline_ms=deadline_ms,
        due_ms=0,
        asynchronous=draft.asynchronous,
        waiter=waiter,
        justification=draft.justification,
    )


def load_hold(fields: Mapping[bytes, bytes]) -> Hold:
    """The hash of a hold → `Hold`."""
    doc = orjson.loads(fields[b"doc"])
    body = fields[b"body"]
    decisions = _DECISIONS.validate_json(fields.get(b"decisions") or b"[]")
    outcome = fields.get(b"outcome")
    return Hold(
        id=fields[b"id"].decode(),
        rev=int(fields[b"rev"]),
        state=State(fields[b"state"].decode()),
        digest=fields[b"digest"].decode(),
        original_digest=doc["original_digest"],
        connection=doc["connection"],
        environment=doc["environment"],
        method=doc["method"],
        target=doc["target"],
        query=_query(doc, body),
        requester=_REQUESTER.validate_python(doc["requester"]),
        address=doc["address"],
        evaluation=_evaluation(doc["evaluation"], decisions),
        created_ms=int(fields[b"created_ms"]),
        deadline_ms=int(fields[b"deadline_ms"]),
        due_ms=int(fields.get(b"due_ms") or 0),
        asynchronous=fields.get(b"asynchronous") == b"1",
        waiter=fields.get(b"waiter", b"").decode(),
        left_ms=_optional_int(fields.get(b"left_ms")),
        return_by_ms=_optional_int(fields.get(b"return_by_ms")),
        releaser=fields.get(b"releaser", b"").decode(),
        escalated=int(fields.get(b"escalated") or 0),
        decisions=decisions,
        closed_ms=_optional_int(fields.get(b"closed_ms")),
        close_reason=fields.get(b"close_reason", b"").decode(),
        outcome=_OUTCOME.validate_json(outcome) if outcome else None,
        justification=_justification(fields, doc["justification"]),
        claim=_CLAIM.validate_json(fields[b"claim"]) if fields.get(b"claim") else None,
        questions=_QUESTIONS.validate_json(fields.get(b"questions") or b"[]"),
        paused_ms=_optional_int(fields.get(b"paused_ms")),
        paused_for_ms=int(fields.get(b"paused_for_ms") or 0),
        reminded_ms=_optional_int(fields.get(b"reminded_ms")),
        similar=load_similar(fields[b"similar"]) if fields.get(b"similar") else None,
        told=_told(fields),
        confirming=_confirming(fields),
    )


def confirming_field(principal: str) -> str:
    """The field of a hold that says that ``principal`` has yet to confirm their approval."""
    return _CONFIRMING_OF + principal


def confirming_json(confirming: Confirming) -> bytes:
    return _CONFIRMING.dump_json(confirming)


def _confirming(fields: Mapping[bytes, bytes]) -> tuple[Confirming, ...]:
    prefix = _CONFIRMING_OF.encode()
    found = [_CONFIRMING.validate_json(raw) for name, raw in fields.items() if raw and name.startswith(prefix)]
    return tuple(sorted(found, key=lambda each: (each.until_ms, each.by)))


def _told(fields: Mapping[bytes, bytes]) -> tuple[tuple[str, bool], ...]:
    """``told:teams`` → whether the requester could be told there."""
    return tuple(
        sorted((name[5:].decode(), value == b"1") for name, value in fields.items() if name.startswith(b"told:"))
    )


def _justification(fields: Mapping[bytes, bytes], sent: str) -> str:
    """The one that came with the request, unless the requester wrote another one since."""
    later = fields.get(b"justification")
    return sent if later is None else later.decode()


def load_fingerprint(fields: Mapping[bytes, bytes]) -> str:
    """The fingerprint under which a hold is found again."""
    return str(orjson.loads(fields[b"doc"])["fingerprint"])


def decision_json(decision: Decision) -> bytes:
    return _DECISION.dump_json(decision)


def decisions_json(decisions: tuple[Decision, ...]) -> bytes:
    return _DECISIONS.dump_json(decisions)


def claim_json(claim: Claim) -> bytes:
    return _CLAIM.dump_json(claim)


def questions_json(questions: tuple[Question, ...]) -> bytes:
    return _QUESTIONS.dump_json(questions)


def similar_json(similar: Similar) -> bytes:
    return _SIMILAR.dump_json(similar)


def load_similar(raw: bytes) -> Similar:
    return _SIMILAR.validate_json(raw)


def outcome_json(outcome: Outcome) -> bytes:
    return _OUTCOME.dump_json(outcome)


def key_json(record: KeyRecord) -> bytes:
    return to_json(record)


def load_key(raw: bytes) -> KeyRecord:
    return _KEY.validate_json(raw)


def _query(doc: Mapping[str, Any], body: bytes) -> Query:
    stored = doc["query"]
    value = orjson.loads(body)
    return Query(
        connection=doc["connection"],
        endpoint=stored["endpoint"],
        model=stored["model"],
        parts=tuple(Part(path, PartRole(role), lookup(value, path)) for path, role in stored["parts"]),
        tools=tuple(stored["tools"]),
        stream=stored["stream"],
        prompt_tokens=stored["prompt_tokens"],
        max_tokens=stored["max_tokens"],
        uninspectable=tuple(stored["uninspectable"]),
        body=body,
    )


def _evaluation(raw: Any, decisions: tuple[Decision, ...]) -> Evaluation:
    """The evaluation; what matched in a text that was edited since is no longer a place in it."""
    evaluation = _EVALUATION.validate_python(raw)
    edited = {edit.path for decision in decisions for edit in decision.edits}
    if not edited:
        return evaluation
    hits = tuple(
        RuleHit(hit.rule, hit.description, hit.verdict, hit.risk, tuple(s for s in hit.spans if s.path not in edited))
        for hit in evaluation.hits
    )
    return replace(evaluation, hits=hits)


def _optional_int(raw: bytes | None) -> int | None:
    return int(raw) if raw else None
