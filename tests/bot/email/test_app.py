"""A whole bot with e-mail on: a hold is mailed, decided in the inbox behind the link, and the news mailed; calls are left to chats."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import aiohttp

from bot.notify import Notifier
from holdpoint.model import Mention, ReviewTerms, State
from holdpoint.tasks import Tasks
from tests.bot.board import Board
from tests.bot.email.conftest import World, tags_and_links
from tests.bot.email.test_requester import chat
from tests.bot.web.test_inbox import Browser
from tests.bot.world import running_site
from tests.fakes.smtp import FakeMailServer
from tests.support.waiting import wait_until


async def test_from_the_mail_to_the_decision_and_back(
    redis_url: str, tmp_path: Path, mail_server: FakeMailServer
) -> None:
    url = f"smtp://127.0.0.1:{mail_server.port}"
    async with running_site(redis_url, tmp_path, smtp_url=url, email_from="h@corp.test") as site:
        await site.world.store.config.add_route("contractors", "email:team@corp.test", by="ada@example.com")
        hold = await site.world.hold()
        await wait_until(lambda: len(mail_server.mails) == 2, "the team and the requester have a mail", seconds=20)
        mails = {mail.to[0]: mail for mail in mail_server.mails}
        assert set(mails) == {"team@corp.test", "dana@example.com"}
        (link,) = tags_and_links(mails["team@corp.test"].part("html"))[1]
        assert link.endswith(f"/review/{hold.id}")
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            browser = Browser(site, session)
            await browser.get(f"/review/{hold.id}")
            assert (await site.world.store.holds.get(hold.id)).state is State.PENDING
            await browser.sign_in(next=browser.form("key")["next"])
            await browser.decide(hold, "reject", reason="<b>no</b>")
        await wait_until(lambda: len(mail_server.mails) == 4, "both hear of the end", seconds=20)
        told = {mail.to[0]: mail for mail in mail_server.mails[2:]}
        assert "Your request was rejected" in told["dana@example.com"].part("plain")
        assert "<b>no</b>" in unescape(told["dana@example.com"].part("html"))
        async with site.client.get(f"{site.url}/readyz") as ready:
            assert ready.status == 200


async def test_a_call_is_left_to_a_platform_that_can_make_it(world: World) -> None:
    """E-mail has the hold first, and must not take on whom the policy wants called."""
    await world.start()
    hold = await world.hold(terms=ReviewTerms(mentions=frozenset({Mention.HELD})))
    await world.mailed(1)
    board = Board()
    await world.store.config.add_route("contractors", "teams:one", by="lee@example.com")
    drawer = chat(world, board=board)
    notifier = Notifier(world.store, world.live, drawer, holder="chat", clock=world.clock)
    await world.store.outbox.make_group("events", "cards:teams")
    tasks = Tasks()
    tasks.start("chat", notifier.run())
    try:
        await wait_until(lambda: board.replies, "somebody is called", seconds=20)
    finally:
        await tasks.aclose()
    assert [call.key for _, reply in board.replies for call in reply.calls] == ["call held"]
    assert hold.id
