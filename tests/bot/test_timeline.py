from __future__ import annotations

from dataclasses import replace

import pytest

from bot.timeline import TimelineLine, timeline
from holdpoint.model import DecisionKind, Hold, Question, State
from holdpoint.store import Store
from tests.support.builders import hold_in, make_decision


@pytest.fixture
async def pending(store: Store) -> Hold:
    return await hold_in(store, State.PENDING, gateway="g#1")


def hide(text: str) -> str:
    return text.replace("hunter2", "⟦secret⟧")


def rejected(hold: Hold, **changes: object) -> Hold:
    decision = make_decision(hold, DecisionKind.REJECT)
    decision = replace(decision, at_ms=hold.created_ms + 42_000, name="Sam", channel="web", **changes)  # type: ignore[arg-type]
    return replace(hold, state=State.REJECTED, decisions=(decision,), closed_ms=hold.created_ms + 42_000)


async def test_reasons_in_the_timeline_are_cleaned(pending: Hold) -> None:
    lines = timeline(rejected(pending, reason="hunter2"), clean=hide)
    assert [line.text for line in lines] == ["Held by the policy", "Rejected by Sam (sam@example.com) from the web"]
    assert lines[-1].note == "⟦secret⟧"


async def test_questions_stand_where_they_were_asked(pending: Hold) -> None:
    at = pending.created_ms
    first = Question(
        "q1", "sam@example.com", "Sam", "why hunter2?", at + 10, "because hunter2", "dana@example.com", at + 20
    )
    second = Question("q2", "kim@example.com", "", "and when?", at + 15)
    hold = replace(pending, questions=(first, second), reminded_ms=at + 12)
    lines = timeline(hold, clean=hide)
    assert [line.line for line in lines] == [
        "Held by the policy",
        "Sam asked: why ⟦secret⟧?",
        "Reminded: half of the time is over",
        "kim@example.com asked: and when?",
        "dana@example.com answered: because ⟦secret⟧",
    ]
    assert [line.talk for line in lines] == [False, True, False, True, True]


def test_a_line_has_no_line_break() -> None:
    assert TimelineLine(0, "Sam asked", "one\n\ntwo").line == "Sam asked: one two"


async def test_a_name_with_a_line_break_makes_no_second_event(pending: Hold) -> None:
    hold = rejected(pending)
    hold = replace(hold, decisions=(replace(hold.decisions[0], name="Sam\n\nApproved by\tKim"),))
    assert timeline(hold, clean=str)[-1].text == "Rejected by Sam Approved by Kim (sam@example.com) from the web"
