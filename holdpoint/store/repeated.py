"""JSON of what thousands of records say again: rendered once, and put into each as it is."""

from __future__ import annotations

from typing import Generic, TypeVar

import orjson

from holdpoint.store.as_json import to_json

_MOST = 10_000

T = TypeVar("T")


class Repeated(Generic[T]):
    """Goes by the object itself, not by its value: a look costs next to nothing, and only frozen objects belong in here.

    Each object is held as long as its JSON, so that no other one can come to have its id.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: dict[int, tuple[T, orjson.Fragment]] = {}

    def json(self, value: T) -> orjson.Fragment:
        """The JSON of ``value``, as `to_json` writes it."""
        found = self._known.get(id(value))
        if found is None:
            if len(self._known) >= self._most:
                self._known.clear()
            found = self._known[id(value)] = value, orjson.Fragment(to_json(value))
        return found[1]
