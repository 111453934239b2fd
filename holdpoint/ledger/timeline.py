"""Everything on one hold or request, told in its order, as text for people. Pure.

Each step says when, how long after the first one, and what. All of it is text from elsewhere: hidden characters are
made visible, and lines of a request stand behind a bar, so that none of them looks like a line of Holdpoint's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

import orjson

from holdpoint.canonical import digest
from holdpoint.clock import iso
from holdpoint.ledger.chain import Form, Record
from holdpoint.visible import visible, visible_line

# Members that are told in their own way, or say nothing that the step's first line does not say.
_TOLD = frozenset(
    {"hold", "request", "requester", "evaluation", "body", "decision", "outcome", "view", "text", "rev", "state",
     "claim", "confirming", "question", "justification"}
)  # fmt: skip


def render(records: Sequence[Record], *, contents: bool = True) -> str:
    """The timeline of records with one subject, oldest first; ends with a line break.

    ``contents``: also what was asked, shown, edited and answered.
    """
    lines: list[str] = []
    for record in records:
        lines += _step(record, start_ms=records[0].at_ms, contents=contents)
    return "".join(f"{line}\n" for line in lines)


def body_matches(data: Mapping[str, Any]) -> bool | None:
    """Whether ``digest`` is that of ``body``; None where an event does not carry all that it takes."""
    parts = (data.get("connection"), data.get("method"), data.get("target"), data.get("digest"))
    if data.get("body") is None or not all(isinstance(part, str) for part in parts):
        return None
    connection, method, target, recorded = (str(part) for part in parts)
    body = orjson.dumps(data["body"])
    return digest(connection=connection, method=method, target=target, body=body) == recorded


def _step(record: Record, *, start_ms: int, contents: bool) -> Iterator[str]:
    data = record.value
    state = f"  {data['state']}" if isinstance(data.get("state"), str) else ""
    yield visible_line(f"{iso(record.at_ms)}  {_since(record, start_ms)}  {record.kind}{state}  (record {record.seq})")
    if record.form != Form.JSON:
        yield from _block(f"not readable, recorded as {record.form}", record.data if contents else "(not shown here)")
        return
    yield from _requester(data.get("requester"))
    for name, value in data.items():
        if name not in _TOLD and value not in (None, "", [], {}):
            yield from _field(name, value)
    if (matches := body_matches(data)) is not None:
        yield from _field("body", "has this digest" if matches else "DOES NOT HAVE THIS DIGEST")
    yield from _evaluation(data.get("evaluation"))
    yield from _until("claim", data.get("claim"))
    yield from _until("confirming", data.get("confirming"))
    yield from _question(data.get("question"), contents=contents)
    yield from _decision(data.get("decision"), contents=contents)
    yield from _outcome(data.get("outcome"), contents=contents)
    if not contents:
        return
    for name, title in (("view", "what the card showed"), ("text", "text"), ("justification", "justification")):
        if isinstance(data.get(name), str) and (data[name] or name != "justification"):
            yield from _block(title, data[name])
    if data.get("body") is not None:
        yield from _block("body", orjson.dumps(data["body"], option=orjson.OPT_INDENT_2).decode())


def _since(record: Record, start_ms: int) -> str:
    try:
        return f"{(record.at_ms - start_ms) / 1000:+.3f}s"
    except TypeError:  # somebody put something else into the column; verify says so
        return "+?"


def _requester(value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    groups = value.get("groups")
    in_groups = f" in {', '.join(map(str, groups))}" if isinstance(groups, list) and groups else ""
    owner = f", owned by {value['owner']}" if value.get("owner") else ""
    key = f", key {value['key_id']}" if value.get("key_id") else ""
    yield from _field("requester", f"{value.get('principal')}{in_groups}{owner}{key}")


def _evaluation(value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    yield from _field(
        "verdict", f"{value.get('verdict')}  risk {value.get('risk')}  policy {value.get('policy_version')}"
    )
    for hit in _objects(value.get("hits")):
        yield from _field("rule", f"{hit.get('rule')} ({hit.get('verdict')}): {hit.get('description')}")
    for need in _objects(value.get("requirements")):
        yield from _field("needs", f"{need.get('approvals')} of {need.get('group')}")


def _until(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    who = f"{value.get('name') or ''} <{value.get('by')}>".strip()
    yield from _field(name, f"by {who} until {_moment(value.get('until_ms'))}")


def _question(value: Any, *, contents: bool) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    who = f"{value.get('name') or ''} <{value.get('by')}>".strip()
    yield from _field("question", f"{value.get('id')} by {who}")
    if contents:
        yield from _block("asked", str(value.get("text")))
    if value.get("answered_ms") is None:
        return
    yield from _field("answered by", str(value.get("answered_by")))
    if contents:
        yield from _block("answer", str(value.get("answer")))


def _moment(value: Any) -> str:
    return iso(value) if isinstance(value, int) else "?"


def _decision(value: Any, *, contents: bool) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    groups = value.get("groups")
    in_groups = f" in {', '.join(map(str, groups))}" if isinstance(groups, list) and groups else ""
    who = f"{value.get('name') or ''} <{value.get('by')}>{in_groups}".strip()
    glass = ", alone: the glass was broken" if value.get("glass") else ""
    yield from _field("decision", f"{value.get('kind')} by {who} in {value.get('channel')}{glass}")
    behalf = value.get("behalf")
    if isinstance(behalf, list) and behalf:
        yield from _field(
            "in the place of", f"{', '.join(map(str, behalf))}, away until {_moment(value.get('behalf_until_ms'))}"
        )
    if value.get("factor"):
        yield from _field("confirmed by", str(value["factor"]))
    yield from _field("shown", str(value.get("digest")))
    if value.get("result_digest") != value.get("digest"):
        yield from _field("edited to", str(value.get("result_digest")))
    if value.get("reason"):
        yield from _block("reason", str(value["reason"]))
    before = {str(edit.get("path")): str(edit.get("text")) for edit in _objects(value.get("before"))}
    for edit in _objects(value.get("edits")):
        path = str(edit.get("path"))
        if not contents:
            yield from _field("edited", path)
            continue
        old, new = before.get(path, ""), str(edit.get("text"))
        diff = list(unified_diff(old.split("\n"), new.split("\n"), lineterm="", n=2))[2:]
        yield from _block(f"edited {path}", "\n".join(diff))


def _outcome(value: Any, *, contents: bool) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    yield from _field(
        "response", f"status {value.get('status')}  {value.get('duration_ms')} ms  {value.get('size_bytes')} bytes"
    )
    tokens = (value.get("prompt_tokens"), value.get("completion_tokens"))
    if tokens != (None, None):
        yield from _field("tokens", f"{tokens[0]} in, {tokens[1]} out")
    yield from _field("answer digest", str(value.get("digest")))
    if value.get("error"):
        yield from _field("error", str(value["error"]))
    if value.get("text") and contents:
        yield from _block("answer", str(value["text"]))


def _field(name: str, value: Any) -> Iterator[str]:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    yield f"    {visible_line(name):<16} {visible_line(text)}"


def _block(title: str, text: str) -> Iterator[str]:
    yield f"    {visible_line(title)}:"
    for line in visible(text).split("\n"):
        yield f"      | {line}"


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
