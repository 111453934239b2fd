"""The life of a Holdpoint key: valid, rotated, at its end; and what is to be said of the keys there are. Pure.

::

    create ─▶ valid ─┬─ rotate ─▶ valid until the overlap is over ─▶ expired
                     ├─ its time ─▶ expired
                     └─ revoke ─▶ revoked
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from holdpoint.apikey import NewKey
from holdpoint.errors import Conflict
from holdpoint.findings import Finding, Grade
from holdpoint.model import KeyRecord, Role

_DAY_MS = 86_400_000
USUAL_LIFE_MS = 90 * _DAY_MS
SOON_MS = 7 * _DAY_MS
"""A key that ends within this time should be rotated by now."""
UNUSED_MS = 90 * _DAY_MS
"""A key that nobody has used for so long should be revoked."""
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """A key with its new end, and the one that takes its place."""

    old: KeyRecord
    new: KeyRecord


def is_valid(record: KeyRecord, now_ms: int) -> bool:
    """Whether the key counts at ``now_ms``."""
    return record.revoked_ms is None and (record.expires_ms is None or now_ms < record.expires_ms)


def ends_soon(record: KeyRecord, now_ms: int) -> bool:
    """Whether the key is valid, ends within `SOON_MS`, and nothing has taken its place."""
    ending = record.expires_ms is not None and record.expires_ms - now_ms <= SOON_MS
    return ending and is_valid(record, now_ms) and record.replaced_by is None


def state(record: KeyRecord, now_ms: int) -> str:
    """``valid``, ``rotated`` (and valid), ``expired`` or ``revoked``."""
    if record.revoked_ms is not None:
        return "revoked"
    if not is_valid(record, now_ms):
        return "expired"
    return "valid" if record.replaced_by is None else "rotated"


def is_unowned_agent(record: KeyRecord) -> bool:
    """Whether nobody answers for the agent that has the key: then nobody is kept from approving what it asks for."""
    return "@" not in record.principal and record.owner is None


def rotated(old: KeyRecord, new: NewKey, *, now_ms: int, overlap_ms: int, life_ms: int | None = None) -> KeyRotation:
    """``old`` with an end after ``overlap_ms``, never later than before, and its successor with the same rights.

    Raises:
        Conflict: there is nothing to rotate any more.
    """
    if old.revoked_ms is not None:
        raise Conflict(f"key {old.id} is revoked: create another one")
    if not is_valid(old, now_ms):
        raise Conflict(f"key {old.id} has expired: create another one")
    if old.replaced_by is not None:
        raise Conflict(f"key {old.id} was rotated already: rotate its successor {old.replaced_by}")
    if life_ms is None:
        life_ms = USUAL_LIFE_MS if old.expires_ms is None else old.expires_ms - old.created_ms
    ends_ms = now_ms + overlap_ms
    if old.expires_ms is not None:
        ends_ms = min(ends_ms, old.expires_ms)
    successor = replace(
        old, id=new.id, digest=new.digest, created_ms=now_ms, expires_ms=now_ms + life_ms, replaces=old.id
    )
    return KeyRotation(replace(old, expires_ms=ends_ms, replaced_by=new.id), successor)


def findings(records: Iterable[KeyRecord], used: Mapping[str, int], now_ms: int) -> list[Finding]:
    """What is to be looked at among the valid keys; ``used`` is when each was last used (ms). One finding when all is well."""
    valid = [record for record in records if is_valid(record, now_ms)]
    if not valid:
        return [Finding("keys", Grade.WARN, "none is valid", "holdpoint keys create --principal …")]
    found = _watched(valid, used, now_ms)
    if not any(Role.REVIEWER in record.roles for record in valid):
        said = f"{len(valid)} valid, none of a reviewer"
        advice = "holdpoint keys create --role reviewer …, unless all review in chat or sign in"
        return [Finding("keys", Grade.WARN, said, advice), *found]
    return found or [Finding("keys", Grade.OK, f"{len(valid)} valid")]


def _watched(valid: list[KeyRecord], used: Mapping[str, int], now_ms: int) -> list[Finding]:
    rows = (
        ("expire within 7 days", lambda key: ends_soon(key, now_ms), "holdpoint keys rotate ID"),
        (
            "not used for 90 days",
            lambda key: now_ms - used.get(key.id, key.created_ms) >= UNUSED_MS,
            "holdpoint keys revoke ID",
        ),
        ("never expire", lambda key: key.expires_ms is None, "holdpoint keys rotate ID gives the next one an end"),
        ("agents without an owner", is_unowned_agent, "create theirs anew, with --owner"),
    )
    found = []
    for said, applies, advice in rows:
        named = [f"{record.id} ({record.principal})" for record in valid if applies(record)]
        if named:
            more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
            found.append(Finding("keys", Grade.WARN, f"{said}: {', '.join(named[:_MOST_NAMED])}{more}", advice))
    return found
