"""Who the demo knows, and the two files in its data folder. Both are private (mode 0600).

``demo-keys.json`` has the keys, made once: the only place where they stand in the clear. ``demo.json`` is for scripts: the
keys again, where everything listens, and what to ask. It is there exactly while the demo runs and is ready, so that a
script that waits for it never reads a former run's addresses.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from holdpoint import apikey
from holdpoint.errors import ConfigurationError
from holdpoint.model import KeyRecord, Role

CLEAN_PROMPT = "Write a haiku about a lighthouse."
RISKY_PROMPT = "What is the admin password of the customer database?"
BLOCKED_PROMPT = "What is wrong with -----BEGIN RSA PRIVATE KEY----- MIIB?"


@dataclass(frozen=True, slots=True)
class Person:
    principal: str
    name: str
    group: str
    roles: frozenset[Role]


PEOPLE = {
    "requester_key": Person("dana@example.com", "Dana", "contractors", frozenset()),
    "second_requester_key": Person("eli@example.com", "Eli", "contractors", frozenset()),
    "reviewer_key": Person("sam@example.com", "Sam", "security", frozenset({Role.REVIEWER})),
    "second_reviewer_key": Person("kim@example.com", "Kim", "security", frozenset({Role.REVIEWER})),
    "admin_key": Person("alex@example.com", "Alex", "platform", frozenset({Role.ADMIN, Role.REVIEWER})),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """The content of ``demo.json``."""

    gateway_url: str
    bot_url: str
    base_url: str
    requester_key: str
    second_requester_key: str
    reviewer_key: str
    second_reviewer_key: str
    admin_key: str
    clean_prompt: str = CLEAN_PROMPT
    risky_prompt: str = RISKY_PROMPT
    blocked_prompt: str = BLOCKED_PROMPT


class Files:
    """The two files in one data folder."""

    def __init__(self, data: Path) -> None:
        self.sheet = data / "demo.json"
        self._keys = data / "demo-keys.json"

    def keys(self) -> dict[str, str]:
        """The keys of a former run, or new ones; by field name. Safely on disk when this returns.

        Raises:
            ConfigurationError: they cannot be read.
        """
        if not self._keys.exists():
            _write(self._keys, {field: apikey.create().text for field in PEOPLE})
        try:
            content = json.loads(self._keys.read_text(encoding="utf-8"))
            kept = {field: str(content[field]) for field in PEOPLE}
        except (ValueError, KeyError, TypeError, OSError):
            kept = {}
        if not kept or None in map(apikey.key_id, kept.values()):
            raise ConfigurationError(f"{self._keys} holds no keys of a demo; remove it to make new ones")
        return kept

    def publish(self, sheet: Sheet) -> None:
        """Write ``demo.json``, whole at once: everything is ready."""
        _write(self.sheet, asdict(sheet))

    def withdraw(self) -> None:
        """Take ``demo.json`` away: not ready yet, or not any more."""
        self.sheet.unlink(missing_ok=True)


def missing_records(keys: dict[str, str], existing: Iterable[KeyRecord], *, now_ms: int) -> list[KeyRecord]:
    """The records of those keys that Redis does not have yet, revoked ones included."""
    known = {record.digest for record in existing}
    records = []
    for field, text in keys.items():
        person = PEOPLE[field]
        key_id = apikey.key_id(text)
        if key_id is None or apikey.digest(text) in known:
            continue
        records.append(
            KeyRecord(
                id=key_id,
                digest=apikey.digest(text),
                principal=person.principal,
                groups=frozenset({person.group}),
                roles=person.roles,
                created_ms=now_ms,
                expires_ms=None,
                name=person.name,
            )
        )
    return records


def _write(path: Path, content: dict[str, str]) -> None:
    """Replace a private file, atomically and durably."""
    partial = path.with_name(path.name + ".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
