"""A hold as the review API says it. Pure. `openapi.py` describes the same shape, and a test holds the two together.

Texts have the policy's masks applied, and hidden characters left as they are: an edited text goes to the model. Whoever
shows them on a terminal or a page makes them visible there (`holdpoint.visible`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.cards import card_view
from holdpoint.clock import iso
from holdpoint.model import Decision, Hold, Outcome
from holdpoint.policy import authority
from holdpoint.policy.mask import Masks, mask

Document = dict[str, Any]


def hold_document(hold: Hold, *, now_ms: int, link_base: str, masks: Masks) -> Document:
    """Everything about a hold that a reviewer may know."""

    def hide(text: str) -> str:
        return mask(text, masks).text

    view = card_view(hold, now_ms=now_ms, link_base=link_base, masks=masks, limit=400)
    requester = hold.requester
    return {
        "id": hold.id,
        "rev": hold.rev,
        "digest": hold.digest,
        "original_digest": hold.original_digest,
        "state": hold.state.value,
        "state_sentence": view.state_sentence,
        "created_at": iso(hold.created_ms),
        "deadline": iso(hold.deadline_ms),
        "closed_at": iso(hold.closed_ms) if hold.closed_ms is not None else None,
        "close_reason": hide(hold.close_reason),
        "url": view.url,
        "title": view.title,
        "preview": view.preview,
        "requester": {
            "principal": requester.principal,
            "name": requester.name,
            "owner": requester.owner,
            "groups": sorted(requester.groups),
        },
        "justification": hide(hold.justification),
        "connection": hold.connection,
        "environment": hold.environment,
        "model": hide(hold.query.model),
        "stream": hold.query.stream,
        "tools": [hide(tool) for tool in hold.query.tools],
        "uninspectable": [hide(what) for what in hold.query.uninspectable],
        "risk": hold.evaluation.risk.value,
        "policy_version": hold.evaluation.policy_version,
        "rules": [
            {"id": hit.rule, "description": hit.description, "verdict": hit.verdict.value, "risk": hit.risk.value}
            for hit in hold.evaluation.hits
        ],
        "requirements": [
            {
                "group": requirement.group,
                "alternates": list(requirement.alternates),
                "approvals": requirement.approvals,
                "people": list(people),
            }
            for requirement, people in authority.progress(hold, hold.decisions).items
        ],
        "parts": [
            {"path": part.path, "role": part.role.value, "text": hide(part.text), "editable": part.editable}
            for part in hold.query.parts
        ],
        "decisions": [_decision(decision, hide) for decision in hold.decisions],
        "outcome": _outcome(hold.outcome, hide) if hold.outcome is not None else None,
    }


def _decision(decision: Decision, hide: Callable[[str], str]) -> Document:
    before = {edit.path: edit.text for edit in decision.before}
    return {
        "decision": decision.kind.value,
        "by": decision.by,
        "name": decision.name,
        "channel": decision.channel,
        "at": iso(decision.at_ms),
        "reason": hide(decision.reason),
        "digest": decision.digest,
        "result_digest": decision.result_digest,
        "edits": [
            {"part": edit.path, "before": hide(before.get(edit.path, "")), "text": hide(edit.text)}
            for edit in decision.edits
        ],
    }


def _outcome(outcome: Outcome, hide: Callable[[str], str]) -> Document:
    return {
        "status": outcome.status,
        "digest": outcome.digest,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "duration_ms": outcome.duration_ms,
        "size_bytes": outcome.size_bytes,
        "error": hide(outcome.error),
    }
