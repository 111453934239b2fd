"""Who is away until when, and who decides in their place. Pure; the time is an argument.

An absence lapses by itself at ``until_ms``. It takes no right from who is away; it gives the delegate what the absent
person may decide at that moment (`bot.absence`), one level deep: who stands in for somebody hands nothing on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdpoint.policy.people import canonical


@dataclass(frozen=True, slots=True)
class Absence:
    """``principal`` is away. ``delegate`` is empty where nobody stands in; ``by`` is who said so, perhaps an admin.

    ``zone`` is the IANA name of the time zone in which ``until_ms`` was said, for words about it. ``aliases`` are other
    principals of who is away, as far as they were known; they forbid, and give no right.
    """

    principal: str
    since_ms: int
    until_ms: int
    by: str
    delegate: str = ""
    reason: str = ""
    zone: str = "UTC"
    aliases: frozenset[str] = frozenset()

    def is_on(self, now_ms: int) -> bool:
        """Whether it has not lapsed."""
        return now_ms < self.until_ms


class WhoIsAway:
    """The absences that were stored at one moment, by person and by delegate."""

    def __init__(self, absences: Iterable[Absence] = ()) -> None:
        self._of: dict[str, Absence] = {}
        self._entrusted: dict[str, list[Absence]] = {}
        for absence in absences:
            self._of[canonical(absence.principal)] = absence
            if absence.delegate:
                self._entrusted.setdefault(canonical(absence.delegate), []).append(absence)

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[Absence]:
        return iter(self._of.values())

    def of(self, principal: str, now_ms: int) -> Absence | None:
        """The absence of ``principal``, while it lasts."""
        if not self._of:
            return None
        found = self._of.get(canonical(principal))
        return found if found is not None and found.is_on(now_ms) else None

    def entrusted_to(self, principal: str, now_ms: int) -> tuple[Absence, ...]:
        """The absences in which ``principal`` stands in, the one that ends first at the beginning."""
        if not self._entrusted:
            return ()
        found = [each for each in self._entrusted.get(canonical(principal), ()) if each.is_on(now_ms)]
        return tuple(sorted(found, key=lambda each: (each.until_ms, each.principal)))
