"""What time does to a hold, as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdpoint.lifecycle import Step, deadline_after_escalation, next_step, pending_due_ms
from holdpoint.model import Escalation, Hold, OnTimeout, State
from tests.support.builders import DANA, make_draft, make_evaluation

T = 1_000_000


def make_hold(state: State = State.PENDING, **changes: object) -> Hold:
    draft = make_draft()
    on_timeout = changes.pop("on_timeout", OnTimeout.REJECT)
    steps = changes.pop("steps", 1)
    evaluation = make_evaluation(
        on_timeout=on_timeout, escalations=tuple(Escalation(300_000 * (n + 1), f"g{n}") for n in range(int(str(steps))))
    )
    hold = Hold(
        id="h1", rev=1, state=state, digest=draft.digest, original_digest=draft.digest, connection="demo",
        environment="production", method="POST", target=draft.target, query=draft.query, requester=DANA, address="",
        evaluation=evaluation, created_ms=T, deadline_ms=T + 600_000, due_ms=T + 300_000,
    )  # fmt: skip
    return replace(hold, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hold", "after_s", "step"),
    [
        (make_hold(), 299, Step.NOTHING),
        (make_hold(), 300, Step.ESCALATE),
        (make_hold(escalated=1), 300, Step.NOTHING),
        (make_hold(escalated=1), 599.999, Step.NOTHING),
        (make_hold(escalated=1), 600, Step.EXPIRE),
        (make_hold(), 600, Step.EXPIRE),
        (make_hold(on_timeout=OnTimeout.ESCALATE), 600, Step.ESCALATE),
        (make_hold(on_timeout=OnTimeout.ESCALATE, escalated=1), 600, Step.EXPIRE),
        (make_hold(on_timeout=OnTimeout.ALLOW), 600, Step.ALLOW),
        (make_hold(on_timeout=OnTimeout.ALLOW, steps=0), 599, Step.NOTHING),
        (make_hold(return_by_ms=T + 10_000), 9, Step.NOTHING),
        (make_hold(return_by_ms=T + 10_000), 10, Step.CANCEL),
        (make_hold(return_by_ms=T + 700_000), 600, Step.EXPIRE),
        (make_hold(State.APPROVED, due_ms=T + 5_000), 4, Step.NOTHING),
        (make_hold(State.APPROVED, due_ms=T + 5_000), 5, Step.EXPIRE),
        *((make_hold(state), 10**6, Step.NOTHING) for state in State if state not in (State.PENDING, State.APPROVED)),
    ],
)
def test_next_step(hold: Hold, after_s: float, step: Step) -> None:
    assert next_step(hold, T + int(after_s * 1000)) is step


def test_the_timer_looks_when_something_is_due() -> None:
    assert pending_due_ms(make_hold()) == T + 300_000
    assert pending_due_ms(make_hold(escalated=1)) == T + 600_000
    assert pending_due_ms(make_hold(return_by_ms=T + 1)) == T + 1


def test_an_escalation_at_the_deadline_gives_a_new_one() -> None:
    assert deadline_after_escalation(make_hold(), T + 300_000) == T + 600_000
    assert deadline_after_escalation(make_hold(), T + 600_000) == T + 1_200_000
