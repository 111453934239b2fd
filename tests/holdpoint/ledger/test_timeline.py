"""The story of one hold, as people read it in a terminal."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.canonical import digest
from holdpoint.ledger.chain import EMPTY, extend
from holdpoint.ledger.timeline import body_matches, render
from tests.holdpoint.ledger.samples import BODY, event, hold_event, story


def told(*events: Any) -> str:
    return render(list(extend(EMPTY, events)))


@pytest.mark.parametrize(
    "line",
    [
        "2023-11-14T22:13:21.000Z  +0.000s  hold.created  pending  (record 1)",
        "    requester        dana@example.com in contractors, staff, key k1",
        "    address          127.0.0.1",
        "    verdict          review  risk high  policy 3",
        "    rule             secrets (review): Credentials in a prompt",
        "    needs            1 of security",
        '      |       "content": "what is the admin password ⟨U+202E⟩?"',
        "2023-11-14T22:13:22.000Z  +1.000s  card.shown  (record 2)",
        "      | Dana asks",
        "    decision         approve by Sam <sam@example.com> in security in slack",
        "    edited to        " + "e" * 64,
        "      | a test⟨U+001B⟩[31m account",
        "    edited messages/0/content:",
        "      | -what is the admin password ⟨U+202E⟩?",
        "      | +what is a password",
        "2023-11-14T22:13:24.000Z  +3.000s  hold.released  released  (record 4)",
        "    response         status 200  1234 ms  99 bytes",
        "    tokens           5 in, 4 out",
        "      | A secret word.⟨U+001B⟩]0;title⟨U+0007⟩",
    ],
)  # fmt: skip
def test_everything_on_a_hold_is_told(line: str) -> None:
    assert line in told(*story()[:5]).splitlines()


def test_broken_glass_is_told_as_such() -> None:
    decision = {"kind": "approve", "by": "ada@example.com", "name": "Ada", "groups": ["platform"], "channel": "slack",
                "digest": "d" * 64, "result_digest": "d" * 64, "reason": "production is down", "glass": True}  # fmt: skip
    lines = told(
        hold_event("hold.approved", 3, state="approved", decision=decision),
        hold_event("glass.broken", 3, state="approved", decision=decision),
        event("glass.reviewed", "h1", 4, {"hold": "h1", "by": "abe@example.com", "broken_by": "ada@example.com"}),
    ).splitlines()
    by_whom = "    decision         approve by Ada <ada@example.com> in platform in slack, alone: the glass was broken"
    assert lines.count(by_whom) == 2
    assert "      | production is down" in lines
    assert any("glass.broken  approved" in line for line in lines)
    assert any("glass.reviewed" in line for line in lines)
    assert "    broken_by        ada@example.com" in lines


@pytest.mark.promise(7)
@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_no_text_of_a_request_reaches_the_terminal_as_more_than_text(text: str) -> None:
    data = {"requester": {"principal": text, "groups": [text]}, "connection": text, text: text, "view": text,
            "body": {text: text}, "decision": {"reason": text, "by": text, "edits": [{"path": text, "text": text}]},
            "evaluation": {"hits": [{"rule": text}]}, "outcome": {"text": text, "error": text}, "reason": text}  # fmt: skip
    shown = told(event("k", text, 1, data))
    assert not {c for c in shown if (ord(c) < 32 and c not in "\n\t") or c in "\x7f\x9b\u202e\u2066\u200b\u2028"}
    lines = shown.splitlines()
    assert all(line.startswith("    ") for line in lines[1:])


def test_what_could_not_be_read_is_shown_as_it_was() -> None:
    assert "    not readable, recorded as base64:\n      | //4=\n" in told(event("k", "s", 1, b"\xff\xfe"))


@given(
    st.recursive(
        st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_event_makes_it_fail(value: Any) -> None:
    names = ("requester", "evaluation", "decision", "outcome", "body", "view", "state", "digest")
    told(event("k", "s", 1, dict.fromkeys(names, value)))


@pytest.mark.promise(2)
@pytest.mark.parametrize(("change", "matches"), [({}, True), ({"body": {"model": "x"}}, False), ({"target": "/v2"}, False),
                                                 ({"body": None}, None), ({"method": None}, None)])  # fmt: skip
def test_whether_the_body_is_the_one_that_the_digest_binds(change: dict[str, Any], matches: bool | None) -> None:
    body = orjson.dumps(BODY)
    bound = digest(connection="demo", method="POST", target="/v1/chat/completions", body=body)
    data = {"connection": "demo", "method": "POST", "target": "/v1/chat/completions", "digest": bound, "body": BODY}
    assert body_matches({**data, **change}) is matches


QUESTION = {"id": "q1", "by": "sam@example.com", "name": "Sam", "text": "what\u202e for?", "at_ms": 1700000001000}
ANSWER = {**QUESTION, "answer": "a demo\n\x1b[2J", "answered_by": "dana@example.com", "answered_ms": 1700000002000}
CLAIM = {"by": "sam@example.com", "name": "Sam", "until_ms": 1700000600000}


def conversation() -> str:
    return told(
        hold_event("hold.claimed", 1, state="pending", claim=CLAIM),
        hold_event("hold.asked", 2, state="pending", question=QUESTION, pauses=True),
        hold_event("hold.answered", 3, state="pending", question=ANSWER, deadline_ms=1700000700000),
        hold_event("hold.justified", 4, state="pending", justification="line one\nline two", by="dana@example.com"),
        hold_event("hold.reminded", 5, state="pending", deadline_ms=1700000700000),
        hold_event("hold.unclaimed", 6, state="pending", claim=CLAIM, by="policy"),
        event("card.read", "h1", 7, {"hold": "h1", "by": "sam@example.com", "digest": "d" * 64, "channel": "slack"}),
    )


@pytest.mark.parametrize(
    "line",
    [
        "2023-11-14T22:13:21.000Z  +0.000s  hold.claimed  pending  (record 1)",
        "    claim            by Sam <sam@example.com> until 2023-11-14T22:23:20.000Z",
        "    question         q1 by Sam <sam@example.com>",
        "    pauses           true",
        "      | what⟨U+202E⟩ for?",
        "    answered by      dana@example.com",
        "      | a demo",
        "      | ⟨U+001B⟩[2J",
        "    justification:",
        "      | line two",
        "2023-11-14T22:13:25.000Z  +4.000s  hold.reminded  pending  (record 5)",
        "    by               policy",
        "2023-11-14T22:13:27.000Z  +6.000s  card.read  (record 7)",
    ],
)  # fmt: skip
def test_what_people_said_before_the_decision_is_told(line: str) -> None:
    assert line in conversation().splitlines()


@pytest.mark.promise(8)
def test_without_contents_it_is_told_who_spoke_and_not_what_they_said() -> None:
    records = list(extend(EMPTY, [
        hold_event("hold.answered", 1, state="pending", question=ANSWER),
        hold_event("hold.justified", 2, state="pending", justification="because of x", by="dana@example.com"),
    ]))  # fmt: skip
    shown = render(records, contents=False)
    assert "q1 by Sam" in shown
    assert "answered by      dana@example.com" in shown
    assert not any(text in shown for text in ("for?", "a demo", "because"))


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, {"until_ms": "soon", "by": [], "answered_ms": {}}])
def test_a_strange_claim_or_question_is_told_all_the_same(value: Any) -> None:
    assert "hold.asked" in told(event("hold.asked", "h1", 1, {"claim": value, "question": value}))


@pytest.mark.promise(8)
def test_without_contents_there_is_who_did_what_and_when() -> None:
    records = list(extend(EMPTY, [*story()[:5], event("hold.created", "h1", 9, b"a secret that is no JSON")]))
    text = render(records, contents=False)
    assert "approve by Sam <sam@example.com>" in text
    assert "    edited           messages/0/content\n" in text
    assert "a test⟨U+001B⟩[31m account" in text  # what the reviewer wrote
    assert not any(content in text for content in ("password", "Dana asks", "secret word", "a secret that"))
    assert all(content in render(records) for content in ("password", "Dana asks", "secret word", "a secret that"))
