"""What the events of the configuration say: policy, keys, routes, changes that wait, installations of the app."""

from __future__ import annotations

from collections.abc import Sequence

from holdpoint.model import KeyRecord
from holdpoint.standing import Change
from holdpoint.store.as_json import to_json


def policy_pushed(*, by: str, note: str, text: str, after: int) -> bytes:
    return to_json({"version": after + 1, "by": by, "note": note, "text": text})


def key_changed(record: KeyRecord, *, by: str) -> bytes:
    """Without the digest: a record needs to say which key, not to help in guessing it."""
    return to_json(
        {
            "key": record.id,
            "by": by,
            "principal": record.principal,
            "groups": record.groups,
            "roles": record.roles,
            "owner": record.owner,
            "expires_ms": record.expires_ms,
            "revoked_ms": record.revoked_ms,
            "connections": record.connections,
            "networks": record.networks,
            "replaces": record.replaces,
            "replaced_by": record.replaced_by,
        }
    )


def route_changed(*, group: str, channel: str, by: str) -> bytes:
    return to_json({"group": group, "channel": channel, "by": by})


def change_proposed(change: Change) -> bytes:
    """The whole change: of a policy, the new document."""
    return to_json(change)


def change_ended(change: Change, *, by: str) -> bytes:
    """Who confirmed or dropped it. What it was stands in its proposal and, confirmed, in the event of its effect."""
    return to_json({"change": change.id, "kind": change.kind, "proposed_by": change.by, "by": by})


def app_changed(*, platform: str, place: str, name: str, scopes: Sequence[str], by: str) -> bytes:
    """An installation of the app, or its end. Never with the token."""
    return to_json({"platform": platform, "place": place, "name": name, "scopes": scopes, "by": by})
