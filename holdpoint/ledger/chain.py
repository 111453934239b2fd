r"""What a record is, its canonical bytes, and the chain of hashes. Pure.

A record's *content* is a JSON object with these members and no other::

    at_ms     int     when it happened, by the clock of who wrote the event
    data      string  the event's data, exactly as it stood in the outbox (see form)
    form      string  what data is: "json", "text" (UTF-8 but no JSON object) or "base64" (anything else)
    kind      string  "hold.created", "request.allowed", …
    previous  string  the hash of the record before, in hex; 64 zeros for the first
    seq       int     1, 2, 3, … without a gap
    source    string  "<stream>/<entry id>" of the event; no two records have the same
    subject   string  the id of the hold or request, the policy version, the key id, …

Its *canonical bytes* are that object in UTF-8 with sorted keys, no white space, and only ``"``, ``\`` and characters
below U+0020 escaped (RFC 8785 for such an object), and its *hash* is their SHA-256. By hand::

    hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import orjson

from holdpoint.visible import visible_line

GENESIS = "0" * 64
"""What the first record names as the hash before it."""

# Names are indexed, and an index of PostgreSQL takes 2,700 bytes at most. Ids of Holdpoint are far shorter.
_LONGEST_NAME = 200


class Form(StrEnum):
    """What the text in ``data`` is. Anything but ``json`` is an event that could not be read: recorded as it was."""

    JSON = "json"
    TEXT = "text"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, ready to become a record."""

    source: str
    kind: str
    subject: str
    at_ms: int
    form: Form
    data: str


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the ledger, as it was read: a record that somebody changed may hold anything, so nothing is assumed."""

    seq: int
    source: str
    kind: str
    subject: str
    at_ms: int
    form: str
    data: str
    previous: str
    hash: str

    @property
    def content(self) -> dict[str, str | int]:
        """What the hash covers."""
        return {
            "at_ms": self.at_ms,
            "data": self.data,
            "form": self.form,
            "kind": self.kind,
            "previous": self.previous,
            "seq": self.seq,
            "source": self.source,
            "subject": self.subject,
        }

    @property
    def value(self) -> Mapping[str, Any]:
        """The event's data as a JSON object; empty for an unreadable one."""
        return read_object(self.data) if self.form == Form.JSON else {}


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a chain: how many there are and its hash. ``seq`` 0 and `GENESIS` for an empty ledger."""

    seq: int
    hash: str


EMPTY = Head(0, GENESIS)


def entry(*, source: str, kind: str, subject: str, at_ms: int, raw: bytes) -> Entry:
    """An event with its data as bytes → an entry. Whatever the bytes are, there is an entry."""
    form, data = _as_text(raw)
    return Entry(_name(source), _name(kind), _name(subject), at_ms, form, data)


def canonical(content: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a record's content.

    Raises:
        ValueError: it holds something that no record can hold (bytes, a lone surrogate): it was tampered with.
    """
    try:
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except TypeError as error:
        raise ValueError(str(error)) from None


def digest(content: Mapping[str, Any]) -> str:
    """The hash of a record's content: SHA-256 of its canonical bytes, in hex.

    Raises:
        ValueError: as `canonical`.
    """
    return hashlib.sha256(canonical(content)).hexdigest()


def extend(head: Head, entries: Iterable[Entry]) -> Iterator[Record]:
    """The records that continue the chain after ``head``."""
    seq, previous = head.seq, head.hash
    for item in entries:
        seq += 1
        unsealed = Record(
            seq, item.source, item.kind, item.subject, item.at_ms, item.form.value, item.data, previous, hash=""
        )
        previous = digest(unsealed.content)
        yield replace(unsealed, hash=previous)


def read_object(text: str) -> dict[str, Any]:
    """A JSON object; empty when the text is none."""
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError, TypeError):
        return {}
    return value if isinstance(value, dict) else {}


def position(source: str) -> tuple[str, tuple[int, ...]]:
    """``"<stream>/<ms>-<n>"`` as a stream and a place that can be compared. An id of another form has place ()."""
    stream, _, entry_id = source.rpartition("/")
    parts = entry_id.split("-")
    if all(part.isascii() and part.isdigit() for part in parts):
        return stream, tuple(int(part) for part in parts)
    return stream, ()


def advance(latest: Mapping[str, str], sources: Iterable[str]) -> dict[str, str]:
    """Of the streams of ``sources``, those whose last source changes, with the new one."""
    changed: dict[str, str] = {}
    for source in sources:
        stream, place = position(source)
        known = changed.get(stream, latest.get(stream))
        if known is None or place > position(known)[1]:
            changed[stream] = source
    return changed


def _as_text(raw: bytes) -> tuple[Form, str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Form.BASE64, base64.b64encode(raw).decode()
    if "\x00" in text:  # PostgreSQL cannot store it
        return Form.BASE64, base64.b64encode(raw).decode()
    try:
        return (Form.JSON if isinstance(orjson.loads(text), dict) else Form.TEXT), text
    except orjson.JSONDecodeError:
        return Form.TEXT, text


def _name(text: str) -> str:
    return visible_line(text)[:_LONGEST_NAME]
