"""Threads, deleted messages, archived channels, the Home tab, uploads: what Slack refuses, and what a person sees."""

from __future__ import annotations

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import FakeSlack, Json, Message
from tests.fakes.slack.conftest import client_of, refused

HOME: Json = {"type": "home", "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "Nothing waits"}}]}
MODAL: Json = {"type": "modal", "title": {"type": "plain_text", "text": "t"}, "blocks": [{"type": "divider"}]}


async def post(slack: FakeSlack, client: AsyncWebClient, channel: str, **more: object) -> Message:
    said = await client.chat_postMessage(channel=channel, text="x", **more)  # type: ignore[arg-type]
    return slack.workspace.channels[said["channel"]].messages[said["ts"]]


async def test_replies_stand_in_the_thread_and_not_in_the_channel(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    parent = await post(slack, client, channel.id)
    reply = await post(slack, client, channel.id, thread_ts=parent.ts)
    loud = await post(slack, client, channel.id, thread_ts=parent.ts, reply_broadcast=True)
    assert slack.thread(parent) == [reply, loud]
    assert slack.workspace.messages(channel.id) == [parent, loud]
    history = await client.conversations_history(channel=channel.id)
    assert [m["ts"] for m in history["messages"]] == [loud.ts, parent.ts]
    first = await client.conversations_replies(channel=channel.id, ts=parent.ts, limit=2)
    rest = await client.conversations_replies(
        channel=channel.id, ts=parent.ts, cursor=first["response_metadata"]["next_cursor"]
    )
    assert [m["ts"] for m in [*first["messages"], *rest["messages"]]] == [parent.ts, reply.ts, loud.ts]


async def test_nobody_replies_to_what_is_not_there(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    parent = await post(slack, client, channel.id)
    reply = await post(slack, client, channel.id, thread_ts=parent.ts)
    for ts in ("1.1", reply.ts):
        answer = client.chat_postMessage(channel=channel.id, text="x", thread_ts=ts)
        assert await refused(answer) == "cannot_reply_to_message"
    assert await refused(client.conversations_replies(channel=channel.id, ts="1.1")) == "thread_not_found"


async def test_a_deleted_message_is_gone_and_its_thread_is_not(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    lonely, parent = await post(slack, client, channel.id), await post(slack, client, channel.id)
    reply = await post(slack, client, channel.id, thread_ts=parent.ts)
    slack.delete(lonely)
    slack.delete(parent)
    for message in (lonely, parent):
        assert await refused(client.chat_update(channel=channel.id, ts=message.ts, text="y")) == "message_not_found"
    assert slack.workspace.messages(channel.id) == []
    assert slack.thread(parent) == [reply]
    history = await client.conversations_history(channel=channel.id)
    assert [m.get("subtype") for m in history["messages"]] == ["tombstone"]


async def test_archived_kicked_and_late(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel, private = slack.workspace.add_channel("ops"), slack.workspace.add_channel("secret", private=True)
    message, hidden = await post(slack, client, channel.id), await post(slack, client, private.id)
    slack.archive(channel)
    assert await refused(client.chat_update(channel=channel.id, ts=message.ts, text="y")) == "is_inactive"
    assert await refused(client.chat_postMessage(channel=channel.id, text="y")) == "is_archived"
    assert (await client.conversations_info(channel=channel.id))["channel"]["is_archived"]
    slack.archive(channel, archived=False)
    slack.kick(channel)
    slack.kick(private)
    assert await refused(client.chat_postMessage(channel=channel.id, text="y")) == "not_in_channel"
    assert await refused(client.chat_update(channel=private.id, ts=hidden.ts, text="y")) == "channel_not_found"
    assert not (await client.conversations_info(channel=channel.id))["channel"]["is_member"]
    slack.invite(channel)
    slack.workspace.edit_window_s = 60
    await client.chat_update(channel=channel.id, ts=message.ts, text="y")
    slack.workspace.forward(seconds=61)
    assert await refused(client.chat_update(channel=channel.id, ts=message.ts, text="y")) == "edit_window_closed"


async def test_the_messages_tab_may_be_off(slack: FakeSlack, client: AsyncWebClient) -> None:
    sam = slack.workspace.add_user("Sam", None)
    slack.workspace.messages_tab = False
    assert await refused(client.chat_postMessage(channel=sam.id, text="x")) == "messages_tab_disabled"


async def test_channels_are_listed_page_by_page(slack: FakeSlack, client: AsyncWebClient) -> None:
    for name in ("a", "b", "c"):
        slack.workspace.add_channel(name)
    slack.archive(slack.workspace.add_channel("old"))
    slack.workspace.add_channel("hidden", private=True, bot=False)
    first = await client.conversations_list(limit=2, exclude_archived=True, types="public_channel,private_channel")
    cursor = first["response_metadata"]["next_cursor"]
    rest = await client.conversations_list(cursor=cursor, exclude_archived=True)
    assert [c["name"] for c in [*first["channels"], *rest["channels"]]] == ["a", "b", "c"]
    assert await refused(client.conversations_list(types="secret")) == "invalid_types"


async def test_the_home_tab(slack: FakeSlack, client: AsyncWebClient) -> None:
    sam = slack.workspace.add_user("Sam", None)
    assert slack.home(sam) is None
    assert await refused(client.views_publish(user_id=sam.id, view=HOME, hash="1")) == "hash_conflict"
    first = (await client.views_publish(user_id=sam.id, view=HOME))["view"]
    home = slack.home(sam)
    assert home is not None
    assert home.seen.text == "Nothing waits"
    await client.views_publish(user_id=sam.id, view=HOME, hash=first["hash"])
    assert await refused(client.views_publish(user_id=sam.id, view=HOME, hash=first["hash"])) == "hash_conflict"
    assert await refused(client.views_publish(user_id="U9", view=HOME)) == "invalid_arguments"
    assert await refused(client.views_publish(user_id=sam.id, view=MODAL)) == "invalid_arguments"
    assert (
        await refused(client.views_publish(user_id=sam.id, view={**HOME, "title": MODAL["title"]}))
        == "invalid_arguments"
    )
    assert await refused(client.views_open(trigger_id="x", view=HOME)) == "invalid_arguments"
    slack.workspace.home_tab = False
    assert await refused(client.views_publish(user_id=sam.id, view=HOME)) == "not_enabled"


async def test_triggers_fail_in_both_spellings(slack: FakeSlack, client: AsyncWebClient) -> None:
    sam = slack.workspace.add_user("Sam", None)
    slack.workspace.guide_triggers = True
    used, late = slack.workspace.new_trigger(sam.id), slack.workspace.new_trigger(sam.id)
    await client.views_open(trigger_id=used, view=MODAL)
    assert await refused(client.views_open(trigger_id=used, view=MODAL)) == "trigger_exchanged"
    slack.workspace.forward(seconds=4)
    assert await refused(client.views_open(trigger_id=late, view=MODAL)) == "trigger_expired"


async def test_an_external_id_is_one_views(slack: FakeSlack, client: AsyncWebClient) -> None:
    sam = slack.workspace.add_user("Sam", None)
    named = {**MODAL, "external_id": "one"}
    await client.views_open(trigger_id=slack.workspace.new_trigger(sam.id), view=named)
    again = client.views_open(trigger_id=slack.workspace.new_trigger(sam.id), view=named)
    assert await refused(again) == "duplicate_external_id"
    await client.views_update(external_id="one", view=MODAL)


async def test_an_upload_has_three_steps(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    begun = await client.files_getUploadURLExternal(filename="stats.png", length=4)
    complete = [{"id": begun["file_id"], "title": "Stats"}]
    assert await refused(client.files_completeUploadExternal(files=complete)) == "file_not_found"  # type: ignore[arg-type]
    async with aiohttp.ClientSession() as session:
        assert (await session.post(begun["upload_url"], data=b"too long")).status == 500
        assert (await session.post(begun["upload_url"], data=b"\x89PNG")).status == 200
        assert (await session.post(begun["upload_url"], data=b"\x89PNG")).status == 404
    assert (
        await refused(client.files_completeUploadExternal(files=complete, channel_id="C9"))  # type: ignore[arg-type]
        == "channel_not_found"
    )
    await client.files_completeUploadExternal(files=complete, channel_id=channel.id, initial_comment="Numbers")  # type: ignore[arg-type]
    [message] = slack.workspace.messages(channel.id)
    assert (message.text, message.files[0]["title"]) == ("Numbers", "Stats")
    assert slack.workspace.files[begun["file_id"]].content == b"\x89PNG"
    slack.workspace.bot_tokens["xoxb-fake-bot"] -= {"files:write"}
    assert await refused(client.files_getUploadURLExternal(filename="a", length=1)) == "missing_scope"


async def test_response_urls_replace_delete_and_speak(slack: FakeSlack, client: AsyncWebClient) -> None:
    sam = slack.workspace.add_user("Sam", None)
    channel = slack.workspace.add_channel("ops", sam)
    message = await post(slack, client, channel.id)
    slack.kick(channel)  # response URLs pass memberships
    key = slack.workspace.new_response_url(channel.id, sam.id, message.ts)
    url = slack.url.replace("/api/", f"/response/{key}")

    async def use(**body: object) -> int:
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
            return response.status

    assert await use(text="y", replace_original=True) == 200
    assert message.text == "y"
    assert await use(delete_original=True, text="y") == 400
    assert await use(text="y", thread_ts=message.ts) == 400
    assert await use(text="y", colour="red") == 400
    assert await use(text="all", response_type="in_channel") == 200
    assert await use(delete_original=True) == 200
    assert [m.text for m in slack.workspace.messages(channel.id)] == ["all"]


async def test_posts_of_a_workspace_are_counted_together(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.rates = {"chat.postMessage *": (2, 60.0)}
    channels = [slack.workspace.add_channel(name) for name in "abc"]
    await client.chat_postMessage(channel=channels[0].id, text="x")
    await client.chat_postMessage(channel=channels[1].id, text="x")
    assert await refused(client.chat_postMessage(channel=channels[2].id, text="x")) == "ratelimited"
    other = slack.add_workspace("T0OTHER", token="xoxb-other")
    place = other.add_channel("else")
    await client_of(slack, "xoxb-other").chat_postMessage(channel=place.id, text="x")


async def test_one_method_alone_may_be_limited(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    slack.enforce_rates("chat.update")
    messages = [await post(slack, client, channel.id) for _ in range(2)]
    for _ in range(50):
        await client.chat_update(channel=channel.id, ts=messages[0].ts, text="y")
    assert await refused(client.chat_update(channel=channel.id, ts=messages[1].ts, text="y")) == "ratelimited"


@pytest.mark.parametrize("kind", ["token_revoked", "account_inactive", "token_expired"])
async def test_a_token_that_is_no_more(slack: FakeSlack, client: AsyncWebClient, kind: str) -> None:
    slack.workspace.revoked["xoxb-fake-bot"] = kind
    assert await refused(client.auth_test()) == kind
