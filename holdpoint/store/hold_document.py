"""What never changes of a hold ⇄ ``doc``, one JSON object. Pure.

The texts of the query are not stored twice: ``doc`` has their paths, and ``body`` is the one place that they are read
from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from pydantic import TypeAdapter

from holdpoint.canonical import lookup
from holdpoint.model import Decision, Evaluation, Part, PartRole, Query, Requester, RuleHit
from holdpoint.store.as_json import to_json
from holdpoint.store.drafts import Draft

_EVALUATION = TypeAdapter(Evaluation)
_REQUESTER = TypeAdapter(Requester)


def document(draft: Draft, fingerprint_: str) -> bytes:
    """``doc`` of a request that is about to be held, and will be found again by ``fingerprint_``."""
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


def load_query(doc: Mapping[str, Any], body: bytes | None) -> Query:
    """The query, with its texts as they stand in ``body``; None: with empty ones, and without a body."""
    stored = doc["query"]
    value = orjson.loads(body) if body is not None else None
    return Query(
        connection=doc["connection"],
        endpoint=stored["endpoint"],
        model=stored["model"],
        parts=tuple(
            Part(path, PartRole(role), "" if body is None else lookup(value, path)) for path, role in stored["parts"]
        ),
        tools=tuple(stored["tools"]),
        stream=stored["stream"],
        prompt_tokens=stored["prompt_tokens"],
        max_tokens=stored["max_tokens"],
        uninspectable=tuple(stored["uninspectable"]),
        body=body or b"",
    )


def load_requester(doc: Mapping[str, Any]) -> Requester:
    return _REQUESTER.validate_python(doc["requester"])


def load_evaluation(doc: Mapping[str, Any], decisions: tuple[Decision, ...]) -> Evaluation:
    """What matched in a text that was edited since is no longer a place in it."""
    evaluation = _EVALUATION.validate_python(doc["evaluation"])
    edited = {edit.path for decision in decisions for edit in decision.edits}
    if not edited:
        return evaluation
    hits = tuple(
        RuleHit(hit.rule, hit.description, hit.verdict, hit.risk, tuple(s for s in hit.spans if s.path not in edited))
        for hit in evaluation.hits
    )
    return replace(evaluation, hits=hits)


def load_fingerprint(raw: bytes) -> str:
    """The fingerprint under which the hold is found again."""
    return str(orjson.loads(raw)["fingerprint"])
