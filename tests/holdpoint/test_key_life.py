"""What is said of keys: their state, and what an admin has to look at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdpoint import key_life
from holdpoint.findings import Grade
from holdpoint.model import KeyRecord, Role

DAY = 86_400_000
NOW = 1_000 * DAY
KEY = KeyRecord(
    "k1", "d1", "sam@example.com", frozenset(), frozenset({Role.REVIEWER}), NOW - DAY, NOW + 60 * DAY
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "state", "soon"),
    [
        ({}, "valid", False),
        ({"expires_ms": None}, "valid", False),
        ({"expires_ms": NOW + 7 * DAY + 1}, "valid", False),
        ({"expires_ms": NOW + 7 * DAY}, "valid", True),
        ({"expires_ms": NOW + 1}, "valid", True),
        ({"expires_ms": NOW + 1, "replaced_by": "k2"}, "rotated", False),
        ({"expires_ms": NOW}, "expired", False),
        ({"expires_ms": NOW, "replaced_by": "k2"}, "expired", False),
        ({"expires_ms": NOW, "revoked_ms": NOW - 1}, "revoked", False),
        ({"revoked_ms": NOW - 1}, "revoked", False),
        ({"revoked_ms": NOW - 1, "replaced_by": "k2"}, "revoked", False),
    ],
)
def test_states(changes: dict[str, object], state: str, soon: bool) -> None:
    record = replace(KEY, **changes)  # type: ignore[arg-type]
    assert key_life.state(record, NOW) == state
    assert key_life.ends_soon(record, NOW) is soon
    assert key_life.is_valid(record, NOW) is (state in ("valid", "rotated"))


@pytest.mark.parametrize(
    ("changes", "used", "said"),
    [
        ({}, {}, "1 valid"),
        ({"expires_ms": NOW + DAY}, {}, "expire within 7 days: k1 (sam@example.com)"),
        ({"expires_ms": NOW + DAY, "replaced_by": "k2"}, {}, "1 valid"),
        ({"expires_ms": None}, {}, "never expire: k1 (sam@example.com)"),
        ({"created_ms": NOW - 90 * DAY}, {}, "not used for 90 days: k1 (sam@example.com)"),
        ({"created_ms": NOW - 90 * DAY + 1}, {}, "1 valid"),
        ({"created_ms": NOW - 200 * DAY}, {"k1": NOW - 90 * DAY}, "not used for 90 days: k1 (sam@example.com)"),
        ({"created_ms": NOW - 200 * DAY}, {"k1": NOW - 89 * DAY}, "1 valid"),
        ({"created_ms": NOW - 200 * DAY}, {"k2": NOW}, "not used for 90 days: k1 (sam@example.com)"),
        ({"principal": "nightly"}, {}, "agents without an owner: k1 (nightly)"),
        ({"principal": "nightly", "owner": "dana@example.com"}, {}, "1 valid"),
        ({"roles": frozenset()}, {}, "1 valid, none of a reviewer"),
        ({"revoked_ms": 1}, {}, "none is valid"),
        ({"expires_ms": NOW}, {}, "none is valid"),
    ],
)
def test_what_is_to_be_looked_at(changes: dict[str, object], used: dict[str, int], said: str) -> None:
    (finding,) = key_life.findings([replace(KEY, **changes)], used, NOW)  # type: ignore[arg-type]
    assert finding.said == said
    assert finding.grade is (Grade.OK if said == "1 valid" else Grade.WARN)
    assert bool(finding.advice) is (finding.grade is Grade.WARN)


def test_everything_that_is_wrong_is_said_and_not_everybody_is_named() -> None:
    many = [replace(KEY, id=f"k{number}", expires_ms=None, created_ms=1) for number in range(8)]
    unused, endless = key_life.findings(many, {}, NOW)
    assert unused.said.startswith("not used for 90 days: k0 (sam@example.com), k1")
    assert endless.said.endswith("k4 (sam@example.com) and 3 more")


def test_no_keys_at_all() -> None:
    (finding,) = key_life.findings([], {}, NOW)
    assert (finding.grade, finding.said) == (Grade.WARN, "none is valid")
