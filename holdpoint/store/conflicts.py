"""What it means that a script refused to change a hold."""

from __future__ import annotations

from holdpoint.errors import Conflict

_WHY = {b"late": "the deadline has passed", b"state": "the hold is in another state"}


def conflict(answer: bytes) -> Conflict:
    """The error for a script's answer other than ``ok``."""
    return Conflict(_WHY.get(answer, "the hold has changed"))
