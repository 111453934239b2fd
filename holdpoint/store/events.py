"""What an event says. Its ``data`` (JSON) is built in one place, so that cards, ledger and tests agree: the files
``…_events.py`` beside this one, each for the events about one thing.

Events of a hold are put together by the scripts from the stored hold (``hold``, ``rev``, ``state``, ``digest``,
``requester``, ``connection``) and the *extra* `members` that the functions there return, each with a comma in front.
Events without a hold are whole objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from holdpoint.model import EventKind
from holdpoint.store.as_json import to_json


class Entry(NamedTuple):
    """One event that is about to be appended. ``stream`` is "events" or "traffic"; ``data`` is a JSON object."""

    stream: str
    kind: EventKind
    subject: str
    at_ms: int
    data: bytes


def members(values: Mapping[str, Any]) -> bytes:
    """``,"a":1,"b":2`` or nothing."""
    return b"," + to_json(values)[1:-1] if values else b""
