"""Every filter, on every database; what is searched for never becomes SQL."""

from __future__ import annotations

from typing import Any

import pytest

from holdpoint.ledger.search import Filter, of_subject, parse_moment, statement, stretch
from holdpoint.ledger.sql import Ledger
from tests.holdpoint.ledger.samples import event, story

NOW = 1_700_000_000_000


def found(ledger: Ledger, limit: int = 100, **wanted: Any) -> list[int]:
    return [row.record.seq for row in ledger.select(statement(Filter(**wanted), limit=limit))]


@pytest.mark.parametrize(
    ("wanted", "seqs"),
    [
        ({}, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"requester": "dana@example.com"}, [7, 6, 5, 4, 3, 1]),
        ({"requester": "DANA@example.com"}, []),
        ({"group": "staff"}, [7, 6, 5, 4, 3, 1]),
        ({"group": "sta"}, []),
        ({"group": "%"}, []),
        ({"reviewer": "sam@example.com"}, [3]),
        ({"connection": "demo", "state": "approved"}, [3]),
        ({"kind": "request.allowed"}, [6]),
        ({"verdict": "review"}, [1]),
        ({"verdict": "allow"}, [6]),
        ({"state": "completed"}, [5]),
        ({"rule": "secrets"}, [1]),
        ({"rule": "night"}, [1]),
        ({"rule": "secret_"}, []),
        ({"subject": "h1"}, [5, 4, 3, 2, 1]),
        ({"digest": "c" * 64}, [6]),
        ({"text": "admin PASSWORD"}, [6, 3, 1]),
        ({"text": "100%_sure"}, [8]),
        ({"text": '"quoted\\\nline"'}, [8]),
        ({"text": "' OR 1=1 --"}, []),
        ({"text": "größe"}, [8]),
        ({"requester": "x' OR '1'='1"}, []),
        ({"unreadable": True}, [9]),
        ({"since_ms": NOW + 4000}, [9, 8, 5, 4]),
        ({"until_ms": NOW + 2000}, [6, 1]),
        ({"since_ms": NOW + 2000, "until_ms": NOW + 4000, "subject": "h1"}, [3, 2]),
    ],
)
def test_each_filter(ledger: Ledger, wanted: dict[str, Any], seqs: list[int]) -> None:
    note = {"version": 4, "by": "pat", "note": 'größe 100%_sure "quoted\\\nline"'}
    ledger.append([*story(), event("policy.pushed", "4", 50, note), event("odd", "s", 51, b"\xffraw")])
    assert found(ledger, **wanted) == seqs


def test_the_newest_come_first_up_to_the_limit(ledger: Ledger) -> None:
    ledger.append(story())
    assert found(ledger, limit=2) == [7, 6]


def test_pages_hold_everything_in_order(ledger: Ledger) -> None:
    for number in range(3):
        ledger.append([e for n in range(30) for e in story(f"h{number}-{n}", 1000 * number + 10 * n + 1)])
    assert [row.record.seq for row in ledger.pages(stretch(None, None))] == list(range(1, 631))
    assert [row.record.subject for row in ledger.pages(of_subject("h1-7"))] == ["h1-7"] * 5


def test_a_stretch_has_no_holes_though_clocks_differ(ledger: Ledger) -> None:
    ledger.append([event("k", "s", number, {}, stream=f"s{number}") for number in (5, 1, 6, 3, 7, 9)])
    base = NOW
    stretched = [row.record.seq for row in ledger.pages(stretch(base + 6000, base + 8000))]
    assert stretched == [3, 4, 5]
    assert [row.record.seq for row in ledger.pages(stretch(base + 99_000, None))] == []


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90s", NOW - 90_000),
        ("30m", NOW - 1_800_000),
        ("2h", NOW - 7_200_000),
        ("7d", NOW - 7 * 86_400_000),
        ("1w", NOW - 7 * 86_400_000),
        ("2023-11-14", 1_699_920_000_000),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
    ],
)
def test_moments(text: str, ms: int) -> None:
    assert parse_moment(text, now_ms=NOW) == ms


@pytest.mark.parametrize("text", ["", "yesterday", "h", "-2h", "2 h", "2y", "99999999999s"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="isoformat"):
        parse_moment(text, now_ms=NOW)
