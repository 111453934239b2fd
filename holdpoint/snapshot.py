"""What a process knows of everything that an admin can change, as one frozen value, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from holdpoint.absence import WhoIsAway
from holdpoint.linked import Linked
from holdpoint.model import KeyRecord, Role, Route
from holdpoint.policy import Policy
from holdpoint.standing import EVERYTHING, Grant, Pause, PauseMode

WEB = "web"  # the channel that needs no set-up: every hold is in the web inbox


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent state. ``keys`` go by the SHA-256 (hex) of the key.

    Everything up to ``revision`` is in it; of what came later perhaps a part, while a new policy compiles.
    ``grants`` are those that could still be used when this was read; whether one can is known by ``store.grants.use``
    alone. ``pauses`` go by connection.
    """

    revision: int
    policy: Policy
    keys: Mapping[str, KeyRecord]
    routes: tuple[Route, ...]
    memberships: Mapping[str, frozenset[str]] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    absences: WhoIsAway = field(default_factory=WhoIsAway)
    linked: Linked = field(default_factory=Linked)

    def groups_of(self, principal: str, base: Iterable[str] = ()) -> frozenset[str]:
        """The groups that ``principal`` brings along (``base``) and those that the policy makes it a member of."""
        # As `Policy.groups_of`: the policy's members are lower-case, and an agent's name is as its key has it.
        found = self.memberships.get(principal) or self.memberships.get(principal.lower(), frozenset())
        return found.union(base)

    def roles_of(self, groups: Iterable[str], base: Iterable[Role] = ()) -> frozenset[Role]:
        """The roles that a key gives (``base``) and those that the policy gives to these groups."""
        named = frozenset(groups)
        return frozenset(base) | {role for role, of in self.policy.roles.items() if named.intersection(of)}

    def pause_of(self, connection: str) -> Pause | None:
        """The pause that ``connection`` is under: its own or that of everything, whichever is stricter."""
        if not self.pauses:
            return None
        found = [pause for name in (connection, EVERYTHING) if (pause := self.pauses.get(name)) is not None]
        refusing = (pause for pause in found if pause.mode is PauseMode.REFUSE)
        return next(refusing, found[0] if found else None)

    def channels_for(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Where cards of a requester in ``groups`` appear: their routes, else those of everybody else (``*``)."""
        named = frozenset(groups)
        routes = (*self.policy.routes, *self.routes)
        channels = [channel for route in routes if route.group in named for channel in route.channels]
        if not channels:
            channels = [channel for route in routes if route.group == "*" for channel in route.channels]
        return tuple(dict.fromkeys([*channels, WEB]))
