"""Holds for the gallery: one believable request, and what can become of it. Pure; the times are fixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdpoint.model import (
    Claim,
    Decision,
    DecisionKind,
    Edit,
    Escalation,
    Evaluation,
    GrantLimits,
    GrantScope,
    Hold,
    Outcome,
    Part,
    PartRole,
    Query,
    Question,
    Requester,
    Requirement,
    ReviewTerms,
    Risk,
    RuleHit,
    Similar,
    Span,
    State,
    Tally,
    Verdict,
)

NOW = 1_773_136_800_000  # 2026-03-10 10:00 UTC
MINUTE = 60_000
ASK = "Here is the staging config, password=hunter2-staging. Why does the login of customer data exports fail since Monday?"
EDITED = "Here is the staging config. Why does the login of customer data exports fail since Monday?"

DANA = Requester("dana@example.com", frozenset({"contractors"}), name="Dana")
BOT = Requester("build-bot", frozenset({"ci"}), owner="dana@example.com")
TERMS = ReviewTerms(
    reasons=("Contains credentials", "Use the internal model"),
    grant=GrantLimits(20, 8 * 3_600_000, frozenset(GrantScope)),
)
SIMILAR = Similar(
    GrantScope.REQUESTER, approved=12, rejected=2, approved_by=(Tally("sam@example.com", "Sam", 9), Tally("kim@example.com", "Kim", 3)),
    rejected_by=(Tally("kim@example.com", "Kim", 2),), last_ms=NOW - 26 * 3_600_000,
)  # fmt: skip


def spans_of(path: str, text: str, *words: str) -> tuple[Span, ...]:
    return tuple(Span(path, text.index(word), text.index(word) + len(word)) for word in words)


def evaluation(*hits: RuleHit, risk: Risk = Risk.HIGH, **changes: Any) -> Evaluation:
    whole = Evaluation(
        verdict=Verdict.REVIEW, hits=hits, risk=risk, policy_version=7, requirements=(Requirement("security", 1),),
        timeout_ms=10 * MINUTE, escalations=(Escalation(5 * MINUTE, "platform-leads"),), reason=hits[0].description,
        terms=TERMS,
    )  # fmt: skip
    return replace(whole, **changes)


def secrets(*spans: Span, risk: Risk = Risk.HIGH) -> RuleHit:
    return RuleHit("secrets", "Credentials or customer data in a prompt", Verdict.REVIEW, risk, spans)


def query(*parts: Part, model: str = "llama-3.3-70b", **changes: Any) -> Query:
    whole = Query(
        connection="demo", endpoint="chat/completions", model=model, parts=parts, tools=(), stream=False,
        prompt_tokens=40, max_tokens=None, uninspectable=(), body=b"{}",
    )  # fmt: skip
    return replace(whole, **changes)


def hold(*turns: tuple[PartRole, str], marks: tuple[str, ...] = (), risk: Risk = Risk.HIGH, **changes: Any) -> Hold:
    """A pending hold of a conversation; ``marks`` are words of its last turn that a rule matched."""
    parts = tuple(Part(f"messages/{number}/content", role, text) for number, (role, text) in enumerate(turns))
    spans = spans_of(parts[-1].path, parts[-1].text, *marks)
    whole = Hold(
        id="h7k2m9qx4w8r3t6y1z5c0v8b", rev=1, state=State.PENDING, digest="9f3c1a7be2d0" + "0" * 52,
        original_digest="9f3c1a7be2d0" + "0" * 52, connection="demo", environment="production", method="POST",
        target="/v1/chat/completions", query=query(*parts), requester=DANA, address="10.1.2.3",
        evaluation=evaluation(secrets(*spans, risk=risk), risk=risk), created_ms=NOW, deadline_ms=NOW + 10 * MINUTE,
        due_ms=NOW, similar=SIMILAR,
    )  # fmt: skip
    return replace(whole, **changes)


def pending(**changes: Any) -> Hold:
    return hold((PartRole.USER, ASK), marks=("password", "customer data"), **changes)


def decision(
    kind: DecisionKind = DecisionKind.APPROVE, *, by: str = "Sam", after_ms: int = 42_000, **changes: Any
) -> Decision:
    whole = Decision(
        kind=kind, by=f"{by.lower()}@example.com", name=by, groups=("security",), channel="slack", at_ms=NOW + after_ms,
        digest="9f3c1a7be2d0" + "0" * 52, result_digest="9f3c1a7be2d0" + "0" * 52,
    )  # fmt: skip
    return replace(whole, **changes)


def edit_by(who: str, after_ms: int = 42_000) -> Decision:
    path = "messages/0/content"
    return decision(
        by=who, after_ms=after_ms, edits=(Edit(path, EDITED),), before=(Edit(path, ASK),), reason="Without the password"
    )


OUTCOME = Outcome(
    status=200, digest="0" * 64, text="…", prompt_tokens=31, completion_tokens=118, duration_ms=2_340, size_bytes=2_318
)


def ended(state: State, **changes: Any) -> Hold:
    """The same request in a later state, the way it mostly gets there."""
    approved = (decision(),)
    ways: dict[State, dict[str, Any]] = {
        State.APPROVED: {"decisions": approved},
        State.RELEASED: {"decisions": approved},
        State.COMPLETED: {"decisions": approved, "closed_ms": NOW + 45_000, "outcome": OUTCOME},
        State.FAILED: {
            "decisions": approved, "closed_ms": NOW + 45_000,
            "outcome": replace(OUTCOME, status=502, error="the model did not answer", completion_tokens=None, size_bytes=0),
        },
        State.REJECTED: {
            "decisions": (decision(DecisionKind.REJECT, by="Kim", reason="Contains credentials. Take them out and ask again."),),
            "closed_ms": NOW + 42_000,
        },
        State.EXPIRED: {"closed_ms": NOW + 10 * MINUTE, "close_reason": "nobody decided in time", "escalated": 1},
        State.CANCELLED: {"closed_ms": NOW + 90_000, "close_reason": "withdrawn by the requester"},
    }  # fmt: skip
    return pending(state=state, **{**ways[state], **changes})


def question(*, answered: bool = False) -> Question:
    asked = Question(
        "q1", "sam@example.com", "Sam", "Is hunter2-staging still in use, or was it rotated?", NOW + 30_000
    )
    if not answered:
        return asked
    answer = "Rotated on Friday.\nIt is only in the log line that I pasted."
    return replace(asked, answer=answer, answered_by="dana@example.com", answered_ms=NOW + 95_000)


CLAIM = Claim("sam@example.com", "Sam", NOW + 5 * MINUTE)
