"""What the events of all that people put in force beside the policy say: grants, pauses, broken glass, absences."""

from __future__ import annotations

from collections.abc import Sequence

from holdpoint.absence import Absence
from holdpoint.model import Requester
from holdpoint.standing import BrokenGlass, Grant, Pause
from holdpoint.store.as_json import to_json
from holdpoint.store.events import members


def grant_made(grant: Grant) -> bytes:
    return to_json({"grant": grant, "by": grant.by})


def grant_revoked(grant: Grant) -> bytes:
    return to_json({"grant": grant.id, "by": grant.revoked_by, "hold": grant.hold})


def grant_use(*, request: str, requester: Requester, connection: str, digest: str, rules: Sequence[str]) -> bytes:
    """The members that follow the number of the use, which the script knows."""
    return members(
        {"request": request, "requester": requester, "connection": connection, "digest": digest, "rules": rules}
    )


def traffic_paused(pause: Pause) -> bytes:
    return to_json(pause)


def traffic_resumed(connection: str, *, by: str) -> bytes:
    return to_json({"connection": connection, "by": by})


def glass_reviewed(glass: BrokenGlass) -> bytes:
    return to_json({"hold": glass.hold, "by": glass.reviewed_by, "broken_by": glass.by, "reason": glass.reason})


def absence_began(absence: Absence) -> bytes:
    """All of it: from now on the delegate may decide what the absent person may."""
    return to_json(absence)


def absence_ended(absence: Absence, *, by: str) -> bytes:
    """``by`` is "policy" where the time was over."""
    return to_json({"principal": absence.principal, "delegate": absence.delegate, "by": by})
