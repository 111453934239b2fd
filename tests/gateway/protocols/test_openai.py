"""Endpoints, error shapes and summaries of answers."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols import DEFAULT, protocol_of
from gateway.protocols.openai_answer import summarise
from gateway.protocols.shape import Summary
from holdpoint.errors import Refusal
from holdpoint.model import Connection, RefusalCode

CHAT = DEFAULT.endpoint("POST", "/v1/chat/completions")
RESPONSES = DEFAULT.endpoint("POST", "/v1/responses")


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "/V1/chat/completions", "/v1/Chat/completions",
        "/v1/models/", "/v1/models//x", "/v1/models/..", "/v1/models/a/../b", "/v1/models/%2e%2e", "/v1/models/a?b",
        "/v1/models/a%00", "/v1/models/a b", "/v1/models/" + "x" * 400, "/v1/files", "/v1/responses/r_1", "/metrics",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_paths(method: str, path: str) -> None:
    with pytest.raises(Refusal) as caught:
        DEFAULT.endpoint(method, path)
    assert caught.value.status == 404


def test_every_code_has_a_type_and_codes_of_decisions_have_their_own() -> None:
    kinds = {code: json.loads(DEFAULT.refusal_body(Refusal(code, "x")))["error"]["type"] for code in RefusalCode}
    decided = [
        kinds[code] for code in (RefusalCode.BLOCKED, RefusalCode.REJECTED, RefusalCode.EXPIRED, RefusalCode.CANCELLED)
    ]
    assert len(set(decided)) == 4
    assert not set(decided) & {kinds[RefusalCode.UNAVAILABLE], kinds[RefusalCode.UNINSPECTABLE]}


def test_stream_errors() -> None:
    refusal = Refusal(RefusalCode.REJECTED, "no", hold="h1")
    event = json.loads(DEFAULT.stream_error(CHAT, refusal).removeprefix(b"data: "))
    assert event == {
        "error": {"message": "no", "type": "request_rejected", "param": None, "code": "rejected", "hold": "h1"}
    }
    name, data = DEFAULT.stream_error(RESPONSES, refusal).split(b"\n")[:2]
    assert name == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["type"] == "error"


def test_a_models_error_keeps_its_own_words() -> None:
    own = b'{"error":{"message":"too long","code":"context"}}'
    assert json.loads(DEFAULT.translate_error(CHAT, 400, own)[6:])["error"]["code"] == "context"
    assert json.loads(DEFAULT.translate_error(CHAT, 500, b"<html>")[6:])["error"]["code"] == "500"


@pytest.mark.parametrize(
    ("piece", "last"),
    [
        (b"data: [DONE]\n\n", True), (b"data: x\n\ndata: [DONE]\n\n", True), (b"data: x\n\n", False),
        (b"event: response.completed\ndata: {}\n\n", True), (b"", False),
        (b"event: response.incomplete\r\ndata: {}\r\n\r\n", True), (b"event:response.failed\ndata: {}\n\n", True),
        (b"event: response.created\ndata: {}\n\nevent: response.completed\ndata: {}\n\n", True),
        (b"event: response.content_part.done\ndata: {}\n\n", False),
        (b'event: x\ndata: {"delta":"then comes event: response.completed"}\n\n', False),
    ],
)  # fmt: skip
def test_what_clients_take_for_the_end(piece: bytes, last: bool) -> None:
    assert DEFAULT.is_last_piece(piece) is last


JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (JSON, {"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}, Summary("a", 1, 2)),
        (JSON, {"choices": [{"text": "a"}, {"text": "b"}]}, Summary("ab", None, None)),
        (JSON, {"choices": [{"message": {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}]}, Summary("f{}", None, None)),
        (JSON, {"output": [{"content": [{"text": "a"}]}, {"name": "f", "arguments": "{}"}], "usage": {"input_tokens": 1, "output_tokens": 2}}, Summary("a\nf\n{}", 1, 2)),
        (JSON, {"data": [{"embedding": [1]}], "usage": {"prompt_tokens": 4}}, Summary("", 4, None)),
        (JSON, {"error": {"message": "no"}}, Summary("no", None, None)),
        (JSON, [], Summary("", None, None)),
        (JSON, {"choices": "x", "usage": "y"}, Summary("", None, None)),
        ("text/html", {"choices": [{"text": "a"}]}, Summary("", None, None)),
    ],
)  # fmt: skip
def test_answers(kind: str, raw: object, expected: Summary) -> None:
    assert summarise(kind, orjson.dumps(raw)) == expected


def test_streams_are_put_together() -> None:
    events = [
        {"choices": [{"delta": {"role": "assistant"}}]}, {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [{"delta": {"content": "b"}}]}, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ]  # fmt: skip
    raw = (
        b": comment\n\n" + b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    )
    assert summarise(SSE, raw) == Summary("ab", 1, 2)
    assert summarise(SSE, raw[:60]).text == ""  # cut short


def test_streams_of_the_responses_api() -> None:
    raw = (
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n'
        b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":1}}}\n\n'
    )
    assert summarise(SSE, raw) == Summary("a", 3, 1)


@given(raw=st.binary(max_size=200), kind=st.sampled_from([JSON, SSE, ""]))
def test_no_answer_breaks_the_record(raw: bytes, kind: str) -> None:
    summarise(kind, raw)
    summarise(kind, b"data: " + raw + b"\n\n")


json_values = st.recursive(
    st.none() | st.integers(-(2**63), 2**63) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(["choices", "delta", "message", "content", "output", "usage", "response", "error", "tool_calls", "function", "type"]),
        inner, max_size=3,
    ),
    max_leaves=8,
)  # fmt: skip


@given(value=json_values)
def test_no_shape_breaks_the_record(value: object) -> None:
    summarise(JSON, orjson.dumps(value))
    summarise(SSE, b"data: " + orjson.dumps(value) + b"\n\n")


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(Refusal):
        protocol_of(Connection("x", "http://x", "telepathy", "test"))
