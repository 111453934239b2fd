from __future__ import annotations

from dataclasses import replace

import pytest

from bot.sentences import already_sentence, counted, duration, state_sentence, timeline
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


async def test_reasons_in_the_timeline_are_cleaned(pending: Hold) -> None:
    hold = decided(pending, DecisionKind.REJECT, State.REJECTED, reason="hunter2")
    lines = timeline(hold, clean=lambda text: text.replace("hunter2", "⟦secret⟧"))
    assert [line.text for line in lines] == ["Held by the policy", "Rejected by Sam (sam@example.com) from the web"]
    assert lines[-1].note == "⟦secret⟧"
