"""A hold, and numbers, as the review API says them. Pure. `openapi_schemas.py` describes the same shape, and a test holds the two together.

Texts have the policy's masks applied, and hidden characters left as they are: an edited text goes to the model. Whoever
shows them on a terminal or a page makes them visible there (`holdpoint.visible`).
"""

from __future__ import annotations

from typing import Any

from bot.cards import card_view
from bot.sentences import Clean
from bot.views import CardView
from holdpoint.clock import iso
from holdpoint.lifecycle import claim_at, deadline_at
from holdpoint.model import Claim, Confirming, Decision, Hold, Outcome, Question
from holdpoint.policy import authority
from holdpoint.policy.mask import Masks, mask
from holdpoint.stats import Counts, Stats

Document = dict[str, Any]


def hold_document(hold: Hold, *, now_ms: int, link_base: str, masks: Masks) -> Document:
    """Everything about a hold that a reviewer may know."""

    def hide(text: str) -> str:
        return mask(text, masks).text

    view = card_view(hold, now_ms=now_ms, link_base=link_base, masks=masks, limit=400)
    progress = authority.progress(hold, hold.decisions)
    return {
        **_state(hold, view, hide, now_ms),
        **_request(hold, hide),
        **_evaluation(hold),
        "requirements": _requirements(progress),
        "parts": [
            {"path": part.path, "role": part.role.value, "text": hide(part.text), "editable": part.editable}
            for part in hold.query.parts
        ],
        "claim": _claim(claim) if (claim := claim_at(hold, now_ms)) else None,
        "questions": [_question(question, hide) for question in hold.questions],
        "confirming": [_claim(each) for each in hold.confirming if view.pending and now_ms < each.until_ms],
        "needs_confirmation": view.pending and progress.unconfirmed,
        "decisions": [_decision(decision, hide) for decision in hold.decisions],
        "outcome": _outcome(hold.outcome, hide) if hold.outcome is not None else None,
    }


def stats_document(stats: Stats) -> Document:
    """The numbers of some days. Times in milliseconds, null where nothing was decided."""
    return {
        "since": iso(stats.since_ms),
        "until": iso(stats.until_ms),
        **_counts(stats.counts),
        "median_ms": stats.median_ms,
        "p95_ms": stats.p95_ms,
        "groups": [
            {"group": each.group, **_counts(each.counts), "median_ms": each.median_ms, "p95_ms": each.p95_ms}
            for each in stats.groups
        ],
        "reviewers": [
            {
                "reviewer": each.reviewer,
                "name": each.name,
                "approved": each.approved,
                "rejected": each.rejected,
                "median_ms": each.median_ms,
            }
            for each in stats.reviewers
        ],
        "by_day": [{"date": day.date, **_counts(day.counts), "median_ms": day.median_ms} for day in stats.by_day],
    }


def _counts(counts: Counts) -> Document:
    return {
        "held": counts.held,
        "approved": counts.approved,
        "rejected": counts.rejected,
        "expired": counts.expired,
        "cancelled": counts.cancelled,
        "waiting": counts.waiting,
        "failed": counts.failed,
    }


def _state(hold: Hold, view: CardView, hide: Clean, now_ms: int) -> Document:
    """Which hold, how it stands, and where it is seen."""
    return {
        "id": hold.id,
        "rev": hold.rev,
        "digest": hold.digest,
        "original_digest": hold.original_digest,
        "state": hold.state.value,
        "state_sentence": view.state_sentence,
        "created_at": iso(hold.created_ms),
        "deadline": iso(deadline_at(hold, now_ms)),
        "paused_since": iso(hold.paused_ms) if hold.paused_ms is not None and view.pending else None,
        "closed_at": iso(hold.closed_ms) if hold.closed_ms is not None else None,
        "close_reason": hide(hold.close_reason),
        "url": view.url,
        "title": view.title,
        "preview": view.preview,
    }


def _request(hold: Hold, hide: Clean) -> Document:
    """Who asks what of which model, and why; its texts are ``parts``."""
    requester = hold.requester
    return {
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
    }


def _evaluation(hold: Hold) -> Document:
    """Why it is held."""
    return {
        "risk": hold.evaluation.risk.value,
        "policy_version": hold.evaluation.policy_version,
        "rules": [
            {"id": hit.rule, "description": hit.description, "verdict": hit.verdict.value, "risk": hit.risk.value}
            for hit in hold.evaluation.hits
        ],
    }


def _requirements(progress: authority.Progress) -> list[Document]:
    return [
        {
            "group": requirement.group,
            "alternates": list(requirement.alternates),
            "approvals": requirement.approvals,
            "after": list(requirement.after),
            "people": list(people),
        }
        for requirement, people in progress.items
    ]


def _claim(claim: Claim | Confirming) -> Document:
    return {"by": claim.by, "name": claim.name, "until": iso(claim.until_ms)}


def _question(question: Question, hide: Clean) -> Document:
    is_open = question.answered_ms is None
    return {
        "id": question.id,
        "by": question.by,
        "name": question.name,
        "text": hide(question.text),
        "at": iso(question.at_ms),
        "answer": None if is_open else hide(question.answer),
        "answered_by": None if is_open else question.answered_by,
        "answered_at": None if question.answered_ms is None else iso(question.answered_ms),
    }


def _decision(decision: Decision, hide: Clean) -> Document:
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
        "factor": decision.factor,
        "in_place_of": list(decision.behalf),
        "edits": [
            {"part": edit.path, "before": hide(before.get(edit.path, "")), "text": hide(edit.text)}
            for edit in decision.edits
        ],
    }


def _outcome(outcome: Outcome, hide: Clean) -> Document:
    return {
        "status": outcome.status,
        "digest": outcome.digest,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "duration_ms": outcome.duration_ms,
        "size_bytes": outcome.size_bytes,
        "error": hide(outcome.error),
    }
