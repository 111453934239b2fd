"""``tests``: the policy's own ones, and the queries that they stand for. `check` runs them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from yaml.nodes import MappingNode, Node

from holdpoint.model import Part, PartRole, Query, Risk, Verdict
from holdpoint.policy.reading import Reader, line_of, suggestion

# A Monday noon: a test that names no time does not change its outcome at night or on Sundays.
DEFAULT_AT_MS = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()) * 1000

_REQUEST = (
    "group", "groups", "requester", "owner", "prompt", "messages", "model", "connection",
    "tools", "stream", "endpoint", "max_tokens", "uninspectable", "at",
)  # fmt: skip  # who, what, how, when
_EXPECT = ("verdict", "rules", "risk", "reviewers")
_MESSAGE_ROLES = (PartRole.DEFINITION, PartRole.PARAMETER)  # roles that no message has


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """One of the policy's own tests: a request as it would come in, and what is expected of it."""

    name: str
    line: int
    principal: str
    owner: str | None
    groups: frozenset[str]
    connection: str | None
    endpoint: str
    model: str
    messages: tuple[tuple[PartRole, str], ...]
    tools: tuple[tuple[str, str], ...]  # name, description
    stream: bool
    max_tokens: int | None
    uninspectable: tuple[str, ...]
    at_ms: int
    verdict: Verdict | None
    rules: frozenset[str] | None
    risk: Risk | None
    reviewers: frozenset[str] | None


def read_tests(reader: Reader, node: Node | None, connections: Sequence[str]) -> tuple[PolicyTest, ...]:
    """Every entry of ``tests``."""
    found = (_read_test(reader, item, connections) for item in reader.items(node, "tests") or ())
    return tuple(test for test in found if test is not None)


def _read_test(reader: Reader, node: Node, connections: Sequence[str]) -> PolicyTest | None:
    fields = reader.fields(node, "a test", ("name", "request", "expect"), required=("name", "request", "expect"))
    if fields is None:
        return None
    name = reader.text(fields.get("name"), "a test's name", longest=200) or ""
    what = f"test {name!r}"
    request = reader.fields(fields.get("request"), f"{what}: request", _REQUEST) or {}
    expect = reader.fields(fields.get("expect"), f"{what}: expect", _EXPECT) or {}
    if not expect and "expect" in fields:
        reader.problem(fields["expect"], f"{what} expects nothing: name a verdict or rules")
    connection = reader.text(request.get("connection"), f"{what}: connection")
    if connection is not None and connection not in connections:
        reader.problem(
            request["connection"], f"{what}: no connection {connection!r}{suggestion(connection, connections)}"
        )
    text = reader.text
    return PolicyTest(
        name=name,
        line=line_of(fields.get("expect", node)),
        principal=(text(request.get("requester"), f"{what}: requester") or "tester@example.com").lower(),
        owner=text(request.get("owner"), f"{what}: owner"),
        groups=_groups(reader, request, what),
        connection=connection or next(iter(connections), None),
        endpoint=text(request.get("endpoint"), f"{what}: endpoint") or "chat/completions",
        model=text(request.get("model"), f"{what}: model") or "model",
        messages=_messages(reader, request, what),
        tools=_tools(reader, request.get("tools"), f"{what}: tools"),
        stream=reader.flag(request.get("stream"), f"{what}: stream") or False,
        max_tokens=reader.number(request.get("max_tokens"), f"{what}: max_tokens"),
        uninspectable=reader.texts(request.get("uninspectable"), f"{what}: uninspectable") or (),
        at_ms=_at(reader, request.get("at"), f"{what}: at"),
        verdict=reader.word(expect.get("verdict"), f"{what}: verdict", Verdict),
        rules=_names(reader, expect.get("rules"), f"{what}: rules"),
        risk=reader.word(expect.get("risk"), f"{what}: risk", Risk),
        reviewers=_names(reader, expect.get("reviewers"), f"{what}: reviewers"),
    )


def _groups(reader: Reader, request: dict[str, Node], what: str) -> frozenset[str]:
    one = reader.text(request.get("group"), f"{what}: group")
    many = reader.texts(request.get("groups"), f"{what}: groups") or ()
    return frozenset(many) | ({one} if one is not None else frozenset())


def _messages(reader: Reader, request: dict[str, Node], what: str) -> tuple[tuple[PartRole, str], ...]:
    if "prompt" in request and "messages" in request:
        reader.problem(request["messages"], f"{what}: name prompt or messages, not both")
    prompt = reader.text(request.get("prompt"), f"{what}: prompt", longest=1_000_000, empty=True)
    if prompt is not None:
        return ((PartRole.USER, prompt),)
    found = []
    for item in reader.items(request.get("messages"), f"{what}: messages") or ():
        fields = reader.fields(item, f"{what}: a message", ("role", "content"), required=("role", "content")) or {}
        role = reader.word(fields.get("role"), f"{what}: role", PartRole, without=_MESSAGE_ROLES)
        content = reader.text(fields.get("content"), f"{what}: content", longest=1_000_000, empty=True)
        if role is not None and content is not None:
            found.append((role, content))
    return tuple(found)


def _tools(reader: Reader, node: Node | None, what: str) -> tuple[tuple[str, str], ...]:
    """Names, or mappings of name and description."""
    found = []
    for item in reader.items(node, what) or ():
        if isinstance(item, MappingNode):
            fields = reader.fields(item, f"an item of {what}", ("name", "description"), required=("name",)) or {}
            name = reader.text(fields.get("name"), f"{what}: name")
            description = reader.text(fields.get("description"), f"{what}: description") or ""
        else:
            name, description = reader.text(item, f"an item of {what}"), ""
        if name is not None:
            found.append((name, description))
    return tuple(found)


def _at(reader: Reader, node: Node | None, what: str) -> int:
    at_ms = reader.parsed(node, what, _parse_time)
    return DEFAULT_AT_MS if at_ms is None else at_ms


def _parse_time(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a time: write 2026-01-05T12:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def _names(reader: Reader, node: Node | None, what: str) -> frozenset[str] | None:
    """A list of names that may be empty: `rules: []` expects that none matches."""
    if node is None or node.value == []:
        return None if node is None else frozenset()
    found = reader.texts(node, what)
    return None if found is None else frozenset(found)


def query_of(test: PolicyTest) -> Query:
    """The query that a gateway would make of such a request."""
    parts = [Part(f"messages/{i}/content", role, text) for i, (role, text) in enumerate(test.messages)]
    for index, (name, description) in enumerate(test.tools):
        parts.append(Part(f"tools/{index}/function/name", PartRole.DEFINITION, name))
        if description:
            parts.append(Part(f"tools/{index}/function/description", PartRole.DEFINITION, description))
    body: dict[str, object] = {
        "model": test.model,
        "messages": [{"role": role.value, "content": text} for role, text in test.messages],
    }
    if test.tools:
        body["tools"] = [
            {"type": "function", "function": {"name": name, "description": description}}
            for name, description in test.tools
        ]
    if test.stream:
        body["stream"] = True
    if test.max_tokens is not None:
        body["max_tokens"] = test.max_tokens
    return Query(
        connection=test.connection or "",
        endpoint=test.endpoint,
        model=test.model,
        parts=tuple(parts),
        tools=tuple(name for name, _ in test.tools),
        stream=test.stream,
        prompt_tokens=sum(len(text.encode()) for _, text in test.messages),
        max_tokens=test.max_tokens,
        uninspectable=test.uninspectable,
        body=orjson.dumps(body),
    )
