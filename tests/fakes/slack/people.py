"""What a person at a Slack client can do: press, fill in, type, open, delete, archive, remove the app."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.fakes.slack import payloads
from tests.fakes.slack.forms import Given, fill
from tests.fakes.slack.oauth import InstallPages
from tests.fakes.slack.things import Channel, Ephemeral, Json, Message, User, View, pick
from tests.fakes.slack.wire import Delivery
from tests.fakes.slack.workspace import MOST_STACKED, Workspace
from tests.support.waiting import wait_until

EVENT_RETRIES = ("", "http_error", "http_error", "http_error")


class FakeSlack(InstallPages):
    """The server, and the hands of its people."""

    async def click(
        self, user: User, message: Message, action_id: str, *, value: str | None = None, copies: int = 1,
        holding: str = "",
    ) -> Delivery:  # fmt: skip
        """Press a button of a message; of several, the one whose value starts with ``holding``.

        ``value`` forges another value than the button's; it is what is chosen where the element is a menu.
        """
        channel = self._where(message.channel).channels[message.channel]
        assert user.id in channel.members, f"{user.name} is not in {channel.name}"
        found = message.button(action_id, holding=holding)
        assert found is not None, f"no button {action_id} on the message, only {message.buttons}"
        block, button = found
        return await self.deliver("interactive", self.click_payload(user, message, block, button, value), copies=copies)

    def click_payload(self, user: User, message: Message, block: Json, button: Json, value: str | None = None) -> Json:
        """The block_actions payload of a button on a message."""
        ws = self._where(message.channel)
        url = self._response_url(ws, message.channel, user, message.ts)
        return payloads.on_message(ws, user, message, payloads.action(block, button, value), url)

    async def click_in_view(
        self, user: User, view: View, action_id: str, *, holding: str = "", value: str | None = None,
        values: Given | None = None,
    ) -> Delivery:  # fmt: skip
        """Press a button inside an open modal, or on the Home tab. ``values``: what was typed into inputs before."""
        assert view.open
        assert view.user == user.id
        shown = view.as_json()
        found = pick(shown["blocks"], action_id, holding)
        assert found is not None, f"no button {action_id} in the view, only {view.buttons}"
        shown["state"] = {"values": fill(shown["blocks"], values or {}, submitting=False)}
        ws = self.workspaces[view.team]
        return await self.deliver(
            "interactive", payloads.on_view(ws, user, shown, payloads.action(*found, value))
        )  # fmt: skip

    async def submit(self, user: User, view: View, values: Given | None = None, *, copies: int = 1) -> Delivery:
        """Fill in a modal (by block id) and press its submit button. What is not given keeps its initial value."""
        assert view.open
        assert view.user == user.id
        shown = view.as_json()
        shown["state"] = {"values": fill(shown["blocks"], values or {})}
        ws = self.workspaces[view.team]
        payload = {**payloads.head(ws, "view_submission", user), "view": shown, "response_urls": []}
        delivery = await self.deliver("interactive", payload, copies=copies)
        if delivery.acked:
            self._after_submission(view, delivery.body)
        return delivery

    async def close_view(self, user: User, view: View) -> Delivery | None:
        """Close a modal by hand; the app hears of it where it asked to."""
        assert view.open
        view.open = False
        if not view.content.get("notify_on_close"):
            return None
        ws = self.workspaces[view.team]
        payload = {**payloads.head(ws, "view_closed", user), "view": view.as_json(), "is_cleared": False}
        del payload["trigger_id"]
        return await self.deliver("interactive", payload)

    def _after_submission(self, view: View, answer: Any) -> None:
        if not answer:
            view.open = False
            return
        ws, methods = self.workspaces[view.team], self._methods[view.team]
        match answer["response_action"]:
            case "errors":
                inputs = {b["block_id"] for b in view.as_json()["blocks"] if b["type"] == "input"}
                assert answer["errors"], "response_action errors without errors"
                assert answer["errors"].keys() <= inputs, "errors must name input blocks"
                view.errors = answer["errors"]
            case "update":
                methods.replace(view, answer["view"])
            case "push":
                methods.check_view(answer["view"])
                assert len(ws.stack(view.root)) < MOST_STACKED
                ws.open_view(view.user, answer["view"], view.root)
            case "clear":
                for other in ws.stack(view.root):
                    other.open = False
            case other:
                raise AssertionError(f"unknown response_action {other}")

    async def command(self, user: User, channel: Channel, text: str, *, command: str = "/holdpoint") -> Delivery:
        """Type a slash command; the answer is an ephemeral message to who typed it."""
        ws = self._where(channel.id)
        payload = self.command_payload(user, channel, text, command=command)
        delivery = await self.deliver("slash_commands", payload)
        if delivery.acked and delivery.body:
            answer = delivery.body if isinstance(delivery.body, dict) else {"text": delivery.body}
            ws.ephemerals.append(Ephemeral(channel.id, user.id, answer.get("text", ""), answer.get("blocks") or []))
        return delivery

    def command_payload(self, user: User, channel: Channel, text: str, *, command: str = "/holdpoint") -> Json:
        """The payload of a slash command."""
        ws = self._where(channel.id)
        url = self._response_url(ws, channel.id, user, None)
        return payloads.slash(ws, user, {"id": channel.id, "name": channel.name}, command, text, url)

    async def event(self, event: Json, *, workspace: Workspace | None = None, times: int = 1) -> list[Delivery]:
        """An event of the Events API, with Slack's three retries until it is acknowledged.

        ``times``: delivered so often although it was acknowledged, as happens.
        """
        payload = self.event_payload(event, workspace=workspace)
        deliveries: list[Delivery] = []
        for attempt, reason in enumerate(EVENT_RETRIES):
            retry = {"x-slack-retry-num": str(attempt), "x-slack-retry-reason": reason} if attempt else {}
            deliveries.append(await self.deliver("events_api", payload, headers=retry))
            done = deliveries[-1].acked or deliveries[-1].headers.get("x-slack-no-retry") == "1"
            if done and len(deliveries) >= times:
                break
        return deliveries

    def event_payload(self, event: Json, *, workspace: Workspace | None = None) -> Json:
        """The payload of a new event."""
        ws = workspace or self.workspace
        return payloads.event_callback(ws, event, ws.number())

    # the Home tab

    async def open_home(self, user: User) -> View:
        """Open the app's Home tab, and wait until the app has published it anew."""
        ws = self._home_of(user)
        before = ws.homes.get(user.id)
        count = before.published if before else 0
        await self.event(payloads.home_opened(ws, user, before), workspace=ws)

        def published() -> View | None:
            view = ws.homes.get(user.id)
            return view if view is not None and view.published > count else None

        return await wait_until(published, f"{user.name}'s Home tab is published")

    def home(self, user: User) -> View | None:
        """What the Home tab shows now; None when it was never published."""
        return self._home_of(user).homes.get(user.id)

    # threads, and what people do to messages and channels

    def thread(self, message: Message) -> list[Message]:
        """The replies under a message, in the order of posting."""
        return self._where(message.channel).replies(message)

    def delete(self, message: Message) -> None:
        """Somebody who may deletes the message."""
        self._where(message.channel).delete(message)

    def archive(self, channel: Channel, *, archived: bool = True) -> None:
        """Archive a channel (or bring it back): everybody is out of it but in the books."""
        channel.archived = archived

    def kick(self, channel: Channel) -> None:
        """Take the app out of the channel."""
        channel.members.discard(self._where(channel.id).bot_user)

    def invite(self, channel: Channel) -> None:
        """``/invite @Holdpoint``."""
        channel.members.add(self._where(channel.id).bot_user)

    # the app's tokens

    async def revoke(self, workspace: Workspace) -> list[Delivery]:
        """An admin takes the app's tokens away; the app is told."""
        users = [workspace.bot_user]
        for token in list(workspace.bot_tokens):
            self.take_away(workspace, token)
        return await self.event(
            {"type": "tokens_revoked", "tokens": {"bot": users}, "event_ts": workspace.ts()}, workspace=workspace
        )

    async def uninstall(self, workspace: Workspace) -> list[Delivery]:
        """An admin removes the app from the workspace; the app is told twice."""
        for token in list(workspace.bot_tokens):
            self.take_away(workspace, token, "account_inactive")
        told = await self.event({"type": "app_uninstalled", "event_ts": workspace.ts()}, workspace=workspace)
        event = {"type": "tokens_revoked", "tokens": {"bot": [workspace.bot_user]}, "event_ts": workspace.ts()}
        return told + await self.event(event, workspace=workspace)

    async def settle(self) -> None:
        """Let what is on its way arrive."""
        for _ in range(5):
            await asyncio.sleep(0)

    def told(self, user: User) -> list[str]:
        """The ephemeral messages that the person got, as read."""
        return [e.text for ws in self.workspaces.values() for e in ws.ephemerals if e.user == user.id]

    def _where(self, channel_id: str) -> Workspace:
        return next(ws for ws in self.workspaces.values() if channel_id in ws.channels)

    def _home_of(self, user: User) -> Workspace:
        return next(ws for ws in self.workspaces.values() if user.id in ws.users)

    def _response_url(self, ws: Workspace, channel: str, user: User, message: str | None) -> str:
        return self.url.replace("/api/", f"/response/{ws.new_response_url(channel, user.id, message)}")
