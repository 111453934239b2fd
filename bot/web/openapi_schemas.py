"""The documents of the review API, as JSON Schema: what it answers with, and what a decision is sent as.

Beside `documents.py`, which makes them; a test holds the two together.
"""

from __future__ import annotations

from typing import Any

from holdpoint.model import DecisionKind, Factor, PartRole, Risk, State, Verdict

Schema = dict[str, Any]


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def ref(name: str) -> Schema:
    """The schema of that name in `SCHEMAS`, from anywhere in the description."""
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": "integer"}
_NUMBER_OR_NULL: Schema = {"type": ["integer", "null"]}
_FLAG: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
_DIGEST: Schema = {"type": "string", "description": "SHA-256 (hex) of the canonical request"}

_HOLD = _object(
    {
        "id": _TEXT,
        "rev": {**_NUMBER, "description": "grows with every change"},
        "digest": {**_DIGEST, "description": "of the text that would be forwarded now; a decision has to name it"},
        "original_digest": _DIGEST,
        "state": {"enum": [state.value for state in State]},
        "state_sentence": {**_TEXT, "description": "the state in words: who, from where, after how long"},
        "created_at": _TIME,
        "deadline": {**_TIME, "description": "moves along while the clock stands"},
        "paused_since": {
            **_TIME_OR_NULL,
            "description": "the clock stands since then, for a question to the requester",
        },
        "closed_at": _TIME_OR_NULL,
        "close_reason": _TEXT,
        "url": {**_TEXT, "description": "the hold in the web inbox"},
        "title": _TEXT,
        "preview": _TEXT,
        "requester": _object({"principal": _TEXT, "name": _TEXT, "owner": _TEXT_OR_NULL, "groups": _list(_TEXT)}),
        "justification": _TEXT,
        "connection": _TEXT,
        "environment": _TEXT,
        "model": _TEXT,
        "stream": _FLAG,
        "tools": _list(_TEXT),
        "uninspectable": {**_list(_TEXT), "description": "what the gateway could not read"},
        "risk": {"enum": [risk.value for risk in Risk]},
        "policy_version": _NUMBER,
        "rules": _list(ref("Rule")),
        "requirements": _list(ref("Requirement")),
        "parts": _list(ref("Part")),
        "claim": {"anyOf": [ref("Claim"), {"type": "null"}], "description": "who is on it now; others may decide too"},
        "questions": _list(ref("Question")),
        "confirming": {
            **_list(ref("Claim")),
            "description": "whose approvals do not count yet: they confirm that it is them",
        },
        "needs_confirmation": {**_FLAG, "description": "the text was edited, and somebody else has to approve it"},
        "decisions": _list(ref("Decision")),
        "outcome": {"anyOf": [ref("Outcome"), {"type": "null"}]},
    }
)

_COUNTS: Schema = {
    "held": _NUMBER,
    "approved": _NUMBER,
    "rejected": _NUMBER,
    "expired": {**_NUMBER, "description": "nobody decided in time"},
    "cancelled": _NUMBER,
    "waiting": {**_NUMBER, "description": "not decided yet, as far as the ledger goes"},
    "failed": {**_NUMBER, "description": "those of the approved whose model did not answer"},
}
_MEDIAN: Schema = {"median_ms": {**_NUMBER_OR_NULL, "description": "time to decision, milliseconds; null: none"}}
_P95: Schema = {"p95_ms": _NUMBER_OR_NULL}

SCHEMAS: Schema = {
    "Hold": _HOLD,
    "Stats": _object(
        {
            "since": _TIME,
            "until": _TIME,
            **_COUNTS,
            **_MEDIAN,
            **_P95,
            "groups": {
                **_list(_object({"group": _TEXT, **_COUNTS, **_MEDIAN, **_P95})),
                "description": "who is in several groups counts in each",
            },
            "reviewers": _list(
                _object({"reviewer": _TEXT, "name": _TEXT, "approved": _NUMBER, "rejected": _NUMBER, **_MEDIAN})
            ),
            "by_day": _list(_object({"date": {"type": "string", "format": "date"}, **_COUNTS, **_MEDIAN})),
        }
    ),
    "Holds": _object(
        {"holds": _list(ref("Hold")), "next": {**_TEXT_OR_NULL, "description": "cursor of the next page"}}
    ),
    "Claim": _object({"by": _TEXT, "name": _TEXT, "until": _TIME}),
    "Question": _object(
        {
            "id": _TEXT,
            "by": _TEXT,
            "name": _TEXT,
            "text": _TEXT,
            "at": _TIME,
            "answer": {**_TEXT_OR_NULL, "description": "null: not answered yet"},
            "answered_by": _TEXT_OR_NULL,
            "answered_at": _TIME_OR_NULL,
        }
    ),
    "Rule": _object(
        {
            "id": _TEXT,
            "description": _TEXT,
            "verdict": {"enum": [v.value for v in Verdict]},
            "risk": {"enum": [r.value for r in Risk]},
        }
    ),
    "Requirement": _object(
        {
            "group": _TEXT,
            "alternates": _list(_TEXT),
            "approvals": _NUMBER,
            "after": _list(_TEXT),
            "people": _list(_TEXT),
        }
    ),
    "Part": _object(
        {
            "path": {**_TEXT, "description": "names the part in an edit"},
            "role": {"enum": [role.value for role in PartRole]},
            "text": {**_TEXT, "description": "with the policy's masks applied; hidden characters as they are"},
            "editable": _FLAG,
        }
    ),
    "Decision": _object(
        {
            "decision": {"enum": [kind.value for kind in DecisionKind]},
            "by": _TEXT,
            "name": _TEXT,
            "channel": _TEXT,
            "at": _TIME,
            "reason": _TEXT,
            "digest": _DIGEST,
            "result_digest": _DIGEST,
            "in_place_of": {**_list(_TEXT), "description": "the absent people in whose place they decided"},
            "factor": {
                "enum": [*Factor, None],
                "description": "how they confirmed that it was them, where that was asked for",
            },
            "edits": _list(_object({"part": _TEXT, "before": _TEXT, "text": _TEXT})),
        }
    ),
    "Outcome": _object(
        {
            "status": _NUMBER,
            "digest": _TEXT,
            "prompt_tokens": _NUMBER_OR_NULL,
            "completion_tokens": _NUMBER_OR_NULL,
            "duration_ms": _NUMBER,
            "size_bytes": _NUMBER,
            "error": _TEXT,
        }
    ),
    "NewDecision": _object(
        {
            "decision": {"enum": [kind.value for kind in DecisionKind]},
            "digest": {**_TEXT, "minLength": 1, "description": "the hold's digest as you saw it"},
            "reason": {"type": ["string", "null"], "maxLength": 4000},
            "edits": {
                "type": ["array", "null"],
                "items": _object({"part": _TEXT, "text": _TEXT}),
                "description": "whole new texts of editable parts; only with approve. Masks stand for what they hide.",
            },
        },
        optional=("reason", "edits"),
    ),
    "Error": _object(
        {
            "error": {
                "type": "object",
                "properties": {
                    "code": _TEXT,
                    "message": {**_TEXT, "description": "a sentence for a person"},
                    "hold": _TEXT,
                    "confirm_url": {
                        **_TEXT,
                        "description": "403 confirmation_needed: where the person confirms that it is them",
                    },
                    "state": {**_TEXT, "description": "409: the state now"},
                    "digest": {**_TEXT, "description": "409: the digest now"},
                    "by": {**_TEXT_OR_NULL, "description": "409: who decided last"},
                    "decision": {**_TEXT_OR_NULL, "description": "409: what they decided"},
                },
                "required": ["code", "message"],
                "additionalProperties": False,
            }
        }
    ),
}
