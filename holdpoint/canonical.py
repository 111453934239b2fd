"""One request body, understood once: strict JSON in, one value, one canonical serialisation out. Pure.

What the client sent is parsed strictly (RFC 8259; duplicate keys, NaN, infinities, lone surrogates, integers beyond 64
bits and more than 200 levels are refused) and written again from what was parsed. Those bytes are inspected, shown,
forwarded and recorded; the client's own bytes go nowhere. Key order is kept, because chat templates show it to models.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jiter
import orjson

Decimals = jiter.LosslessFloat
"""A parsed number that is no integer: still its text, so that nothing has to look for those that overflow."""
Json = dict[str, Any] | list[Any] | str | int | float | Decimals | bool | None

KEYS = "~keys"  # no escaped key can look like this: behind a tilde there is always 0, 1 or 2
_EMPTY = "~2"  # an empty key in a path; a key that reads "~2" is written "~02"


class NotCanonical(ValueError):
    """The bytes are not one unambiguous JSON value. ``str()`` says why, without quoting the content."""


def parse(raw: bytes) -> Json:
    """Strictly parse ``raw``. A number with a fraction or an exponent stays a `Decimals` until it is written.

    Raises:
        NotCanonical: with a sentence for the client.
    """
    try:
        value: Json = jiter.from_json(
            raw, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True, float_mode="lossless-float"
        )
    except ValueError as error:
        raise NotCanonical(_without_content(str(error))) from None
    return value


def serialise(value: Json, raw: bytes | None = None) -> bytes:
    """The canonical bytes of a value. ``raw`` is what `parse` made it of, if it did: only then can no float be infinite.

    Raises:
        NotCanonical: a number has no exact JSON form (too large for 64 bits, or overflowing to infinity).
    """
    try:
        body = orjson.dumps(value, default=_number)
    except TypeError as error:
        raise NotCanonical(str(error.__cause__ or error)) from None
    # An infinite float would be written as null.
    if raw is None and _has_non_finite(value):
        raise NotCanonical("a number is out of range")
    # What orjson returns still occupies the buffer that it grew in, 8 KB for 2 KB of content. A hold keeps its body.
    return bytes(memoryview(body))


def digest(*, connection: str, method: str, target: str, body: bytes) -> str:
    """SHA-256 (hex) of the canonical request: what binds card, decision, release and record."""
    head = f"{connection}\n{method}\n{target}\n".encode()
    return hashlib.sha256(head + body).hexdigest()


def strings(value: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every string value below ``value`` with its path, in order. Keys of objects are not values."""
    stack: list[tuple[str, Json]] = [(prefix, value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, str):
            yield path, item
        elif isinstance(item, dict):
            stack.extend((join(path, key), child) for key, child in reversed(item.items()))
        elif isinstance(item, list):
            stack.extend((join(path, str(index)), item[index]) for index in range(len(item) - 1, -1, -1))


def join(path: str, key: str) -> str:
    """``path`` extended by one key or index."""
    if not key:
        key = _EMPTY
    elif "~" in key or "/" in key:
        key = key.replace("~", "~0").replace("/", "~1")
    return f"{path}/{key}" if path else key


def lookup(value: Json, path: str) -> str:
    """The string at ``path``; behind an object's path, ``/~keys`` stands for its keys, one per line (never editable).

    Raises:
        KeyError: there is no string at that path.
    """
    steps = _steps(path)
    if path.endswith(KEYS):
        found = _walk(value, steps[:-1], path)
        if not isinstance(found, dict):
            raise KeyError(path)
        return "\n".join(found)
    text = _walk(value, steps, path)
    if not isinstance(text, str):
        raise KeyError(path)
    return text


def apply_edits(body: bytes, edits: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    """A canonical body with the strings at the given paths replaced.

    Raises:
        KeyError: a path leads to no string.
    """
    value: Json = orjson.loads(body)
    for path, text in edits.items() if isinstance(edits, Mapping) else edits:
        if path.endswith(KEYS):  # its steps would lead to a string of that very name
            raise KeyError(path)
        steps = _steps(path)
        container = _walk(value, steps[:-1], path)
        if not isinstance(_walk(container, steps[-1:], path), str):
            raise KeyError(path)
        container[_index(container, steps[-1])] = text
    return serialise(value)


def _steps(path: str) -> list[str]:
    """The keys and indexes that a path is made of."""
    return ["" if step == _EMPTY else step.replace("~1", "/").replace("~0", "~") for step in path.split("/")]


def _walk(value: Any, steps: Iterable[str], path: str) -> Any:
    """What the steps lead to, or `KeyError` with the whole path."""
    try:
        for step in steps:
            value = value[_index(value, step)]
    except (KeyError, IndexError, ValueError):
        raise KeyError(path) from None
    return value


def _index(container: Any, key: str) -> str | int:
    if isinstance(container, dict):
        return key
    if isinstance(container, list) and key.isascii() and key.isdigit():
        return int(key)
    raise KeyError(key)


def _number(parsed: object) -> float:
    """The number that orjson asks about."""
    if not isinstance(parsed, Decimals):
        raise TypeError(f"{type(parsed).__name__} is no JSON value")
    number = float(parsed)
    if not math.isfinite(number):
        raise NotCanonical("a number is out of range")
    return number


def _has_non_finite(value: Json) -> bool:
    stack: list[Json] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return True
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False


def _without_content(message: str) -> str:
    """The parser quotes duplicate keys, which are content: keep the position only."""
    if message.startswith("Detected duplicate key"):
        return "duplicate key" + message[message.rfind(" at line") :]
    return message
