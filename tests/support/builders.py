"""Ready-made requesters, drafts and holds, and a way to bring a hold into any state by the store's own verbs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdpoint import canonical
from holdpoint.model import (
    Decision,
    DecisionKind,
    Escalation,
    Evaluation,
    Hold,
    Outcome,
    Part,
    PartRole,
    Query,
    Requester,
    Requirement,
    Risk,
    RuleHit,
    Span,
    State,
    Verdict,
)
from holdpoint.store import Draft, Store

DANA = Requester("dana@example.com", frozenset({"contractors"}), name="Dana")
OUTCOME = Outcome(
    status=200, digest="0" * 64, text="fine", prompt_tokens=3, completion_tokens=1, duration_ms=5, size_bytes=4
)


def make_query(prompt: str = "what is the admin password", *, stream: bool = False) -> Query:
    body = canonical.serialise({"model": "demo", "messages": [{"role": "user", "content": prompt}], "stream": stream})
    return Query(
        connection="demo",
        endpoint="chat/completions",
        model="demo",
        parts=(Part("messages/0/content", PartRole.USER, prompt),),
        tools=(),
        stream=stream,
        prompt_tokens=len(prompt) // 4,
        max_tokens=None,
        uninspectable=(),
        body=body,
    )


def make_evaluation(**changes: Any) -> Evaluation:
    spans = (Span("messages/0/content", 0, 4),)
    evaluation = Evaluation(
        verdict=Verdict.REVIEW,
        hits=(RuleHit("secrets", "Credentials in a prompt", Verdict.REVIEW, Risk.HIGH, spans),),
        risk=Risk.HIGH,
        policy_version=1,
        requirements=(Requirement("security", 1),),
        timeout_ms=600_000,
        escalations=(Escalation(300_000, "platform-leads"),),
        reason="Credentials in a prompt",
    )
    return replace(evaluation, **changes)


def make_draft(
    *,
    prompt: str = "what is the admin password",
    requester: Requester = DANA,
    evaluation: Evaluation | None = None,
    stream: bool = False,
    asynchronous: bool = False,
) -> Draft:
    query = make_query(prompt, stream=stream)
    target = "/v1/chat/completions"
    return Draft(
        method="POST",
        target=target,
        environment="production",
        query=query,
        requester=requester,
        address="127.0.0.1",
        evaluation=evaluation or make_evaluation(),
        digest=canonical.digest(connection="demo", method="POST", target=target, body=query.body),
        asynchronous=asynchronous,
    )


def make_decision(hold: Hold, kind: DecisionKind = DecisionKind.APPROVE, by: str = "sam@example.com") -> Decision:
    return Decision(
        kind=kind,
        by=by,
        name=by,
        groups=("security",),
        channel="api",
        at_ms=hold.created_ms,
        digest=hold.digest,
        result_digest=hold.digest,
    )


async def hold_in(store: Store, state: State, *, gateway: str, draft: Draft | None = None) -> Hold:
    """A new hold, brought into ``state`` by the verbs that lead there."""
    hold = await store.holds.hold(draft or make_draft(), gateway=gateway, idempotency_key=None)
    if state is State.PENDING:
        return hold
    if state is State.REJECTED:
        return await store.holds.decide(hold, make_decision(hold, DecisionKind.REJECT), state=state, body=None)
    if state is State.EXPIRED:
        return await store.holds.expire(hold, reason="nobody decided in time")
    if state is State.CANCELLED:
        return await store.holds.cancel(hold, by="dana@example.com", reason="withdrawn")
    hold = await store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    if state is State.APPROVED:
        return hold
    hold = await store.holds.release(hold.id, gateway=gateway)
    if state is State.RELEASED:
        return hold
    await store.holds.close(hold, state=state, outcome=OUTCOME, response=None)
    return await store.holds.get(hold.id)
