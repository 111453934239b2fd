"""The one call of Microsoft Graph that a bot may need: in which of these groups is this person?

https://learn.microsoft.com/graph/api/directoryobject-checkmembergroups
"""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.teams.faults import error_body
from tests.fakes.teams.things import Json
from tests.fakes.teams.world import World

AT_ONCE = 20
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_member_groups(world: World, user: str, body: Any) -> tuple[int, Json]:
    """The answer of ``POST /v1.0/users/{user}/checkMemberGroups``, groups in groups included."""
    if not world.graph_allowed:
        return 403, error_body("Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    ids = body.get("groupIds") if isinstance(body, dict) else None
    if not isinstance(ids, list) or not ids or not all(isinstance(i, str) and _GUID.fullmatch(i) for i in ids):
        return 400, error_body("Request_BadRequest", "Invalid group ids.")
    if len(ids) > AT_ONCE:
        return 400, error_body("Directory_ResultSizeLimitExceeded", f"At most {AT_ONCE} group ids.")
    if not any(person.aad == user and not person.is_bot for person in world.people.values()):
        return 404, error_body("Request_ResourceNotFound", f"Resource '{user}' does not exist.")
    return 200, {"value": [each for each in ids if user in world.in_group(each)]}
