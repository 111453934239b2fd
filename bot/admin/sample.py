"""A card that stands for nothing: what a reviewer would see of a request. Pure."""

from __future__ import annotations

from dataclasses import replace

from bot.cards import CardView, card_view
from holdpoint import canonical
from holdpoint.model import (
    Evaluation,
    Hold,
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
from holdpoint.policy.mask import Masks

_PROMPT = "What is the admin password of the customer database?"
_WAITS_MS = 600_000
_TARGET = "/v1/chat/completions"


def sample_view(group: str, *, now_ms: int, link_base: str) -> CardView:
    """A request of somebody in ``group`` ("*": of nobody in particular), as its card would show it, without buttons."""
    groups = frozenset() if group == "*" else frozenset({group})
    body = canonical.serialise({"model": "sample-model", "messages": [{"role": "user", "content": _PROMPT}]})
    path = "messages/0/content"
    part = Part(path, PartRole.USER, _PROMPT)
    query = Query("sample", "chat/completions", "sample-model", (part,), (), False, 13, None, (), body)
    digest = canonical.digest(connection="sample", method="POST", target=_TARGET, body=body)
    start = _PROMPT.index("password")
    hit = RuleHit(
        "sample-rule", "What a rule says of itself", Verdict.REVIEW, Risk.MEDIUM, (Span(path, start, start + 8),)
    )
    evaluation = Evaluation(
        Verdict.REVIEW, (hit,), Risk.MEDIUM, 0, (Requirement("reviewers", 1),), _WAITS_MS, reason=hit.description
    )
    hold = Hold(
        id="hsample00000000", rev=1, state=State.PENDING, digest=digest, original_digest=digest, connection="sample",
        environment="sample", method="POST", target=_TARGET, query=query,
        requester=Requester("sample@example.com", groups), address="", evaluation=evaluation,
        created_ms=now_ms, deadline_ms=now_ms + _WAITS_MS, due_ms=now_ms + _WAITS_MS,
    )  # fmt: skip  # what, whose, when
    return replace(card_view(hold, now_ms=now_ms, link_base=link_base, masks=Masks()), actions=())
