"""A model's answer ⇄ what Redis keeps of it, for a replay. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from holdpoint.store.as_json import to_json
from holdpoint.store.wire import Argument


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """``headers`` are the ones that the client was sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def response_arguments(response: StoredResponse | None) -> list[Argument]:
    """What `lua/close.lua` is told of it: whether there is one, then status, headers and body."""
    if response is None:
        return [0, 0, "", b""]
    return [1, response.status, to_json(response.headers), response.body]


def load_response(fields: Mapping[bytes, bytes]) -> StoredResponse:
    """The hash of a response → `StoredResponse`."""
    headers = tuple((name, value) for name, value in orjson.loads(fields[b"headers"]))
    return StoredResponse(int(fields[b"status"]), headers, fields[b"body"])
