# ruff: noqa: F811 - a fixture is imported, and asked for by name
"""``GET /api/v1/stats``, and the similar requests on a hold's page, over real HTTP with a real ledger."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from bot.web.openapi import OPENAPI
from holdpoint.ledger.sql import Ledger
from holdpoint.model import State
from tests.bot.web.test_inbox import Browser, browser  # noqa: F401 - a fixture
from tests.bot.world import Site
from tests.support.builders import hold_in
from tests.support.waiting import wait_until


async def stats(site: Site, query: str = "", by: str | None = "sam@example.com") -> tuple[int, Any]:
    return await site.api("GET", f"/stats{query}", by=by)


async def _held(site: Site) -> int:
    _, found = await stats(site)
    held: int = found["held"] - found["waiting"]
    return held


async def test_the_numbers_of_the_ledger(site: Site) -> None:
    await hold_in(site.world.store, State.COMPLETED, gateway="g#1")
    await hold_in(site.world.store, State.REJECTED, gateway="g#1")
    await wait_until(lambda: _is(site, 2), "both are in the ledger", seconds=10)
    status, found = await stats(site, "?days=7")
    assert status == 200
    assert (found["held"], found["approved"], found["rejected"], found["waiting"]) == (2, 1, 1, 0)
    assert [(each["group"], each["held"]) for each in found["groups"]] == [("contractors", 2)]
    assert [(each["reviewer"], each["approved"], each["rejected"]) for each in found["reviewers"]] == [
        ("sam@example.com", 1, 1)
    ]
    assert len(found["by_day"]) == 7
    assert sum(day["held"] for day in found["by_day"][-2:]) == 2, "today, or it was just midnight"
    schema = {"$ref": "#/components/schemas/Stats", "components": OPENAPI["components"]}
    jsonschema.Draft202012Validator(schema).validate(found)


async def _is(site: Site, number: int) -> bool:
    return await _held(site) == number


async def _all_is_recorded(site: Site) -> bool:
    return await site.world.store.outbox.lag("events", group="ledger") == 0


@pytest.mark.parametrize(
    ("by", "status"),
    [
        ("sam@example.com", 200),
        ("ada@example.com", 200),
        ("cara@example.com", 200),
        ("eve@example.com", 403),
        (None, 401),
    ],
)
async def test_who_may_see_them(site: Site, by: str | None, status: int) -> None:
    assert (await stats(site, by=by))[0] == status


@pytest.mark.parametrize(
    "query",
    [
        "?days=0",
        "?days=367",
        "?days=-1",
        "?days=x",
        "?days=",
        "?days=1e2",
        "?days=99999999999",
        "?day=1",
        "?days=%D9%A3",
    ],
)
async def test_422(site: Site, query: str) -> None:
    status, answer = await stats(site, query)
    assert (status, answer["error"]["code"]) == (422, "bad_body")


async def test_a_ledger_that_cannot_be_read_is_a_503_in_words(site: Site, tmp_path: Any) -> None:
    await wait_until(lambda: _all_is_recorded(site), "nobody writes to the ledger")
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    with ledger._engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE holdpoint_ledger RENAME TO gone")
    ledger.close()
    status, answer = await stats(site)
    assert (status, answer["error"]["code"]) == (503, "unavailable")
    assert answer["error"]["message"].startswith("The ledger cannot be read: the ledger's database: no such table")
    assert site.bot.metrics.errors == {}


async def test_the_page_of_a_hold_tells_of_similar_ones(site: Site, browser: Browser) -> None:
    await hold_in(site.world.store, State.REJECTED, gateway="g#1")
    await wait_until(lambda: _is(site, 1), "it is in the ledger", seconds=10)
    hold = await site.world.hold()
    await browser.get(f"/review/{hold.id}")
    await browser.sign_in(**browser.form("key"))
    page = await browser.get(f"/review/{hold.id}")
    assert "Similar requests of Dana, 30 days: 1 rejected (sam@example.com 1), the last one on 20" in page
    noted = (await site.world.store.holds.get(hold.id)).similar
    assert noted is not None
    assert noted.rejected == 1
