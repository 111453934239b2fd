"""Claims by their path, and whether they have one of the wanted values. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """What stands at ``path``, or None. Dots lead into nested objects: ``realm_access.roles``.

    A name may have dots itself (``kubernetes.io``, ``https://example.com/groups``): the longest name that is there counts.
    """
    found = claims.get(path)
    if found is not None:
        return found
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        inner = claims.get(".".join(parts[:cut]))
        if isinstance(inner, Mapping):
            return claim(inner, ".".join(parts[cut:]))
    return None


def values_at(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The values at ``path`` as texts: one, or those of a list. Truth values are ``true`` and ``false``."""
    return frozenset(_texts(claim(claims, path)))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case bool():
            yield "true" if value else "false"
        case str() | int():
            yield str(value)
        case list():
            for each in value:
                if isinstance(each, str | int):
                    yield from _texts(each)


def lacking(claims: Mapping[str, Any], wanted: Mapping[str, Sequence[str]]) -> str | None:
    """The first path of ``wanted`` that has none of its values; None when all have."""
    return next((path for path, values in wanted.items() if values_at(claims, path).isdisjoint(values)), None)
