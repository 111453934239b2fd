"""What a dialog about a standing approval offers: for whom, how often, for how long. Pure; knows no platform."""

from __future__ import annotations

from collections.abc import Sequence

from bot.sentences import duration
from holdpoint.model import GrantLimits, GrantScope
from holdpoint.visible import visible_line

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_USES = (1, 5, 10, 20, 50, 100, 200, 500)
_AGES_MS = (15 * _MINUTE_MS, _HOUR_MS, 4 * _HOUR_MS, 8 * _HOUR_MS, 24 * _HOUR_MS, 72 * _HOUR_MS)

Choice = tuple[str, str]
"""What a person reads, and the value that comes back (`bot.inputs`)."""


def scopes(limits: GrantLimits, groups: Sequence[str]) -> list[Choice]:
    """``requester``, or ``group <name>``; ``groups`` are those that the grant may stand for."""
    found: list[Choice] = []
    if GrantScope.REQUESTER in limits.scopes:
        found.append(("Only this requester", GrantScope.REQUESTER.value))
    if GrantScope.GROUP in limits.scopes:
        found += ((f"Everybody in {visible_line(group)}", f"{GrantScope.GROUP.value} {group}") for group in groups)
    return found


def uses(limits: GrantLimits) -> list[Choice]:
    """The usual numbers below the limit, and the limit itself."""
    return [(f"{count} {'time' if count == 1 else 'times'}", str(count)) for count in _up_to(_USES, limits.uses)]


def ages(limits: GrantLimits) -> list[Choice]:
    """The usual times below the limit, and the limit itself; values in milliseconds."""
    return [(duration(age), str(age)) for age in _up_to(_AGES_MS, limits.age_ms)]


def _up_to(usual: Sequence[int], limit: int) -> list[int]:
    return [*(each for each in usual if each < limit), limit]
