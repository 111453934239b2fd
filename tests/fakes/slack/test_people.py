"""The hands of the fake's people do only what a client lets them do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import FakeSlack, Json, Message, User, View
from tests.support.waiting import wait_until


def words(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(value: str) -> Json:
    return {"text": words(value.title()), "value": value}


def button(value: str) -> Json:
    return {"type": "button", "action_id": "go", "text": words("Go"), "value": value}


def field(name: str, element: Json, **more: Any) -> Json:
    return {"type": "input", "block_id": name, "label": words(name), "element": {"action_id": "a", **element}, **more}


FORM: Json = {
    "type": "modal", "title": words("t"), "submit": words("s"), "notify_on_close": True,
    "blocks": [
        field("why", {"type": "plain_text_input", "max_length": 10}),
        field("scope", {"type": "static_select", "options": [option("one"), option("all")], "initial_option": option("one")}),
        field("kinds", {"type": "checkboxes", "options": [option("a"), option("b")]}, optional=True),
        field("uses", {"type": "number_input", "is_decimal_allowed": False, "max_value": "20"}, optional=True),
    ],
}  # fmt: skip


class App:
    """Acknowledges everything, and remembers the interactions as Bolt would read them."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.heard.append(await request.text())
        return web.Response()


@pytest.fixture
async def app(slack: FakeSlack) -> AsyncIterator[App]:
    app = App()
    runner = web.ServerRunner(web.Server(app), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield app
    await runner.cleanup()


@pytest.fixture
def sam(slack: FakeSlack) -> User:
    return slack.workspace.add_user("Sam", None)


@pytest.fixture
async def message(slack: FakeSlack, client: AsyncWebClient, sam: User) -> Message:
    channel = slack.workspace.add_channel("ops", sam)
    menu = {"type": "overflow", "action_id": "more", "options": [option("ask"), option("claim")]}
    section = {"type": "section", "text": words("x"), "accessory": menu}
    rows = [{"type": "actions", "block_id": f"r{n}", "elements": [button(f"{n} x")]} for n in range(2)]
    await client.chat_postMessage(channel=channel.id, text="x", blocks=[section, *rows])
    return slack.workspace.messages(channel.id)[0]


async def test_buttons_and_menus(slack: FakeSlack, app: App, sam: User, message: Message) -> None:
    assert message.buttons == ["more", "go", "go"]
    await slack.click(sam, message, "go", holding="1 ")
    assert "1+x" in app.heard[0]
    await slack.click(sam, message, "more", value="claim")
    assert "selected_option" in app.heard[1]
    with pytest.raises(AssertionError, match="no option"):
        await slack.click(sam, message, "more", value="steal")
    with pytest.raises(AssertionError, match="no button"):
        await slack.click(sam, message, "go", holding="9 ")
    with pytest.raises(AssertionError, match="is not in"):
        await slack.click(slack.workspace.add_user("Kim", None), message, "go")


@pytest.fixture
async def form(slack: FakeSlack, client: AsyncWebClient, sam: User) -> View:
    await client.views_open(trigger_id=slack.workspace.new_trigger(sam.id), view=FORM)
    return slack.workspace.modals(sam)[0]


async def test_a_form_is_filled_in(slack: FakeSlack, app: App, sam: User, form: View) -> None:
    await slack.submit(sam, form, {"why": "because", "scope": "all", "kinds": ["b"], "uses": 5})
    assert "because" in app.heard[0]
    assert not form.open


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "why empty"),
        ({"why": "x" * 11}, "too long"),
        ({"why": "x", "scope": "most"}, "no option"),
        ({"why": "x", "uses": 21}, "no number"),
        ({"why": "x", "uses": "1.5"}, "no number"),
        ({"why": "x", "uses": "many"}, "no number"),
        ({"why": "x", "colour": "red"}, "no such inputs"),
    ],
)
async def test_what_a_client_does_not_submit(
    slack: FakeSlack, app: App, sam: User, form: View, given: dict[str, Any], why: str
) -> None:
    with pytest.raises(AssertionError, match=why):
        await slack.submit(sam, form, given)
    assert app.heard == []


async def test_a_form_is_closed_by_hand(slack: FakeSlack, app: App, sam: User, form: View) -> None:
    delivery = await slack.close_view(sam, form)
    assert delivery is not None
    assert "view_closed" in app.heard[0]
    assert slack.workspace.modals(sam) == []


async def test_the_home_tab_is_opened_and_pressed(
    slack: FakeSlack, client: AsyncWebClient, app: App, sam: User
) -> None:
    home: Json = {"type": "home", "blocks": [{"type": "actions", "elements": [button("1")]}]}
    opening = asyncio.create_task(slack.open_home(sam))
    await wait_until(lambda: app.heard, "the app hears of it")
    assert "app_home_opened" in app.heard[0]
    await client.views_publish(user_id=sam.id, view=home)
    view = await opening
    assert view.buttons == ["go"]
    await slack.click_in_view(sam, view, "go")
    assert "block_actions" in app.heard[1]
    with pytest.raises(AssertionError):
        await slack.click_in_view(slack.workspace.add_user("Kim", None), view, "go")


async def test_an_ephemeral_message_is_read_as_it_looks(slack: FakeSlack, client: AsyncWebClient, sam: User) -> None:
    channel = slack.workspace.add_channel("ops", sam)
    await client.chat_postEphemeral(
        channel=channel.id, user=sam.id, text="short", blocks=[{"type": "section", "text": words("long")}]
    )
    assert slack.told(sam) == ["short"]
    assert slack.workspace.ephemerals[0].seen.text == "long"


async def test_x_slack_no_retry_is_heard(slack: FakeSlack, sam: User) -> None:
    count = 0

    async def refuse(_request: web.BaseRequest) -> web.StreamResponse:
        nonlocal count
        count += 1
        return web.Response(status=500, headers={"x-slack-no-retry": "1"})

    runner = web.ServerRunner(web.Server(refuse), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await slack.event({"type": "app_uninstalled"})
    await runner.cleanup()
    assert count == 1
