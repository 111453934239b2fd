"""Many workspaces: OAuth from the first page to the first decision, whose clicks count, and how an installation ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from bot import slack as names
from bot.slack.install import COOKIE, INSTALL_PATH, REDIRECT_PATH
from bot.slack.routes import install_routes
from holdpoint.errors import ChannelRefused, ConfigurationError
from holdpoint.model import EventKind, State
from holdpoint.store import Store
from holdpoint.store.safe import Safe
from tests.bot.slack.conftest import POLICY, MakeWorld, World
from tests.fakes.slack import Channel, FakeSlack, Message, User, Workspace
from tests.support.waiting import wait_until

KEY = "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
OTHER_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
OTHER = "T0OTHER"
SETTINGS = {
    "SLACK_CLIENT_ID": "111.222", "SLACK_CLIENT_SECRET": "fake-client-secret", "SLACK_TRUSTED_TEAMS": f"{OTHER}, E0GRID",
    "secret_key": KEY,
}  # fmt: skip


async def kinds(store: Store) -> set[EventKind]:
    await store.outbox.make_group("events", "looking")
    return {event.kind for event in await store.outbox.read("events", group="looking", block_ms=1, count=1000)}


@dataclass
class Two:
    """The home workspace, another one, and a browser."""

    world: World
    other: Workspace
    max: User
    channel: Channel
    browser: aiohttp.ClientSession
    url: str

    @property
    def slack(self) -> FakeSlack:
        return self.world.slack

    async def begin(self) -> str:
        """The address of Slack's page, to which the browser is sent."""
        async with self.browser.get(self.url + INSTALL_PATH, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            return answer.headers["Location"]

    async def back(self, address: str, browser: aiohttp.ClientSession | None = None) -> tuple[int, str]:
        """Slack sends the browser back: status and words."""
        path = address.removeprefix("https://holdpoint.test")
        async with (browser or self.browser).get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def install(self, workspace: Workspace | None = None, *, org_wide: bool = False) -> tuple[int, str]:
        page = await self.begin()
        return await self.back(self.slack.allow(page, workspace or self.other, self.max, org_wide=org_wide))

    async def card_in(self, channel: Channel) -> Message:
        def found() -> Message | None:
            messages = [
                m for ws in self.slack.workspaces.values() if channel.id in ws.channels for m in ws.messages(channel.id)
            ]
            return messages[0] if messages else None

        return await wait_until(found, "a card is posted there")


@pytest.fixture
async def two(make_world: MakeWorld) -> AsyncIterator[Two]:
    world = await make_world("http", start=False)
    async with two_of(world) as made:
        yield made


@asynccontextmanager
async def two_of(world: World) -> AsyncIterator[Two]:
    world.settings = dict(SETTINGS)
    other = world.slack.add_workspace(OTHER)
    world.slack.redirect_urls.append("https://holdpoint.test/")
    person = other.add_user("Max Example", "max@example.com")
    channel = other.add_channel("approvals", person, channel_id="C0THERE")
    policy = POLICY.replace("[sam@example.com, kim@example.com]", "[sam@example.com, kim@example.com, max@example.com]")
    policy = policy.replace('"slack:C0SECOND"]', f'"slack:{OTHER}/C0THERE"]')
    await world.store.config.push_policy(policy, expect=1, by="test")
    await world.live.catch_up()
    app = await world.start_app()
    assert app.installer is not None
    site = web.Application()
    site.add_routes(install_routes(app.installer))
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    jar = aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=f"http://127.0.0.1:{runner.addresses[0][1]}")
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        try:
            yield Two(world, other, person, channel, browser, f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()


async def test_from_the_first_page_to_a_decision_there(two: Two) -> None:
    assert await two.install() == (
        200,
        f"Installed. Cards can be routed to slack:{OTHER}/C…, once the app is invited there.",
    )
    hold = await two.world.hold()
    card = await two.card_in(two.channel)
    home = await two.world.card(hold)
    assert (await two.slack.click(two.max, card, names.APPROVE)).acked
    decided = await two.world.store.holds.get(hold.id)
    assert (decided.state, decided.decisions[0].by) == (State.APPROVED, "max@example.com")
    await two.world.shows(card, "Approved by max")
    await two.world.shows(home, "Approved by max")
    assert EventKind.APP_INSTALLED in await kinds(two.world.store)


async def test_modals_and_answers_go_to_the_workspace_that_asked(two: Two) -> None:
    await two.install()
    hold = await two.world.hold()
    card = await two.card_in(two.channel)
    await two.slack.click(two.max, card, names.REJECT)
    modal = await wait_until(lambda: next(iter(two.other.modals(two.max)), None), "the modal is open")
    inputs = [b for b in modal.as_json()["blocks"] if b["type"] == "input"]
    words = {b["block_id"]: "no" for b in inputs if b["element"]["type"] == "plain_text_input"}
    await two.slack.submit(two.max, modal, words)
    assert (await two.world.store.holds.get(hold.id)).state is State.REJECTED
    await two.slack.command(two.max, two.channel, "whoami")
    assert "max@example.com" in two.other.ephemerals[-1].seen.text


async def test_who_is_mentioned_there_is_looked_up_there(two: Two) -> None:
    await two.install()
    eve = two.other.add_user("Eve Example", "eve@example.com")
    await two.slack.command(two.max, two.channel, f"away until 2d delegate <@{eve.id}|eve>")
    assert "eve@example.com stands in" in two.other.ephemerals[-1].seen.text


async def test_a_requester_of_another_workspace_gets_the_message_there(two: Two) -> None:
    await two.install()
    two.slack.workspace.users.pop(two.world.dana.id)
    dana = two.other.add_user("Dana Example", "dana@example.com")
    await two.world.hold()
    await two.card_in(two.other.direct(dana.id))


@pytest.mark.promise(8)
async def test_the_token_is_unreadable_in_redis_and_in_the_log(two: Two, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await two.install()
        await two.world.hold()
        await two.card_in(two.channel)
    token = next(iter(two.other.bot_tokens))
    [installed] = await two.world.store.installations.all("slack")
    assert token not in repr(installed)
    assert Safe(SecretStr(KEY)).open(installed.locked_token).get_secret_value() == token
    assert token not in caplog.text
    assert "fake-client-secret" not in caplog.text


async def test_a_stranger_with_the_same_address_gets_nowhere(two: Two) -> None:
    page = await two.begin()
    back = two.slack.allow(page, two.other, two.max)
    async with aiohttp.ClientSession() as stranger:
        assert (await two.back(back, stranger))[0] == 400  # another browser, without the cookie
        headers = {"Cookie": f"{COOKIE}=guess"}
        async with stranger.get(two.url + back.removeprefix("https://holdpoint.test"), headers=headers) as answer:
            assert answer.status == 400
    assert await two.world.store.installations.all("slack") == []
    assert (await two.back(back))[0] == 200
    assert (await two.back(back))[0] == 400  # it serves once


async def test_a_state_serves_once_even_with_its_cookie(two: Two) -> None:
    page = await two.begin()
    state = page.partition("state=")[2].partition("&")[0]
    path = two.slack.deny(page).removeprefix("https://holdpoint.test")
    statuses = []
    for _ in range(2):
        async with aiohttp.ClientSession(headers={"Cookie": f"{COOKIE}={state}"}) as browser:
            statuses.append((await two.back(path, browser))[0])
    assert statuses == [200, 400]


async def test_the_cookie_is_kept_from_scripts_and_other_sites(two: Two) -> None:
    async with two.browser.get(two.url + INSTALL_PATH, allow_redirects=False) as answer:
        cookie = answer.headers["Set-Cookie"]
    for word in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/slack", "Max-Age=600"):
        assert word in cookie


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x&code=x", "?error=access_denied", "?state=%00%F0&code="])
async def test_a_redirect_that_nobody_began(two: Two, query: str) -> None:
    assert (await two.back(REDIRECT_PATH + query))[0] == 400
    assert two.slack.count("oauth.v2.access") == 0


async def test_cancel_and_a_code_that_is_none(two: Two) -> None:
    assert await two.back(two.slack.deny(await two.begin())) == (200, "Nothing was installed.")
    page = await two.begin()
    state = page.partition("state=")[2].partition("&")[0]
    assert (await two.back(f"{REDIRECT_PATH}?code=made-up&state={state}"))[0] == 502
    page = await two.begin()
    two.slack.outage = True
    assert (await two.back(two.slack.allow(page, two.other, two.max)))[0] == 502
    assert await two.world.store.installations.all("slack") == []


@pytest.mark.promise(5)
async def test_a_workspace_that_nobody_trusts_is_sent_away(two: Two) -> None:
    stranger = two.slack.add_workspace("T0EVIL")
    status, words = await two.install(stranger)
    assert (status, stranger.bot_tokens) == (403, {})
    assert "operator" in words
    assert await two.world.store.installations.all("slack") == []


async def test_the_organisation_may_be_trusted_instead(two: Two) -> None:
    member = two.slack.add_workspace("T0MEMBER", enterprise="E0GRID")
    assert (await two.install(member))[0] == 200
    [installed] = await two.world.store.installations.all("slack")
    assert (installed.id, installed.enterprise) == ("T0MEMBER", "E0GRID")


async def test_an_installation_for_a_whole_organisation(two: Two) -> None:
    member = two.slack.add_workspace("T0MEMBER", enterprise="E0GRID")
    wanda = member.add_user("Wanda Example", "sam@example.com", user_id="W0001")
    channel = member.add_channel("grid", wanda, channel_id="C0GRID")
    assert (await two.install(member, org_wide=True))[0] == 200
    await two.world.store.config.add_route("contractors", "slack:E0GRID/C0GRID", by="test")
    hold = await two.world.hold()
    card = await two.card_in(channel)
    assert (await two.slack.click(wanda, card, names.APPROVE)).acked
    assert (await two.world.store.holds.get(hold.id)).decisions[0].by == "sam@example.com"


@pytest.mark.promise(5)
@pytest.mark.parametrize("stranger", ["of a third workspace", "of the home workspace"])
async def test_who_comes_by_slack_connect_decides_nothing(two: Two, stranger: str) -> None:
    await two.install()
    team = "T0THIRD" if stranger == "of a third workspace" else "T0TEAM"
    guest = two.other.add_user("Sam Example", "sam@example.com", team=team, is_stranger=True)
    two.channel.members.add(guest.id)
    hold = await two.world.hold()
    card = await two.card_in(two.channel)
    await two.slack.click(guest, card, names.APPROVE)
    await two.world.told(guest, "another Slack workspace")
    assert (await two.world.store.holds.get(hold.id)).state is State.PENDING


@pytest.mark.promise(5)
async def test_trust_ends_with_the_setting(two: Two) -> None:
    await two.install()
    hold = await two.world.hold()
    card = await two.card_in(two.channel)
    two.world.settings["SLACK_TRUSTED_TEAMS"] = ""
    await two.world.start_app()  # callbacks go to this one now
    await two.slack.click(two.max, card, names.APPROVE)
    assert (await two.world.store.holds.get(hold.id)).state is State.PENDING


@pytest.mark.parametrize("how", ["uninstall", "revoke"])
async def test_an_app_that_was_removed_is_forgotten(two: Two, how: str, caplog: pytest.LogCaptureFixture) -> None:
    await two.install()
    deliveries = await getattr(two.slack, how)(two.other)
    assert all(delivery.acked for delivery in deliveries)
    assert await two.world.store.installations.all("slack") == []
    assert EventKind.APP_REMOVED in await kinds(two.world.store)
    assert "Install it again at /slack/install" in caplog.text
    hold = await two.world.hold()
    await two.world.card(hold)  # home is served as before
    assert two.other.messages(two.channel.id) == []
    assert (await two.install())[0] == 200
    await two.world.hold("another password")
    await two.card_in(two.channel)


async def test_old_news_do_not_end_a_new_installation(two: Two) -> None:
    await two.install()
    event = {"type": "app_uninstalled", "event_ts": "1.1"}
    assert (await two.slack.event(event, workspace=two.other))[-1].acked
    assert len(await two.world.store.installations.all("slack")) == 1
    await two.slack.event({"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": []}}, workspace=two.other)
    assert len(await two.world.store.installations.all("slack")) == 1


async def test_a_removal_that_nobody_told_us_is_found_out(two: Two) -> None:
    await two.install()
    two.slack.take_away(two.other, next(iter(two.other.bot_tokens)))
    await two.world.hold()

    async def forgotten() -> bool:
        return await two.world.store.installations.all("slack") == []

    await wait_until(forgotten, "the installation is forgotten")


async def test_the_home_app_was_removed(two: Two, caplog: pytest.LogCaptureFixture) -> None:
    await two.slack.uninstall(two.slack.workspace)
    assert "set SLACK_BOT_TOKEN" in caplog.text


async def test_it_works_without_a_home_workspace(make_world: MakeWorld) -> None:
    world = await make_world("http", start=False)
    world.home_token = None
    async with two_of(world) as two:
        assert (await two.install())[0] == 200
        hold = await world.hold()
        card = await two.card_in(two.channel)
        await two.slack.click(two.max, card, names.APPROVE)
        assert (await world.store.holds.get(hold.id)).state is State.APPROVED
        assert world.slack.workspace.messages("C0SECURITY") == []


async def test_keys_are_rotated(two: Two) -> None:
    await two.install()
    two.world.settings["secret_key"] = f"{OTHER_KEY},{KEY}"
    app = await two.world.start_app()
    assert (await app.client.call_at(OTHER, "auth.test"))["team_id"] == OTHER
    two.world.settings["secret_key"] = OTHER_KEY
    app = await two.world.start_app()
    with pytest.raises(ChannelRefused, match="put the earlier key back"):
        await app.client.call_at(OTHER, "auth.test")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("SLACK_CLIENT_SECRET", "SLACK_CLIENT_SECRET: needed"),
        ("secret_key", "HOLDPOINT_SECRET_KEY: not set"),
    ],
)
async def test_what_has_to_be_set(make_world: MakeWorld, missing: str, words: str) -> None:
    world = await make_world("http", start=False)
    world.settings = {name: value for name, value in SETTINGS.items() if name != missing}
    with pytest.raises(ConfigurationError, match=words):
        await world.start_app()
