"""What the outbox says. See `holdpoint.model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What an event of the outbox says. ``hold.*`` change a hold; ``request.*`` are requests that were never held."""

    HOLD_CREATED = "hold.created"
    HOLD_ATTACHED = "hold.attached"
    HOLD_LEFT = "hold.left"
    HOLD_DECIDED = "hold.decided"  # an approval that does not complete the quorum
    HOLD_APPROVED = "hold.approved"
    HOLD_REJECTED = "hold.rejected"
    HOLD_EXPIRED = "hold.expired"
    HOLD_CANCELLED = "hold.cancelled"
    HOLD_ESCALATED = "hold.escalated"
    HOLD_REMINDED = "hold.reminded"
    HOLD_CLAIMED = "hold.claimed"
    HOLD_UNCLAIMED = "hold.unclaimed"  # given back, or lapsed
    HOLD_ASKED = "hold.asked"
    HOLD_ANSWERED = "hold.answered"
    HOLD_RESUMED = "hold.resumed"  # nobody answered for too long: the clock runs again
    HOLD_JUSTIFIED = "hold.justified"
    HOLD_CONFIRMING = "hold.confirming"  # somebody approved, and has yet to confirm that it is them
    HOLD_UNCONFIRMED = "hold.unconfirmed"  # they did not, in time
    HOLD_TOLD = "hold.told"  # the requester could not be told in a usual place, or was told in another one
    HOLD_RELEASED = "hold.released"
    HOLD_COMPLETED = "hold.completed"
    HOLD_FAILED = "hold.failed"
    REQUEST_ALLOWED = "request.allowed"
    REQUEST_BLOCKED = "request.blocked"
    REQUEST_REFUSED = "request.refused"  # identified, but unreadable or unknown
    REQUEST_COMPLETED = "request.completed"
    CARD_SHOWN = "card.shown"
    CARD_READ = "card.read"  # somebody has paged through everything that is held
    CARD_REVEALED = "card.revealed"  # somebody saw what the policy masks
    GRANT_MADE = "grant.made"
    GRANT_USED = "grant.used"
    GRANT_REVOKED = "grant.revoked"
    TRAFFIC_PAUSED = "traffic.paused"
    TRAFFIC_RESUMED = "traffic.resumed"
    ABSENCE_BEGAN = "absence.began"  # somebody is away; with who decides in their place
    ABSENCE_ENDED = "absence.ended"  # they are back, or the time is over
    GLASS_BROKEN = "glass.broken"
    GLASS_REVIEWED = "glass.reviewed"
    CHANGE_PROPOSED = "change.proposed"
    CHANGE_CONFIRMED = "change.confirmed"
    CHANGE_DROPPED = "change.dropped"
    POLICY_PUSHED = "policy.pushed"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    KEY_ROTATED = "key.rotated"  # another one takes its place, and it ends once both have overlapped
    ROUTE_ADDED = "route.added"
    ROUTE_REMOVED = "route.removed"
    LINK_MADE = "link.made"
    LINK_REMOVED = "link.removed"
    LINK_VOIDED = "link.voided"  # its account is not the one any more that was linked
    APP_INSTALLED = "app.installed"
    APP_REMOVED = "app.removed"
    SESSION_OPENED = "session.opened"  # somebody signed in to the web inbox
    SESSION_ENDED = "session.ended"  # before its time; one that ran out ends with ``ends_ms`` of its opening
    PASSKEY_INVITED = "passkey.invited"
    PASSKEY_ADDED = "passkey.added"
    PASSKEY_REMOVED = "passkey.removed"
    PASSKEY_REFUSED = "passkey.refused"  # its counter stood still: it may have been copied


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the outbox.

    ``source`` is unique for ever and ordered within its stream: ``<stream>/<redis stream id>``. ``subject`` is the
    hold's or request's id (or the policy version, key id …). ``data`` is JSON and depends on the kind (``store/…_events.py``).
    """

    source: str
    kind: EventKind
    subject: str
    at_ms: int
    data: Mapping[str, Any]
