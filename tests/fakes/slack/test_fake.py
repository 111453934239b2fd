"""The fake is as strict as it claims: tokens, scopes, arguments, membership, ids, rates, triggers, callbacks."""

from __future__ import annotations

import json

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import FakeSlack, Fault
from tests.fakes.slack.conftest import refused

MODAL = {"type": "modal", "title": {"type": "plain_text", "text": "t"}, "blocks": [{"type": "divider"}]}


async def test_tokens_and_scopes(slack: FakeSlack) -> None:
    def named(token: str | None) -> AsyncWebClient:
        return AsyncWebClient(token=token, base_url=slack.url, retry_handlers=[])

    assert await refused(named(None).auth_test()) == "not_authed"
    assert await refused(named("xoxb-other").auth_test()) == "invalid_auth"
    assert await refused(named("xapp-fake-app").auth_test()) == "not_allowed_token_type"
    assert (
        await refused(named("xoxb-fake-bot").apps_connections_open(app_token="xoxb-fake-bot"))
        == "not_allowed_token_type"
    )
    slack.workspace.bot_tokens["xoxb-fake-bot"] = frozenset({"users:read"})
    assert await refused(named("xoxb-fake-bot").chat_postMessage(channel="C1", text="x")) == "missing_scope"
    user = slack.workspace.add_user("Sam", "sam@example.com")
    answer = await named("xoxb-fake-bot").users_info(user=user.id)
    assert "email" not in answer["user"]["profile"]


async def test_unknown_methods_and_arguments(client: AsyncWebClient) -> None:
    assert await refused(client.api_call("chat.shout")) == "unknown_method"
    assert await refused(client.chat_postMessage(channel="C1", text="x", colour="red")) == "invalid_arg_name"
    assert await refused(client.api_call("chat.postMessage", json={"text": "x"})) == "invalid_arguments"


async def test_get_form_and_json_are_the_same(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    block = [{"type": "divider"}]
    await client.api_call("chat.postMessage", json={"channel": channel.id, "text": "x", "blocks": block})
    await client.api_call("chat.postMessage", data={"channel": channel.id, "text": "x", "blocks": json.dumps(block)})
    assert [m.blocks for m in slack.workspace.messages(channel.id)] == [block, block]
    answer = await client.api_call("conversations.history", http_verb="GET", params={"channel": channel.id, "limit": 1})
    assert len(answer["messages"]) == 1


async def test_channels_and_membership(slack: FakeSlack, client: AsyncWebClient) -> None:
    outside = slack.workspace.add_channel("outside", bot=False)
    hidden = slack.workspace.add_channel("hidden", bot=False, private=True)
    archived = slack.workspace.add_channel("old")
    archived.archived = True
    for channel, error in (
        (outside.id, "not_in_channel"),
        (hidden.id, "channel_not_found"),
        ("C9", "channel_not_found"),
        (archived.id, "is_archived"),
    ):
        assert await refused(client.chat_postMessage(channel=channel, text="x")) == error
    assert await refused(client.conversations_history(channel=outside.id)) == "not_in_channel"
    slack.workspace.bot_tokens["xoxb-fake-bot"] -= {"groups:history", "groups:read"}
    private = slack.workspace.add_channel("private", private=True)
    assert await refused(client.conversations_history(channel=private.id)) == "missing_scope"
    assert await refused(client.conversations_info(channel=private.id)) == "missing_scope"


async def test_direct_messages_have_their_own_ids(slack: FakeSlack, client: AsyncWebClient) -> None:
    sam = slack.workspace.add_user("Sam", "sam@example.com")
    posted = await client.chat_postMessage(channel=sam.id, text="x")
    assert posted["channel"].startswith("D")
    assert (await client.conversations_open(users=sam.id))["channel"]["id"] == posted["channel"]
    assert await refused(client.chat_update(channel=sam.id, ts=posted["ts"], text="y")) == "channel_not_found"
    await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="y")
    sam.deleted = True
    assert await refused(client.conversations_open(users=sam.id)) == "user_disabled"
    assert await refused(client.users_lookupByEmail(email="sam@example.com")) == "users_not_found"
    assert await refused(client.conversations_open(users="U9")) == "user_not_found"


async def test_updates(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    metadata = {"event_type": "e", "event_payload": {"id": "1"}}
    ts = (await client.chat_postMessage(channel=channel.id, text="x", blocks=[{"type": "divider"}], metadata=metadata))[
        "ts"
    ]
    assert await refused(client.chat_update(channel=channel.id, ts=ts, text="x" * 4001)) == "msg_too_long"
    assert await refused(client.api_call("chat.update", json={"channel": channel.id, "ts": ts})) == "no_text"
    assert await refused(client.chat_update(channel=channel.id, ts="1.1", text="x")) == "message_not_found"
    await client.chat_update(channel=channel.id, ts=ts, text="x" * 4000)
    message = slack.workspace.messages(channel.id)[0]
    assert message.blocks == []  # text without blocks removes the blocks
    assert message.metadata == metadata
    message.user = "U1"
    assert await refused(client.chat_update(channel=channel.id, ts=ts, text="y")) == "cant_update_message"
    assert await refused(client.chat_delete(channel=channel.id, ts=ts)) == "cant_delete_message"


async def test_long_posts_are_cut(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    await client.chat_postMessage(channel=channel.id, text="x" * 40_001)
    assert len(slack.workspace.messages(channel.id)[0].text) == 40_000


async def test_bad_blocks_and_metadata(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    assert (
        await refused(client.chat_postMessage(channel=channel.id, text="x", blocks=[{"type": "nonsense"}]))
        == "invalid_blocks"
    )
    assert (
        await refused(client.chat_postMessage(channel=channel.id, text="x", metadata={"event_type": "x"}))
        == "invalid_metadata_format"
    )
    big = {"event_type": "x", "event_payload": {"x": "x" * 10_000}}
    assert await refused(client.chat_postMessage(channel=channel.id, text="x", metadata=big)) == "metadata_too_large"


async def test_a_post_is_too_long_with_what_holds_its_texts(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 200}}
    await client.chat_postMessage(channel=channel.id, text="x", blocks=[block] * 40)
    assert (
        await refused(client.chat_postMessage(channel=channel.id, text="x", blocks=[block] * 50))
        == "msg_blocks_too_long"
    )


async def test_ephemeral_messages_are_for_members_and_never_updated(slack: FakeSlack, client: AsyncWebClient) -> None:
    sam, kim = (slack.workspace.add_user(name, None) for name in ("Sam", "Kim"))
    channel = slack.workspace.add_channel("ops", sam)
    assert await refused(client.chat_postEphemeral(channel=channel.id, user=kim.id, text="x")) == "user_not_in_channel"
    ts = (await client.chat_postEphemeral(channel=channel.id, user=sam.id, text="psst"))["message_ts"]
    assert slack.told(sam) == ["psst"]
    assert await refused(client.chat_update(channel=channel.id, ts=ts, text="y")) == "message_not_found"


async def test_history_pages_and_keeps_metadata_back(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    metadata = {"event_type": "e", "event_payload": {"id": "1"}}
    stamps = [
        (await client.chat_postMessage(channel=channel.id, text=str(n), metadata=metadata))["ts"] for n in range(3)
    ]
    page = await client.conversations_history(channel=channel.id, limit=2)
    assert [m["text"] for m in page["messages"]] == ["2", "1"]
    assert "metadata" not in page["messages"][0]
    rest = await client.conversations_history(
        channel=channel.id, limit=2, cursor=page["response_metadata"]["next_cursor"], include_all_metadata=True
    )
    assert [(m["text"], m["metadata"]) for m in rest["messages"]] == [("0", metadata)]
    since = await client.conversations_history(channel=channel.id, oldest=stamps[1])
    assert [m["text"] for m in since["messages"]] == ["2"]
    assert await refused(client.conversations_history(channel=channel.id, cursor="%")) == "invalid_cursor"


async def test_triggers_live_three_seconds_and_serve_once(slack: FakeSlack, client: AsyncWebClient) -> None:
    sam = slack.workspace.add_user("Sam", None)
    fresh, late = slack.workspace.new_trigger(sam.id), slack.workspace.new_trigger(sam.id)
    await client.views_open(trigger_id=fresh, view=MODAL)
    assert await refused(client.views_open(trigger_id=fresh, view=MODAL)) == "exchanged_trigger_id"
    assert await refused(client.views_open(trigger_id="nonsense", view=MODAL)) == "invalid_trigger_id"
    slack.workspace.forward(seconds=3.1)
    assert await refused(client.views_open(trigger_id=late, view=MODAL)) == "expired_trigger_id"


async def test_views(slack: FakeSlack, client: AsyncWebClient) -> None:
    sam = slack.workspace.add_user("Sam", None)
    opened = await client.views_open(trigger_id=slack.workspace.new_trigger(sam.id), view=MODAL)
    view_id, seen = opened["view"]["id"], opened["view"]["hash"]
    await client.views_update(view_id=view_id, hash=seen, view=MODAL)
    assert await refused(client.views_update(view_id=view_id, hash=seen, view=MODAL)) == "hash_conflict"
    assert await refused(client.views_update(view_id="V9", view=MODAL)) == "not_found"
    assert await refused(client.views_update(view_id=view_id, view={**MODAL, "blocks": []})) == "invalid_arguments"
    big = {**MODAL, "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "x" * 3000}}] * 90}
    assert await refused(client.views_update(view_id=view_id, view=big)) == "view_too_large"
    for _ in range(2):
        await client.views_push(trigger_id=slack.workspace.new_trigger(sam.id), view=MODAL)
    assert (
        await refused(client.views_push(trigger_id=slack.workspace.new_trigger(sam.id), view=MODAL))
        == "push_limit_reached"
    )


async def test_response_urls_serve_five_times_within_half_an_hour(slack: FakeSlack) -> None:
    sam = slack.workspace.add_user("Sam", None)

    async def use(key: str) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(slack.url.replace("/api/", f"/response/{key}"), json={"text": "x"}) as response,
        ):
            return response.status

    key, late = (slack.workspace.new_response_url("C1", sam.id, None) for _ in range(2))
    assert [await use(key) for _ in range(6)] == [200] * 5 + [404]
    slack.workspace.forward(seconds=1801)
    assert await use(late) == 404


async def test_rates(slack: FakeSlack, client: AsyncWebClient) -> None:
    one, other = slack.workspace.add_channel("one"), slack.workspace.add_channel("other")
    slack.enforce_rates()
    await client.chat_postMessage(channel=one.id, text="x")
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=one.id, text="x")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "1"
    ts = (await client.chat_postMessage(channel=other.id, text="x"))["ts"]
    for _ in range(50):
        await client.chat_update(channel=other.id, ts=ts, text="y")
    assert await refused(client.chat_update(channel=other.id, ts=ts, text="y")) == "ratelimited"
    slack.workspace.forward(seconds=60)
    await client.chat_update(channel=other.id, ts=ts, text="y")


@pytest.mark.parametrize("committed", [False, True])
async def test_a_reset_before_or_after_the_effect(slack: FakeSlack, client: AsyncWebClient, *, committed: bool) -> None:
    channel = slack.workspace.add_channel("ops")
    slack.fault("chat.postMessage", Fault("reset", committed=committed))
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=channel.id, text="x")
    assert len(slack.workspace.messages(channel.id)) == committed


async def test_faults(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = slack.workspace.add_channel("ops")
    with pytest.raises(ValueError, match="never answers"):
        slack.fault("chat.postMessage", Fault("error", error="message_not_found"))
    slack.fault("chat.update", Fault("error", error="edit_window_closed"))
    assert await refused(client.chat_update(channel=channel.id, ts="1.1", text="x")) == "edit_window_closed"
    slack.fault("auth.test", Fault("html", status=502))
    with pytest.raises(SlackApiError):
        await client.auth_test()
    slack.fault("auth.test", Fault("limited", retry_after=7))
    with pytest.raises(SlackApiError) as caught:
        await client.auth_test()
    assert caught.value.response.headers["Retry-After"] == "7"
    slack.outage = True
    with pytest.raises(SlackApiError):
        await client.auth_test()
