"""Who has changed which rule lately, read from the versions of the policy: for the separation of duties. I/O, no rules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from holdpoint.errors import PolicyError
from holdpoint.policy import parse_policy
from holdpoint.policy.separation import RuleChange, changed, meanings
from holdpoint.store import Store, StoredPolicy

MOST_VERSIONS = 100
"""So many versions back are looked at; what happened in even older ones cannot be known."""


class RuleChanges:
    """Versions never change, so that each is read and understood once. Asked only where a policy separates duties."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[int, _Version] = {}
        self._reading = asyncio.Lock()

    async def since(self, since_ms: int) -> tuple[RuleChange, ...]:
        """Every version that was put in force after ``since_ms``, as the changes that it made; newest first.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        async with self._reading:
            head = await self._store.config.policy_number()
            self._known = {number: known for number, known in self._known.items() if number > head - MOST_VERSIONS - 1}
            found: list[RuleChange] = []
            for number in range(head, 0, -1):
                version = await self._version(number)
                if version.at_ms <= since_ms:
                    break
                if len(found) == MOST_VERSIONS:
                    return (*found, RuleChange(None, (), version.at_ms))
                before = (await self._version(number - 1)).meanings if number > 1 else {}
                unknown = before is None or version.meanings is None
                rules = None if unknown else changed(before or {}, version.meanings or {})
                found.append(RuleChange(rules, version.by, version.at_ms, version.aliases))
            return tuple(found)

    async def _version(self, number: int) -> _Version:
        if number not in self._known:
            stored = await self._store.config.policy_version(number)
            by = tuple(filter(None, (stored.by, stored.confirmed_by)))
            understood = await asyncio.to_thread(_meanings, stored)
            self._known[number] = _Version(by, stored.at_ms, understood, stored.aliases)
        return self._known[number]


@dataclass(frozen=True, slots=True)
class _Version:
    """``meanings`` is None for a version that this release cannot read."""

    by: tuple[str, ...]
    at_ms: int
    meanings: Mapping[str, str] | None
    aliases: tuple[str, ...]


def _meanings(stored: StoredPolicy) -> Mapping[str, str] | None:
    try:
        return meanings(parse_policy(stored.text))
    except PolicyError:
        return None
