"""A delegate in the web inbox and the API: sees and decides in the place of somebody who is away, until they are back."""

from __future__ import annotations

import pytest

from holdpoint.absence import Absence
from holdpoint.model import State
from tests.bot.web.test_inbox import Browser, browser
from tests.bot.world import Site
from tests.support.waiting import wait_until

__all__ = ["browser"]

SAM, KIM, PAT, ADA = (f"{name}@example.com" for name in ("sam", "kim", "pat", "ada"))


@pytest.mark.promise(5)
async def test_the_inbox_has_what_waits_for_who_is_away(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    await browser.sign_in(PAT)
    assert hold.id not in await browser.get("/review")
    await site.world.store.absences.begin(Absence(SAM, 1, site.world.clock() + 86_400_000, SAM, PAT))
    await _until(browser, "/review", hold.id)
    page = await browser.get(f"/review/{hold.id}")
    assert "You decide in the place of sam@example.com, away until " in page
    page = await browser.decide(hold, "approve")
    assert (await site.world.store.holds.get(hold.id)).state is State.APPROVED
    assert "Approved by Pat for sam@example.com (away until " in await browser.get(f"/review/{hold.id}")


@pytest.mark.promise(5)
async def test_a_form_that_was_open_when_they_came_back_decides_nothing(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    await site.world.store.absences.begin(Absence(SAM, 1, site.world.clock() + 86_400_000, SAM, PAT))
    await browser.sign_in(PAT)
    await _until(browser, f"/review/{hold.id}", "You decide in the place of")
    hidden = browser.form('id="approve"')
    await site.world.store.absences.end(SAM, by=SAM)
    await _gone(browser, "/review", hold.id)
    await browser.post(f"/review/{hold.id}", {**hidden, "decision": "approve"})
    assert (await site.world.store.holds.get(hold.id)).state is State.PENDING


@pytest.mark.promise(5)
async def test_the_api_is_no_way_around(site: Site) -> None:
    hold = await site.world.hold()
    for who, delegate in ((SAM, ADA), (KIM, PAT)):
        await site.world.store.absences.begin(Absence(who, 1, site.world.clock() + 86_400_000, who, delegate))

    async def seen() -> bool:
        return (await site.api("GET", f"/holds/{hold.id}", by=PAT))[0] == 200

    await wait_until(seen, "the bot knows who is away", every=0.05)
    status, _ = await site.decide(hold, by=ADA)  # her key was not made for reviewing
    assert status == 403
    assert (await site.world.store.holds.get(hold.id)).state is State.PENDING
    status, _ = await site.decide(hold, by=PAT)
    assert status == 201
    assert (await site.world.store.holds.get(hold.id)).decisions[0].behalf == (KIM,)


async def _until(browser: Browser, path: str, words: str) -> None:
    async def there() -> bool:
        return words in await browser.get(path)

    await wait_until(there, f"{path} shows {words!r}", every=0.05)


async def _gone(browser: Browser, path: str, words: str) -> None:
    async def gone() -> bool:
        return words not in await browser.get(path)

    await wait_until(gone, f"{path} no longer shows {words!r}", every=0.05)
