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
from tests.holdpoint.ledger.samples import BODY, event, story


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
