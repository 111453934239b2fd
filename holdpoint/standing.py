"""What admins and reviewers put in force beside the policy: grants, pauses, broken glass, changes that wait. Pure.

All of it is configuration: stored in Redis, live in every process within a second (`holdpoint/live.py`), recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from holdpoint.model import GrantScope

EVERYTHING = "*"  # in the place of a connection's name


@dataclass(frozen=True, slots=True)
class Grant:
    """A standing approval: requests of ``subject`` to ``connection`` that only ``rules`` would hold pass, ``uses`` times.

    Made from a card, by somebody whose one approval was enough for that hold (``hold``). ``subject`` is a principal or
    a group, as ``scope`` says; ``owner`` is whose agent the principal is, empty for a person and for a group. ``aliases``
    are other principals of who made it.
    """

    id: str
    by: str
    name: str
    scope: GrantScope
    subject: str
    connection: str
    rules: tuple[str, ...]
    uses: int
    created_ms: int
    expires_ms: int
    hold: str
    owner: str = ""
    reason: str = ""
    revoked_ms: int | None = None
    revoked_by: str = ""
    aliases: tuple[str, ...] = ()


class PauseMode(StrEnum):
    """What the kill switch does with every request."""

    REFUSE = "refuse"
    HOLD = "hold"  # even what the policy allows waits for an admin


@dataclass(frozen=True, slots=True)
class Pause:
    """The kill switch, pulled for one connection or for `EVERYTHING`."""

    connection: str
    mode: PauseMode
    by: str
    at_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BrokenGlass:
    """One hold that an admin approved alone, until another admin has looked at it. ``aliases`` are other principals of ``by``."""

    hold: str
    by: str
    name: str
    reason: str
    at_ms: int
    reviewed_by: str = ""
    reviewed_ms: int | None = None
    aliases: tuple[str, ...] = ()


class ChangeKind(StrEnum):
    POLICY = "policy"
    ROUTE_ADD = "route add"
    ROUTE_REMOVE = "route remove"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that waits for a second admin. ``expect`` is the policy version that it was made from.

    ``text`` is the whole new document for `POLICY`; ``group`` and ``channel`` are set for routes. ``aliases`` are other
    principals of ``by``.
    """

    id: str
    kind: ChangeKind
    by: str
    at_ms: int
    note: str
    expect: int
    text: str = ""
    group: str = ""
    channel: str = ""
    aliases: tuple[str, ...] = ()
