from __future__ import annotations

from dataclasses import replace

import pytest

from bot.sentences import already_sentence, counted, duration, end_reason, glass_sentence, size, state_sentence, took
from holdpoint.model import DecisionKind, Edit, Hold, State
from holdpoint.store import Store
from tests.support.builders import hold_in, make_decision


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (-5, "0.0 s"), (840, "0.8 s"), (9_940, "9.9 s"), (42_000, "42 s"), (60_000, "1 min"), (200_000, "3 min 20 s"),
        (7_500_000, "2 h 5 min"), (273_600_000, "3 d 4 h"),
    ],
)  # fmt: skip
def test_duration(milliseconds: int, expected: str) -> None:
    assert duration(milliseconds) == expected


@pytest.mark.parametrize(
    ("names", "expected"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_counted(names: list[str], expected: str) -> None:
    assert counted(names) == expected


def decided(hold: Hold, kind: DecisionKind, state: State, **changes: object) -> Hold:
    decision = replace(make_decision(hold, kind), at_ms=hold.created_ms + 42_000, name="Sam", channel="web", **changes)  # type: ignore[arg-type]
    return replace(hold, state=state, decisions=(decision,), closed_ms=hold.created_ms + 42_000)


@pytest.fixture
async def pending(store: Store) -> Hold:
    return await hold_in(store, State.PENDING, gateway="g#1")


async def test_the_state_sentence_of_every_state(pending: Hold) -> None:
    approve, reject = DecisionKind.APPROVE, DecisionKind.REJECT
    ended = {"decisions": (), "closed_ms": pending.created_ms + 600_000, "close_reason": "nobody decided in time"}
    holds = {
        "Waiting for 1 from security": pending,
        "Approved by Sam from the web after 42 s": decided(pending, approve, State.APPROVED),
        "Approved with edits by Sam from the web after 42 s": decided(
            pending, approve, State.APPROVED, edits=(Edit("messages/0/content", "x"),)
        ),
        "Approved by Sam from the web after 42 s; with the model now": decided(pending, approve, State.RELEASED),
        "Approved by Sam from the web after 42 s; the model has answered": decided(pending, approve, State.COMPLETED),
        "Approved by Sam from the web after 42 s; the model's answer failed": decided(pending, approve, State.FAILED),
        "Rejected by Sam from the web after 42 s": decided(pending, reject, State.REJECTED),
        "Expired after 10 min: nobody decided in time": replace(pending, state=State.EXPIRED, **ended),
        "Cancelled after 10 min: nobody decided in time": replace(pending, state=State.CANCELLED, **ended),
    }
    for expected, hold in holds.items():
        assert state_sentence(hold, waiting_for="1 from security", clean=str) == expected
    assert {hold.state for hold in holds.values()} == set(State)


async def test_two_approvals_are_one_sentence(pending: Hold) -> None:
    first = decided(pending, DecisionKind.APPROVE, State.APPROVED)
    second = replace(first.decisions[0], by="kim@example.com", name="Kim", at_ms=pending.created_ms + 60_000)
    both = replace(first, decisions=(*first.decisions, second))
    assert state_sentence(both, waiting_for="", clean=str) == "Approved by Sam and Kim after 1 min"


async def test_who_comes_late_is_told_who_was_first(pending: Hold) -> None:
    hold = decided(pending, DecisionKind.APPROVE, State.APPROVED)
    said = already_sentence(hold, now_ms=pending.created_ms + 45_000)
    assert said == "Already approved by Sam (sam@example.com) 3.0 s ago"


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1_000, "1.0 kB"), (2_318, "2.3 kB"), (999_949, "999.9 kB"),
     (999_950, "1.0 MB"), (12_340_000, "12.3 MB")],
)  # fmt: skip
def test_size(count: int, expected: str) -> None:
    assert size(count) == expected


async def test_how_long_the_decision_took(pending: Hold) -> None:
    assert took(pending) == ""
    assert took(decided(pending, DecisionKind.REJECT, State.REJECTED)) == "42 s"
    expired = replace(pending, state=State.EXPIRED, closed_ms=pending.created_ms + 600_000)
    assert took(expired) == "10 min"
    # Approved after 42 s, never collected: what counts is when it ended, as nobody's decision ended it.
    uncollected = replace(decided(pending, DecisionKind.APPROVE, State.EXPIRED), closed_ms=pending.created_ms + 660_000)
    assert took(uncollected) == "11 min"


async def test_the_reason_is_that_of_the_end(pending: Hold) -> None:
    assert end_reason(pending) == ""
    assert end_reason(decided(pending, DecisionKind.REJECT, State.REJECTED, reason="no")) == "no"
    withdrawn = replace(pending, state=State.CANCELLED, close_reason="withdrawn")
    assert end_reason(withdrawn) == "withdrawn"


async def test_broken_glass_is_said_in_every_sentence(pending: Hold) -> None:
    broken = decided(pending, DecisionKind.APPROVE, State.APPROVED, glass=True)
    assert glass_sentence(pending) == glass_sentence(decided(pending, DecisionKind.APPROVE, State.APPROVED)) == ""
    assert glass_sentence(broken).startswith("Sam (sam@example.com) broke the glass")
    said = state_sentence(broken, waiting_for="", clean=str)
    assert said == "Approved by Sam, who broke the glass, from the web after 42 s"
