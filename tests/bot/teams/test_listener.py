"""What arrives → what is done about it, and what it is answered with; over HTTP, with real tokens and a real store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import requests
from botbuilder.core import TurnContext
from botbuilder.schema import Activity as SdkActivity

from bot.desk import TOO_SLOW
from bot.teams import intake, listener
from bot.teams.adapter import Turn
from bot.teams.arrived import Activity, Click, Message
from bot.teams.reactions import Closed, Dialog, Failed, Reaction, Said
from bot.teams.tokens import Caller
from holdpoint.errors import ChannelUnavailable, StoreUnavailable
from holdpoint.store import Store
from tests.bot.teams.doorway import AAD, CARD, CONVERSATION, SERVICE_URL, Doorway, activity, dialog, execute
from tests.bot.teams.key_server import KeyServer
from tests.fakes.teams.things import BOT, TENANT
from tests.support.waiting import wait_until, within

WORDS = "Only Kim may decide."


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    running = KeyServer()
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def door(server: KeyServer, store: Store) -> AsyncIterator[Doorway]:
    opened = Doorway(server, store)
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second instead of four, where a test waits for the end of the time."""
    monkeypatch.setattr(intake, "ACT_WITHIN_S", 1.0)
    monkeypatch.setattr(listener, "LEARN_WITHIN_S", 0.5)


def says(value: Any) -> Any:
    """A handler that answers ``value``, or raises it."""

    async def handler(_click: Click) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return handler


async def never(_what: object) -> Any:
    await asyncio.Event().wait()


# clicks


async def test_a_click_arrives_with_all_that_it_says_of_itself(door: Doorway) -> None:
    sent = execute("edit")
    sent["value"]["action"]["data"]["part-0"] = "<at>text</at>"
    assert (await door.send(sent)).status == 200
    assert door.reached.clicks == [
        Click(
            verb="edit", data={"verb": "edit", "hold": "h0 d", "part-0": "<at>text</at>"}, automatic=False,
            user=f"{TENANT}/{AAD}", member="29:sam", conversation=CONVERSATION, message="1699", dialog=False, raw=sent,
        )
    ]  # fmt: skip
    assert door.reached.learnt == [sent]


async def test_a_refresh_is_automatic(door: Doorway) -> None:
    sent = execute("refresh")
    sent["value"]["trigger"] = "automatic"
    await door.send(sent)
    assert door.reached.clicks[0].automatic


@pytest.mark.parametrize(
    ("reaction", "body"),
    [
        (None, {"statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": CARD}),
        (Said(WORDS), {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": WORDS}),
        (
            Failed(WORDS, 400),
            {
                "statusCode": 400, "type": "application/vnd.microsoft.error",
                "value": {"code": "BadRequest", "message": WORDS},
            },
        ),
    ],
    ids=["a card", "a sentence", "an error"],
)  # fmt: skip
async def test_what_a_click_is_answered_with(door: Doorway, reaction: Reaction | None, body: Any) -> None:
    door.reached.on_click = says(reaction) if reaction else None
    answer = await door.send(execute())
    assert (answer.status, answer.json) == (200, body)
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("name", ["task/fetch", "task/submit"])
@pytest.mark.parametrize(
    ("result", "body"),
    [
        (
            None,
            {"task": {"type": "continue", "value": {
                "title": "Reject", "height": "large", "width": "medium",
                "card": {"contentType": "application/vnd.microsoft.card.adaptive", "content": CARD},
            }}},
        ),
        (Said(WORDS), {"task": {"type": "message", "value": WORDS}}),
        (Closed(), None),
    ],
    ids=["a dialog", "a sentence", "closed"],
)  # fmt: skip
async def test_what_a_dialog_is_answered_with(door: Doorway, name: str, result: Dialog | None, body: Any) -> None:
    door.reached.on_dialog = says(result) if result else None
    answer = await door.send(dialog(name))
    assert (answer.status, answer.json if answer.body else None) == (200, body)
    click = door.reached.clicks[0]
    assert (click.verb, click.dialog, click.data["hold"]) == ("reject", True, "h0 d")


async def test_a_click_of_an_old_client_is_a_click(door: Doorway) -> None:
    data = {"verb": "approve", "hold": "h0 d", "reason": "fine"}
    sent = activity(value=data, text=None, replyToId="1699")
    assert (await door.send(sent)).status == 200
    click = door.reached.clicks[0]
    assert (click.verb, click.data, click.message, click.dialog) == ("approve", data, "1699", False)
    assert not door.reached.messages
    assert not door.reached.told, "the card is redrawn for everybody"


@pytest.mark.promise(6)
async def test_who_has_an_old_client_is_told_in_the_thread(door: Doorway) -> None:
    door.reached.on_click = says(Said(WORDS))
    assert (await door.send(activity(value={"verb": "approve"}))).status == 200
    assert door.reached.told == [WORDS]


@pytest.mark.promise(6)
async def test_who_cannot_be_told_is_asked_to_try_again(door: Doorway) -> None:
    async def away(_sentence: str) -> None:
        raise ChannelUnavailable("Teams is away")

    door.reached.on_click, door.reached.on_tell = says(Said(WORDS)), away
    answer = await door.send(activity(value={"verb": "approve"}))
    assert (answer.status, answer.headers["Retry-After"], answer.body) == (503, "5", b"")


@pytest.mark.promise(6)
@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("sent", [execute(), dialog(), dialog("task/submit")], ids=lambda sent: str(sent["name"]))
async def test_a_handler_that_takes_too_long_is_given_up_in_time(door: Doorway, sent: Activity) -> None:
    door.reached.on_click = door.reached.on_dialog = never
    async with within(3.5):
        answer = await door.send(sent)
    assert answer.status == 200
    assert TOO_SLOW in str(answer.json)


@pytest.mark.parametrize("learn", [says(StoreUnavailable("gone")), says(ChannelUnavailable("away")), never])
async def test_a_place_that_cannot_be_noted_does_not_hold_up_the_click(door: Doorway, learn: Any) -> None:
    door.reached.on_learn = learn
    async with within(3.5):
        assert (await door.send(execute())).json["statusCode"] == 200
    assert len(door.reached.clicks) == 1


@pytest.mark.promise(8)
@pytest.mark.parametrize(
    "sent",
    [execute(), dialog(), dialog("task/submit"), activity(), activity(value={"verb": "approve"})],
    ids=["a click", "a dialog", "a dialog's button", "a command", "an old client"],
)
async def test_a_bug_is_said_counted_and_logged_with_an_id(
    door: Doorway, sent: Activity, caplog: pytest.LogCaptureFixture
) -> None:
    door.reached.on_click = door.reached.on_dialog = door.reached.on_message = says(KeyError("a bug"))
    answer = await door.send(sent)
    assert answer.status == 200
    said = door.reached.told[0] if door.reached.told else str(answer.json)
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert f"under {record.error_id}" in said  # type: ignore[attr-defined]
    assert "a bug" not in said
    assert door.metrics.errors["teams"] == 1
    if sent.get("name") == "adaptiveCard/action":
        assert (answer.json["statusCode"], answer.json["type"]) == (500, "application/vnd.microsoft.error")


async def test_a_bug_before_any_handler_is_a_500_with_an_id_in_the_log(
    door: Doorway, caplog: pytest.LogCaptureFixture
) -> None:
    door.reached.on_learn = says(KeyError("a bug"))
    answer = await door.send(execute())
    assert (answer.status, answer.body) == (500, b"")
    assert [each.error_id for each in caplog.records if each.levelno == logging.ERROR]  # type: ignore[attr-defined]
    assert door.metrics.errors["teams"] == 1


# invokes that are none of ours, or not readable


@pytest.mark.parametrize(
    "name", ["foo/bar", "signin/verifyState", "composeExtension/query", "fileConsent/invoke", "", None]
)
async def test_an_unknown_invoke_is_not_implemented(door: Doorway, name: str | None) -> None:
    answer = await door.send(execute(name=name))
    assert (answer.status, answer.body) == (501, b"")


def _action(**changes: Any) -> dict[str, Any]:
    action = {"type": "Action.Execute", "verb": "approve", "data": {}} | changes
    return {"action": {name: each for name, each in action.items() if each is not None}, "trigger": "manual"}


@pytest.mark.parametrize(
    "value",
    [
        None, 5, "x", [], {}, {"action": None}, {"action": "approve"}, {"action": []}, {"action": {}},
        _action(type="Action.Submit"), _action(type=None), _action(type=5), _action(verb=None), _action(verb=""),
        _action(verb=5), _action(verb={"x": 1}), _action(data=None), _action(data=[]), _action(data="x"), _action(data=5),
    ],
    ids=repr,
)  # fmt: skip
async def test_a_click_that_cannot_be_read_is_refused(door: Doorway, value: Any) -> None:
    answer = await door.send(execute(value=value))
    assert (answer.status, answer.json["statusCode"]) == (400, 400)
    assert not door.reached.clicks


@pytest.mark.parametrize(
    "value", [None, 5, [], {}, {"data": None}, {"data": 5}, {"data": {}}, {"data": {"verb": 5}}], ids=repr
)
@pytest.mark.parametrize("name", ["task/fetch", "task/submit"])
async def test_a_dialog_that_cannot_be_read_is_refused(door: Doorway, name: str, value: Any) -> None:
    assert (await door.send(dialog(name, value=value))).status == 400
    assert not door.reached.clicks


# messages


@pytest.mark.parametrize(
    ("text", "entities", "heard"),
    [
        ("help", None, "help"),
        (
            "<at>Holdpoint</at> help",
            [{"type": "mention", "text": "<at>Holdpoint</at>", "mentioned": {"id": BOT}}],
            "help",
        ),
        (
            "tell <at>Sam</at> <at>Holdpoint</at>",
            [
                {"type": "mention", "text": "<at>Sam</at>", "mentioned": {"id": "29:sam"}},
                {"type": "mention", "text": "<at>Holdpoint</at>", "mentioned": {"id": BOT}},
            ],
            "tell <at>Sam</at>",
        ),
        (" \n help \u00a0", [], "help"),
        (None, None, ""),
        ("help", "x", "help"),
        ("help", [1, None, {}, {"text": 5}, {"text": "help", "mentioned": 5}], "help"),
    ],
)
async def test_what_was_written_without_the_mention_of_us(
    door: Doorway, text: str | None, entities: Any, heard: str
) -> None:
    sent = activity(text=text, entities=entities)
    assert (await door.send(sent)).status == 200
    assert door.reached.messages == [
        Message(
            text=heard, user=f"{TENANT}/{AAD}", member="29:sam", conversation=CONVERSATION, message="1700000000001",
            thread="1699", personal=False, raw=sent,
        )
    ]  # fmt: skip


async def test_a_personal_chat_has_no_threads(door: Doorway) -> None:
    await door.send(activity(conversation={"id": "a:1chat", "conversationType": "personal", "tenantId": TENANT}))
    (heard,) = door.reached.messages
    assert (heard.conversation, heard.thread, heard.personal) == ("a:1chat", "", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"from": {"id": "29:x", "name": "Anonymous"}},
        {"from": {"id": "29:x", "aadObjectId": 5}},
        {"channelData": None, "conversation": {"id": CONVERSATION}},
        {"channelData": {"tenant": "t"}, "conversation": {"id": CONVERSATION, "tenantId": 5}},
    ],
    ids=repr,
)
async def test_who_has_no_account_in_a_directory_is_nobody(door: Doorway, changes: dict[str, Any]) -> None:
    await door.send(execute(**changes))
    assert door.reached.clicks[0].user == ""


async def test_the_tenant_is_found_in_either_place(door: Doorway) -> None:
    await door.send(execute(channelData=None))
    await door.send(execute(conversation={"id": CONVERSATION}))
    assert [click.user for click in door.reached.clicks] == [f"{TENANT}/{AAD}"] * 2


@pytest.mark.promise(3)
async def test_a_command_that_is_delivered_again_runs_once_with_two_bots(
    server: KeyServer, store: Store, door: Doorway
) -> None:
    other = Doorway(server, store)
    await other.start()
    sent = activity()
    await asyncio.gather(*(each.send(sent) for each in (door, other) * 5))
    assert len(door.reached.messages) + len(other.reached.messages) == 1
    elsewhere = activity(conversation={"id": "19:other@thread.tacv2"})
    assert (await other.send(elsewhere)).status == 200
    assert len(door.reached.messages) + len(other.reached.messages) == 2, "the same id of another conversation"
    await other.stop()


async def test_a_long_command_goes_on_after_teams_was_answered(door: Doorway) -> None:
    done = asyncio.Event()

    async def slow(_message: Message) -> None:
        await done.wait()
        door.reached.told.append("done")

    door.reached.on_message = slow
    assert (await door.send(activity())).status == 200
    assert not door.reached.told
    done.set()
    await wait_until(lambda: door.reached.told, "the command ends")


async def test_a_command_that_failed_unsaid_may_be_delivered_again(door: Doorway) -> None:
    async def away(_sentence: str) -> None:
        raise ChannelUnavailable("Teams is away")

    door.reached.on_message, door.reached.on_tell = says(KeyError("a bug")), away
    assert (await door.send(activity())).status == 503
    door.reached.on_message = None
    assert (await door.send(activity())).status == 200
    assert len(door.reached.messages) == 2


async def test_a_command_that_cannot_be_answered_without_the_store_is_an_error_for_teams(door: Doorway) -> None:
    door.reached.on_message = says(StoreUnavailable("gone"))
    assert (await door.send(activity())).status == 503
    assert not door.metrics.errors["teams"]


async def test_an_answer_that_is_lost_is_no_bug(door: Doorway) -> None:
    door.reached.on_message = says(ChannelUnavailable("Teams is away"))
    assert (await door.send(activity())).status == 200
    assert not door.metrics.errors["teams"]


# where we are


@pytest.mark.parametrize(
    ("changes", "forgotten"),
    [
        ({"type": "installationUpdate", "action": "add"}, []),
        ({"type": "installationUpdate", "action": "remove"}, [CONVERSATION]),
        ({"type": "installationUpdate", "action": "remove-upgrade"}, []),
        ({"type": "installationUpdate"}, []),
        ({"type": "conversationUpdate", "membersAdded": [{"id": BOT}]}, []),
        ({"type": "conversationUpdate", "membersRemoved": [{"id": "29:sam"}]}, []),
        ({"type": "conversationUpdate", "membersRemoved": [{"id": "29:sam"}, {"id": BOT}]}, [CONVERSATION]),
        ({"type": "conversationUpdate", "membersRemoved": [5, None, {}, {"id": 5}]}, []),
        ({"type": "conversationUpdate", "membersRemoved": "x"}, []),
        ({"type": "conversationUpdate", "membersRemoved": [{}], "recipient": {}}, []),
        ({"type": "messageReaction", "reactionsAdded": [{"type": "like"}]}, []),
        ({"type": "messageUpdate"}, []),
        ({"type": "messageDelete"}, []),
        ({"type": "typing"}, []),
        ({"type": "event", "name": "application/vnd.microsoft.readReceipt"}, []),
        ({"type": "endOfConversation"}, []),
        ({"type": "something new"}, []),
    ],
    ids=repr,
)
async def test_every_activity_says_where_we_are_and_some_that_we_are_not(
    door: Doorway, changes: dict[str, Any], forgotten: list[str]
) -> None:
    sent = activity(**changes)
    answer = await door.send(sent)
    assert (answer.status, answer.body) == (200, b"")
    assert door.reached.learnt == [sent]
    assert door.reached.forgotten == forgotten
    assert not door.reached.messages


async def test_where_the_app_is_added_we_say_so_once(door: Doorway) -> None:
    added = activity(type="installationUpdate", action="add", text=None)
    upgraded = activity(type="installationUpdate", action="add-upgrade", id="2", text=None)
    await door.many(added, added, added, upgraded)
    await wait_until(lambda: door.reached.welcomed, "somebody is welcomed")
    await door.tasks.aclose()
    assert door.reached.welcomed == [added]


@pytest.mark.parametrize("kind", ["conversationUpdate", "installationUpdate"])
async def test_a_place_that_could_not_be_noted_is_to_be_told_again(door: Doorway, kind: str) -> None:
    door.reached.on_learn = says(StoreUnavailable("gone"))
    assert (await door.send(activity(type=kind))).status == 503


# the SDK


@pytest.fixture
def no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own client cannot reach anybody, and does not try."""

    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("the SDK's blocking client was used")

    monkeypatch.setattr(requests.Session, "__init__", refuse)
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", refuse)


@pytest.mark.usefixtures("no_requests")
async def test_the_sdks_own_client_is_never_made(door: Doorway) -> None:
    async def logic(context: TurnContext) -> None:
        sent = await context.send_activity("hello")
        assert sent.id == "2"
        message = SdkActivity(type="message", id="7", text="changed")
        await context.update_activity(message)
        await context.delete_activity("7")
        await context.send_trace_activity("trace", "value")

    turn = Turn(activity(), asyncio.get_running_loop().time() + 1)
    caller = Caller({"serviceurl": SERVICE_URL}, frozenset({"msteams"}))
    assert (await door.adapter.receive(turn, caller, logic)).status == 200
    assert door.sent.calls == [
        ("reply", CONVERSATION, "1699", "hello"),
        ("update", CONVERSATION, "7", "changed"),
        ("delete", CONVERSATION, "7"),
    ]
    chat = Turn(activity(conversation={"id": "a:1chat"}), turn.deadline)
    door.sent.calls.clear()

    async def hello(context: TurnContext) -> None:
        await context.send_activity("hello")

    await door.adapter.receive(chat, caller, hello)
    assert door.sent.calls == [("post", "a:1chat", "hello")]
    for each in (execute(), dialog(), activity(), activity(type="conversationUpdate", membersAdded=[{"id": "29:x"}])):
        assert (await door.send(each)).status == 200


async def test_expected_replies_are_not_the_answer_to_anybody(door: Doorway) -> None:
    answer = await door.send(activity(deliveryMode="expectReplies"))
    assert (answer.status, answer.body) == (200, b"")
