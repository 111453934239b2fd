"""A body → what was understood of it: one row per shape."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.openai_query import read_query
from holdpoint import canonical
from holdpoint.errors import Refusal
from holdpoint.model import PartRole, Query

S, U, A, T = PartRole.SYSTEM, PartRole.USER, PartRole.ASSISTANT, PartRole.TOOL
D, P = PartRole.DEFINITION, PartRole.PARAMETER


def read(body: dict[str, Any], endpoint: str = "chat/completions") -> Query:
    return read_query("demo", endpoint, orjson.dumps({"model": "m", **body}))


def parts(query: Query) -> list[tuple[str, PartRole, str]]:
    return [(part.path, part.role, part.text) for part in query.parts]


CHAT: dict[str, tuple[Any, list[tuple[str, PartRole, str]]]] = {
    "roles": (
        {"messages": [{"role": role, "content": role} for role in ("system", "developer", "user", "assistant", "tool", "function")]},
        [("messages/0/content", S, "system"), ("messages/1/content", S, "developer"), ("messages/2/content", U, "user"),
         ("messages/3/content", A, "assistant"), ("messages/4/content", T, "tool"), ("messages/5/content", T, "function")],
    ),
    "a role in other letters is text, and the role that Ollama takes it for": (
        {"messages": [{"role": "System", "content": "x"}]},
        [("messages/0/role", P, "System"), ("messages/0/content", S, "x")],
    ),
    "an unknown role is text": (
        {"messages": [{"role": "pirate", "content": "x"}]},
        [("messages/0/role", P, "pirate"), ("messages/0/content", U, "x")],
    ),
    "content parts": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, "b", {"text": "c"}, {"type": "refusal", "refusal": "d"}]}]},
        [("messages/0/content/0/text", U, "a"), ("messages/0/content/1", U, "b"), ("messages/0/content/2/text", U, "c"),
         ("messages/0/content/3/refusal", U, "d")],
    ),
    "no content": ({"messages": [{"role": "assistant", "content": None}]}, []),
    "names": ({"messages": [{"role": "user", "name": "n", "content": "x"}]}, [("messages/0/name", P, "n"), ("messages/0/content", U, "x")]),
    "tool calls": (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}]},
        [("messages/0/tool_calls/0/id", P, "i"), ("messages/0/tool_calls/0/function/name", P, "f"),
         ("messages/0/tool_calls/0/function/arguments", A, "{}")],
    ),
    "arguments as an object": (
        {"messages": [{"role": "assistant", "tool_calls": [{"type": "function", "function": {"arguments": {"q": "v"}}}]}]},
        [("messages/0/tool_calls/0/function/arguments/~keys", A, "q"), ("messages/0/tool_calls/0/function/arguments/q", A, "v")],
    ),
    "unknown member of a message": (
        {"messages": [{"role": "user", "content": "x", "a/b": {"c": "v"}}]},
        [("messages/0/content", U, "x"), ("messages/0/a~1b/~keys", P, "c"), ("messages/0/a~1b/c", P, "v"),
         ("messages/0/~keys", P, "role\ncontent\na/b")],
    ),
    "tools": (
        {"messages": [], "tools": [{"type": "function", "function": {"name": "get", "description": "d", "parameters": {"type": "object", "properties": {"city": {"enum": ["x"]}}}}}]},
        [("tools/0/type", D, "function"), ("tools/0/function/name", D, "get"), ("tools/0/function/description", D, "d"),
         ("tools/0/function/parameters/type", D, "object"), ("tools/0/function/parameters/properties/~keys", D, "city"),
         ("tools/0/function/parameters/properties/city/enum/0", D, "x")],
    ),
    "parameters": (
        {"messages": [], "stop": ["a", "b"], "user": "u", "temperature": 1},
        [("stop/0", P, "a"), ("stop/1", P, "b"), ("user", P, "u")],
    ),
    "an unknown parameter is text, and so is its name": (
        {"messages": [], "the secret": True},
        [("~keys", P, "model\nmessages\nthe secret")],
    ),
    "a template of its own": (
        {"messages": [], "chat_template_kwargs": {"mood": "bad"}},
        [("chat_template_kwargs/~keys", P, "mood"), ("chat_template_kwargs/mood", P, "bad")],
    ),
    "odd keys of a bias": ({"messages": [], "logit_bias": {"say this": 5}}, [("logit_bias/~keys", P, "say this")]),
    "a plain bias": ({"messages": [], "logit_bias": {"50256": -100}}, []),
    "response format": (
        {"messages": [], "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"title": "t"}}}},
        [("response_format/type", P, "json_schema"), ("response_format/json_schema/name", P, "n"),
         ("response_format/json_schema/schema/title", P, "t")],
    ),
    "empty texts say nothing": ({"messages": [{"role": "user", "content": ""}]}, []),
}  # fmt: skip

COMPLETIONS: dict[str, tuple[Any, list[tuple[str, PartRole, str]]]] = {
    "prompt": ({"prompt": "p", "suffix": "s"}, [("prompt", U, "p"), ("suffix", U, "s")]),
    "prompts": ({"prompt": ["a", "b"]}, [("prompt/0", U, "a"), ("prompt/1", U, "b")]),
    "none": ({"prompt": None}, []),
    "mixed": ({"prompt": ["a", 5, 6]}, [("prompt/0", U, "a")]),
}
RESPONSES: dict[str, tuple[Any, list[tuple[str, PartRole, str]]]] = {
    "text": ({"input": "i", "instructions": "s"}, [("input", U, "i"), ("instructions", S, "s")]),
    "messages": (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b", "annotations": []}]}]},
        [("input/0/content/0/text", U, "a"), ("input/1/content/0/text", A, "b")],
    ),
    "calls": (
        {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c", "output": "o"}]},
        [("input/0/call_id", P, "c"), ("input/0/name", P, "f"), ("input/0/arguments", A, "{}"),
         ("input/1/call_id", P, "c"), ("input/1/output", T, "o")],
    ),
    "output in parts": (
        {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "o"}]}]},
        [("input/0/output/0/text", T, "o"), ("input/0/call_id", P, "c")],
    ),
    "reasoning": (
        {"input": [{"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "s"}]}]},
        [("input/0/id", P, "r"), ("input/0/summary/0/type", A, "summary_text"), ("input/0/summary/0/text", A, "s")],
    ),
    "schema": ({"input": "x", "text": {"format": {"type": "text"}}}, [("input", U, "x"), ("text/format/type", P, "text")]),
}  # fmt: skip
ROWS = [
    *((f"chat: {name}", "chat/completions", *row) for name, row in CHAT.items()),
    *((f"completions: {name}", "completions", *row) for name, row in COMPLETIONS.items()),
    *((f"responses: {name}", "responses", *row) for name, row in RESPONSES.items()),
    ("embeddings: text", "embeddings", {"input": ["a", "b"]}, [("input/0", U, "a"), ("input/1", U, "b")]),
]


@pytest.mark.promise(2)
@pytest.mark.parametrize(("endpoint", "body", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every_string_is_a_part(endpoint: str, body: Any, expected: list[tuple[str, PartRole, str]]) -> None:
    query = read(body, endpoint)
    assert [part for part in parts(query) if not part[0].endswith("/type") or part in expected] == expected
    for part in query.parts:
        assert canonical.lookup(orjson.loads(query.body), part.path) == part.text


@pytest.mark.parametrize(
    ("endpoint", "body", "reason"),
    [
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]}, "an image in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x"}}]}]}, "audio in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}]}, "a video in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]}]}, "a file in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "a content part of an unknown type in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "user", "content": [{}]}]}, "a content part of an unknown type in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"text": "x", "image_url": "https://x/y.png"}]}]}, "an image in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "uuid": "u", "audio_url": {"url": "x"}}]}]}, "audio in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "uuid": "u", "image_url": None}]}]}, "an image in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"text": "x", "prompt_embeds": "AAAA"}]}]}, "embeddings in messages/0/content/0"),
        ("chat/completions", {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "audio in messages/0"),
        ("chat/completions", {"messages": [], "extra": [1, 2, 3, 4, 5, 6, 7, 8]}, "numbers in extra"),
        ("chat/completions", {"messages": [], "extra": [0.5, 2e3, 3, -4.0, 5, 6, 7, 8]}, "numbers in extra"),
        ("chat/completions", {"messages": [], "chat_template": "{{ 'drowssap' | reverse }}"}, "a template of its own in chat_template"),
        ("chat/completions", {"messages": [], "chat_template_kwargs": {"chat_template": "x"}}, "a template of its own in chat_template_kwargs"),
        ("chat/completions", {"messages": [], "chat_template_kwargs": {"tools": []}}, "other tools in chat_template_kwargs"),
        ("completions", {"prompt": [1, 2, 3]}, "token ids in prompt"),
        ("completions", {"prompt": [[1, 2], [3]]}, "token ids in prompt/0"),
        ("completions", {"prompt": ["a", 5]}, "token ids in prompt"),
        ("completions", {"prompt": {"prompt_string": "x"}}, "an object in prompt"),
        ("completions", {"prompt_embeds": "AAAA"}, "embeddings in prompt_embeds"),
        ("embeddings", {"input": [1, 2]}, "token ids in input"),
        ("embeddings", {"content": [1, 2, "x"]}, "token ids in content"),
        ("responses", {"input": "x", "previous_response_id": "r"}, "an earlier response in previous_response_id"),
        ("responses", {"input": "x", "conversation": "c"}, "a stored conversation in conversation"),
        ("responses", {"prompt": {"id": "p"}}, "a stored prompt in prompt"),
        ("responses", {"input": [{"type": "item_reference", "id": "x"}]}, "an item of an unknown type in input/0"),
        ("responses", {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "x"}]}, "encrypted reasoning in input/0"),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "an image in input/0/content/0"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_named(endpoint: str, body: Any, reason: str) -> None:
    assert reason in read(body, endpoint).uninspectable


def test_a_text_with_empty_members_is_a_text() -> None:
    text = {"type": "text", "text": "x", "image_url": None, "cache_control": {"type": "ephemeral"}}
    assert read({"messages": [{"role": "user", "content": [text]}]}).uninspectable == ()


def test_an_attachments_address_is_shown_but_not_its_bytes() -> None:
    url, data = "https://example.com/a.png", "data:image/png;base64," + "A" * 5000
    images = [{"type": "image_url", "image_url": {"url": each}} for each in (url, data)]
    texts = [part.text for part in read({"messages": [{"role": "user", "content": images}]}).parts]
    assert url in texts
    assert data not in texts


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat/completions", {"messages": "x"}),
        ("chat/completions", {"messages": ["x"]}),
        ("chat/completions", {"messages": [{"content": "x"}]}),
        ("chat/completions", {"messages": [{"role": 1, "content": "x"}]}),
        ("chat/completions", {"messages": [{"role": "user", "content": {"text": "x"}}]}),
        ("chat/completions", {"messages": [{"role": "user", "content": [1]}]}),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}),
        ("chat/completions", {"messages": [{"role": "user", "tool_calls": "x"}]}),
        ("chat/completions", {"messages": [], "tools": {}}),
        ("chat/completions", {"messages": [], "tools": ["x"]}),
        ("chat/completions", {"messages": [], "stream": "true"}),
        ("chat/completions", {"messages": [], "n": "2"}),
        ("chat/completions", {"messages": [], "n": True}),
        ("chat/completions", {"messages": [], "max_tokens": 1.5}),
        ("chat/completions", {"messages": [], "stop_token_ids": ["x"]}),
        ("completions", {"prompt": 5}),
        ("completions", {"prompt": [True]}),
        ("completions", {"prompt": "x", "suffix": []}),
        ("responses", {"input": 5}),
        ("responses", {"input": ["x"]}),
        ("responses", {"input": "x", "instructions": 5}),
        ("embeddings", {"input": 5}),
        ("embeddings", {"model": None}),
        ("embeddings", {"model": ""}),
    ],
)
def test_wrong_types_are_refused(endpoint: str, body: Any) -> None:
    with pytest.raises(Refusal) as caught:
        read(body, endpoint)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "x", **{f"k{number}": 1 for number in range(3_000)}}]},
        {"messages": [], "k" * 20_000: ["a"] * 3_000},
        {"messages": [], "k" * 20_000: {str(number): "a" for number in range(3_000)}},
    ],
    ids=["many members", "a list under a long name", "an object under a long name"],
)
def test_a_small_body_does_not_become_large(body: Any) -> None:
    try:
        found = read(body).parts
    except Refusal:
        return
    assert sum(len(part.path) + len(part.text) for part in found) < 20 * len(orjson.dumps(body))


def test_long_names_are_read_as_long_as_they_are_few() -> None:
    name = "https://example.com/" + "n" * 1_000
    found = parts(read({"messages": [], "documents": [{name: {"title": "t", "text": "x"}}]}))
    assert [text for _, _, text in found] == [name, "t", "x"]


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat/completions", {"messages": [], "Model": "another"}),
        ("chat/completions", {"messages": [], "meſſages": [{"role": "user", "content": "x"}]}),  # a long s is an s
        ("chat/completions", {"messages": [], "Stream": True}),
        ("chat/completions", {"messages": [], "MAX_TOKENS": 9}),
        ("chat/completions", {"messages": [], "Tools": [{"type": "function"}]}),
        ("chat/completions", {"messages": [], "Temperature": 2}),
        ("completions", {"prompt": "x", "PROMPT": [1, 2]}),
        ("chat/completions", {"messages": [{"role": "user", "Role": "system", "content": "x"}]}),
        ("chat/completions", {"messages": [{"role": "user", "Content": [{"type": "image_url", "image_url": "x"}]}]}),
        ("responses", {"input": [{"role": "user", "content": "x", "CONTENT": []}]}),
        ("responses", {"input": [{"type": "function_call", "Type": "message", "Role": "user", "Content": []}]}),
        ("chat/completions", {"messages": [], "tools": [{"type": "function", "Function": {"name": "f"}}]}),
        ("chat/completions", {"messages": [], "tools": [{"type": "function", "function": {"name": "f", "Name": "g"}}]}),
    ],
)
def test_a_name_that_some_servers_take_for_a_known_one_is_refused(endpoint: str, body: Any) -> None:
    with pytest.raises(Refusal) as caught:
        read(body, endpoint)
    assert caught.value.status == 400


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "the secret": 1}]}]},
        ),
        ("chat/completions", {"messages": [{"role": "assistant", "tool_calls": [{"id": "i", "the secret": 1}]}]}),
        (
            "chat/completions",
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "the secret": 1}}]}]},
        ),
        ("responses", {"input": [{"type": "function_call", "name": "f", "the secret": 1}]}),
        ("responses", {"input": [{"type": "function_call_output", "output": [], "the secret": 1}]}),
    ],
)
def test_a_name_that_nobody_knows_is_text_wherever_it_stands(endpoint: str, body: Any) -> None:
    query = read(body, endpoint)
    (part,) = [part for part in query.parts if "the secret" in part.text]
    assert canonical.lookup(orjson.loads(query.body), part.path) == part.text


def test_names_of_ones_own_may_look_like_anything() -> None:
    schema = {"type": "object", "properties": {"Type": {"type": "string"}, "Name": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    call = {"type": "function", "function": {"name": "f", "arguments": {"Name": "n", "name": "m"}}}
    query = read({"messages": [{"role": "assistant", "tool_calls": [call]}], "tools": [tool], "X-Own": 1})
    assert query.tools == ("f",)


def test_tools_are_named() -> None:
    tools = [
        {"type": "function", "function": {"name": "a"}}, {"type": "custom", "custom": {"name": "b"}},
        {"type": "function", "name": "c"}, {"type": "web_search"}, {},
    ]  # fmt: skip
    assert read({"messages": [], "tools": tools}).tools == ("a", "b", "c", "web_search", "unknown")
    assert read({"messages": [], "functions": [{"name": "f"}]}).tools == ("f",)


def test_no_name_of_a_tool_hides_another_one() -> None:
    """Which of them counts is for the server to say: chat has the name inside, responses has it outside."""
    two = {"type": "function", "name": "delete_all", "function": {"name": "harmless"}}
    assert set(read({"input": "x", "tools": [two]}, "responses").tools) == {"delete_all", "harmless"}
    custom = {"type": "custom", "function": {"name": "harmless"}, "custom": {"name": "delete_all"}}
    assert set(read({"messages": [], "tools": [custom]}).tools) == {"delete_all", "harmless"}
    search = {"type": "web_search", "name": "harmless"}
    assert set(read({"input": "x", "tools": [search]}, "responses").tools) == {"web_search", "harmless"}


def test_tools_of_a_message_are_tools() -> None:
    tool = {"type": "function", "function": {"name": "delete_all", "description": "d"}}
    query = read({"messages": [{"role": "developer", "content": "x", "tools": [tool]}]})
    assert query.tools == ("delete_all",)
    assert ("messages/0/tools/0/function/description", D, "d") in parts(query)


def test_sizes() -> None:
    assert read({"messages": [{"role": "user", "content": "abcde"}]}).prompt_tokens == 2
    assert read({"messages": [{"role": "user", "content": "ééé"}]}).prompt_tokens == 2
    assert read({"prompt": [1, 2, 3]}, "completions").prompt_tokens == 3
    assert read({"prompt": [[1, 2], [3, 4, 5]]}, "completions").prompt_tokens == 5
    assert read({"messages": [], "max_tokens": 5, "max_completion_tokens": 7}).max_tokens == 7
    assert read({"messages": []}).max_tokens is None


@pytest.mark.parametrize("body", [{"max_tokens": -1}, {"max_tokens": 0}, {"max_tokens": 9, "n_predict": -1}])
def test_a_limit_that_some_servers_take_for_none_is_none(body: Any) -> None:
    assert read({"messages": [], **body}).max_tokens is None


def test_streams() -> None:
    assert read({"messages": [], "stream": True}).stream
    assert not read({"messages": [], "stream": False}).stream
    assert not read({"messages": [], "stream": None}).stream


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
bodies = st.dictionaries(
    st.sampled_from(["messages", "input", "prompt", "tools", "stream", "instructions", "text", "stop", "x", "a~/b"]),
    json_values,
    max_size=5,
)


@pytest.mark.promise(2)
@given(body=bodies, endpoint=st.sampled_from(["chat/completions", "completions", "responses", "embeddings"]))
def test_any_body_is_refused_or_every_string_of_it_is_seen(body: dict[str, Any], endpoint: str) -> None:
    try:
        query = read(body, endpoint)
    except Refusal:
        return
    value = orjson.loads(query.body)
    seen = {part.path for part in query.parts}
    for path, text in canonical.strings(value):
        known = path == "model" or path.endswith(("/role", "/type"))
        assert path in seen or known or not text, path
    for part in query.parts:
        assert canonical.lookup(value, part.path) == part.text
