"""A hold ⇄ the hash that Redis keeps of it. Pure.

What never changes stands in ``doc`` (hold_document.py), what changes in fields of its own, so that a script can change
one without parsing the other.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from pydantic import TypeAdapter

from holdpoint.model import Claim, Confirming, Decision, Hold, Outcome, Question, Similar, State
from holdpoint.store.as_json import to_json
from holdpoint.store.drafts import Draft
from holdpoint.store.hold_document import document, load_evaluation, load_query, load_requester
from holdpoint.store.wire import Argument

_DECISIONS = TypeAdapter(tuple[Decision, ...])
_OUTCOME = TypeAdapter(Outcome)
_CLAIM = TypeAdapter(Claim)
_CONFIRMING = TypeAdapter(Confirming)
_CONFIRMING_OF = "confirming:"
_QUESTIONS = TypeAdapter(tuple[Question, ...])
_SIMILAR = TypeAdapter(Similar)


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


def new_fields(draft: Draft, new: Hold, *, fingerprint: str) -> dict[str, Argument]:
    """The hash of ``new``, as it is when the hold is created."""
    return {
        "id": new.id,
        "doc": document(draft, fingerprint),
        "head": _head(draft),
        "digest": new.digest,
        "body": draft.query.body,
        "created_ms": new.created_ms,
        "deadline_ms": new.deadline_ms,
        "waiter": new.waiter,
        "asynchronous": int(new.asynchronous),
    }


def _head(draft: Draft) -> bytes:
    """The JSON members that every event of a hold repeats (see `lua/_common.lua`)."""
    return to_json({"requester": draft.requester, "connection": draft.query.connection})[1:-1]


def load_hold(fields: Mapping[bytes, bytes], *, outline: bool = False) -> Hold:
    """The hash of a hold → `Hold`. ``outline``: without body and texts, and ``fields`` need not have them."""
    doc = orjson.loads(fields[b"doc"])
    decisions = _DECISIONS.validate_json(fields.get(b"decisions") or b"[]")
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
        query=load_query(doc, None if outline else fields[b"body"]),
        requester=load_requester(doc),
        address=doc["address"],
        evaluation=load_evaluation(doc, decisions),
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
        outcome=_OUTCOME.validate_json(fields[b"outcome"]) if fields.get(b"outcome") else None,
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


def _optional_int(raw: bytes | None) -> int | None:
    return int(raw) if raw else None


def decisions_json(decisions: tuple[Decision, ...]) -> bytes:
    return _DECISIONS.dump_json(decisions)


def claim_json(claim: Claim) -> bytes:
    return _CLAIM.dump_json(claim)


def questions_json(questions: tuple[Question, ...]) -> bytes:
    return _QUESTIONS.dump_json(questions)


def confirming_field(principal: str) -> str:
    """The field of a hold that says that ``principal`` has yet to confirm their approval."""
    return _CONFIRMING_OF + principal


def confirming_json(confirming: Confirming) -> bytes:
    return _CONFIRMING.dump_json(confirming)


def similar_json(similar: Similar) -> bytes:
    return _SIMILAR.dump_json(similar)


def load_similar(raw: bytes) -> Similar:
    return _SIMILAR.validate_json(raw)


def outcome_json(outcome: Outcome) -> bytes:
    return _OUTCOME.dump_json(outcome)
