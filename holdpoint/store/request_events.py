"""What the events of requests say, as the gateway writes them: allowed, blocked, refused, completed."""

from __future__ import annotations

from typing import Any

import orjson

from holdpoint.model import Evaluation, EventKind, Outcome, Query, Requester
from holdpoint.store.as_json import to_json
from holdpoint.store.events import Entry
from holdpoint.store.repeated import Repeated

_requesters: Repeated[Requester] = Repeated()  # the same objects for as long as keys and policy do not change
_clean: Repeated[Evaluation] = Repeated(100)  # one of each policy


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
    grant: str = "",
    hold: str = "",
    limit: str = "",
    times: int = 1,
) -> Entry:
    """``request.allowed``, ``request.blocked`` or ``request.refused``. ``query`` is None for what was not understood.

    ``grant`` is the one that let it pass, empty where the policy itself did; ``hold`` the hold that it came back to;
    ``limit`` the limit that refused it, and ``times`` requests like it.
    """
    data: dict[str, Any] = {
        "request": request,
        "requester": _requesters.json(requester),
        "connection": connection,
        "environment": environment,
        "address": address,
        "method": method,
        "target": target,
        "digest": digest,
        "evaluation": _clean.json(evaluation) if evaluation is not None and _is_clean(evaluation) else evaluation,
        "reason": reason,
    }
    if grant:
        data["grant"] = grant
    if hold:
        data["hold"] = hold
    if limit:
        data["limit"], data["times"] = limit, times
    if query is not None:
        data["model"] = query.model
        data["stream"] = query.stream
        data["body"] = orjson.Fragment(query.body) if query.body else None
    return Entry("traffic", kind, request, at_ms, to_json(data))


def request_completed(*, request: str, at_ms: int, requester: Requester, connection: str, outcome: Outcome) -> Entry:
    data = {
        "request": request,
        "requester": _requesters.json(requester),
        "connection": connection,
        "outcome": {  # a mapping, because the encoder needs five times as long for the object
            "status": outcome.status,
            "digest": outcome.digest,
            "text": outcome.text,
            "prompt_tokens": outcome.prompt_tokens,
            "completion_tokens": outcome.completion_tokens,
            "duration_ms": outcome.duration_ms,
            "size_bytes": outcome.size_bytes,
            "error": outcome.error,
        },
    }
    return Entry("traffic", EventKind.REQUEST_COMPLETED, request, at_ms, to_json(data))


def _is_clean(evaluation: Evaluation) -> bool:
    """Whether it says nothing of the query itself: then the policy has one such object for all."""
    return not (evaluation.hits or evaluation.edits or evaluation.shadows)
