"""What the events of one hold say, from its making to its outcome: the members that follow what the scripts put first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from holdpoint.model import Claim, Confirming, Decision, Outcome, Question
from holdpoint.store.drafts import Draft
from holdpoint.store.events import members


def hold_created(draft: Draft, *, deadline_ms: int) -> bytes:
    """Everything that was inspected: the record of the request itself."""
    query = draft.query
    return members(
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
    return members(extra)


def escalated(group: str, *, deadline_ms: int) -> bytes:
    return members({"group": group, "deadline_ms": deadline_ms})


def claimed(claim: Claim) -> bytes:
    return members({"claim": claim})


def unclaimed(claim: Claim | None, *, by: str) -> bytes:
    """``claim`` is the one that is over; ``by`` is "policy" when it has lapsed."""
    return members({"claim": claim, "by": by})


def confirming(confirming: Confirming, *, channel: str, digest: str, edits: Sequence[str]) -> bytes:
    """An approval from ``channel`` that does not count yet: of the text with ``digest``, with ``edits`` (paths)."""
    return members({"confirming": confirming, "channel": channel, "shown": digest, "edits": edits})


def unconfirmed(lapsed: Sequence[Confirming]) -> bytes:
    return members({"lapsed": lapsed})


def asked(question: Question, *, pauses: bool) -> bytes:
    """``pauses``: the clock stands until the answer."""
    return members({"question": question, "pauses": pauses})


def answered(question: Question, *, deadline_ms: int) -> bytes:
    """The question with its answer, and the deadline that follows."""
    return members({"question": question, "deadline_ms": deadline_ms})


def resumed(*, deadline_ms: int, paused_for_ms: int) -> bytes:
    return members({"deadline_ms": deadline_ms, "paused_for_ms": paused_for_ms})


def justified(text: str, *, by: str) -> bytes:
    return members({"justification": text, "by": by})


def reminded(*, deadline_ms: int) -> bytes:
    return members({"deadline_ms": deadline_ms})


def told(channel: str, *, reached: bool) -> bytes:
    """Whether the requester could be told of the hold in ``channel`` ("teams")."""
    return members({"channel": channel, "reached": reached})


def ended(*, by: str, reason: str) -> bytes:
    return members({"by": by, "reason": reason})


def closed(outcome: Outcome) -> bytes:
    return members({"outcome": outcome})
