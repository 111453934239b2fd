"""What time does to a hold, as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.lifecycle import (
    Step,
    deadline_after_escalation,
    deadline_at,
    is_late,
    next_step,
    paused,
    pending_due_ms,
    resumed,
)
from holdpoint.model import Claim, Escalation, Hold, OnTimeout, ReviewTerms, State
from tests.support.builders import DANA, make_draft, make_evaluation

T = 1_000_000


def make_hold(state: State = State.PENDING, **changes: object) -> Hold:
    draft = make_draft()
    on_timeout = changes.pop("on_timeout", OnTimeout.REJECT)
    steps = changes.pop("steps", 1)
    evaluation = make_evaluation(
        on_timeout=on_timeout,
        escalations=tuple(Escalation(300_000 * (n + 1), f"g{n}") for n in range(int(str(steps)))),
        terms=ReviewTerms(remind=bool(changes.pop("remind", True))),
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
        (make_hold(on_timeout=OnTimeout.ALLOW, steps=0, remind=False), 599, Step.NOTHING),
        # A reminder at half of the time, once, unless a group was called in by then.
        (make_hold(steps=0), 299.999, Step.NOTHING),
        (make_hold(steps=0), 300, Step.REMIND),
        (make_hold(steps=0), 599.999, Step.REMIND),
        (make_hold(steps=0), 600, Step.EXPIRE),
        (make_hold(steps=0, reminded_ms=T + 300_000), 599, Step.NOTHING),
        (make_hold(steps=0, remind=False), 300, Step.NOTHING),
        (make_hold(escalated=1, deadline_ms=T + 1_200_000), 1_199, Step.NOTHING),
        # A claim lapses; whatever else is due comes first.
        (make_hold(steps=0, remind=False, claim=Claim("sam", "", T + 5_000)), 4.999, Step.NOTHING),
        (make_hold(steps=0, remind=False, claim=Claim("sam", "", T + 5_000)), 5, Step.UNCLAIM),
        (make_hold(claim=Claim("sam", "", T + 300_000)), 300, Step.ESCALATE),
        (make_hold(claim=Claim("sam", "", T + 600_000)), 600, Step.EXPIRE),
        # While the clock stands neither deadline nor escalation nor reminder comes, but for the client's own time.
        (make_hold(paused_ms=T + 100_000), 699.999, Step.NOTHING),
        (make_hold(paused_ms=T + 100_000), 700, Step.RESUME),
        (make_hold(paused_ms=T + 100_000, paused_for_ms=200_000), 499.999, Step.NOTHING),
        (make_hold(paused_ms=T + 100_000, paused_for_ms=200_000), 500, Step.RESUME),
        (make_hold(paused_ms=T + 100_000, return_by_ms=T + 150_000), 150, Step.CANCEL),
        (make_hold(paused_ms=T + 100_000, return_by_ms=T + 700_000), 700, Step.CANCEL),
        (make_hold(paused_ms=T + 100_000, claim=Claim("sam", "", T + 200_000)), 200, Step.UNCLAIM),
        # After it has stood, everything comes later by that much.
        (make_hold(paused_for_ms=60_000, deadline_ms=T + 660_000), 359.999, Step.NOTHING),
        (make_hold(paused_for_ms=60_000, deadline_ms=T + 660_000), 360, Step.ESCALATE),
        (make_hold(paused_for_ms=60_000, deadline_ms=T + 660_000, steps=0), 360, Step.REMIND),
        (make_hold(paused_for_ms=60_000, deadline_ms=T + 660_000, escalated=1), 659.999, Step.NOTHING),
        (make_hold(paused_for_ms=60_000, deadline_ms=T + 660_000, escalated=1), 660, Step.EXPIRE),
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


def test_the_clock_stands_and_runs_on() -> None:
    standing = paused(make_hold(), T + 100_000)
    assert paused(standing, T + 200_000) is standing, "a second question does not begin another pause"
    assert [deadline_at(standing, T + at) for at in (100_000, 150_000, 10**9)] == [
        T + 600_000, T + 650_000, T + 1_200_000,
    ]  # fmt: skip
    assert not is_late(standing, T + 1_199_999)
    assert is_late(standing, T + 1_200_000), "the clock has run again since, whether the timer was there or not"
    running = resumed(standing, T + 400_000)
    assert (running.paused_ms, running.paused_for_ms, running.deadline_ms) == (None, 300_000, T + 900_000)
    assert pending_due_ms(running) == T + 600_000, "the escalation, 300 s later than it was"
    assert resumed(running, T + 500_000) == running


def test_a_clock_that_has_stood_for_as_long_as_it_may_stands_no_more() -> None:
    running = resumed(paused(make_hold(), T), T + 10**9)
    assert (running.paused_for_ms, running.deadline_ms) == (600_000, T + 1_200_000)
    assert paused(running, T + 700_000) is running


OPTIONAL = st.none() | st.integers(T, T + 2_000_000)
HOLDS = st.builds(
    make_hold,
    steps=st.integers(0, 2), on_timeout=st.sampled_from(OnTimeout), remind=st.booleans(),
    return_by_ms=OPTIONAL, reminded_ms=OPTIONAL, paused_ms=OPTIONAL, paused_for_ms=st.integers(0, 600_000),
    claim=st.none() | st.builds(Claim, st.just("sam"), st.just("Sam"), st.integers(T, T + 2_000_000)),
)  # fmt: skip


@given(HOLDS, st.integers(0, 2))
def test_something_happens_exactly_when_the_timer_looks(hold: Hold, escalated: int) -> None:
    hold = replace(hold, escalated=min(escalated, len(hold.evaluation.escalations)))
    due_ms = pending_due_ms(hold)
    assert next_step(hold, due_ms - 1) is Step.NOTHING
    assert next_step(hold, due_ms) is not Step.NOTHING, "else the timer would look at it for ever"
