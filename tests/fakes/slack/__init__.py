"""A strict fake of Slack: a real HTTP and WebSocket server with one workspace, and the people in it.

`FakeSlack` is the server plus what a person at a client can do: `click`, `submit`, `command`. A person only sees what
was really posted: a click needs a message, a membership and a button that is on it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.fakes.slack.server import Call, Delivery, Fault, SlackServer
from tests.fakes.slack.text import Seen, utf16
from tests.fakes.slack.workspace import Channel, Ephemeral, Json, Message, User, View

__all__ = ["Call", "Channel", "Delivery", "Ephemeral", "FakeSlack", "Fault", "Message", "Seen", "User", "View", "utf16"]
EVENT_RETRIES = ("", "http_error", "http_error", "http_error")


class FakeSlack(SlackServer):
    """The server, and the hands of its people."""

    async def click(
        self, user: User, message: Message, action_id: str, *, value: str | None = None, copies: int = 1
    ) -> Delivery:
        """Press a button of a message. ``value`` forges another one than the button's."""
        channel = self.workspace.channels[message.channel]
        assert user.id in channel.members, f"{user.name} is not in {channel.name}"
        found = message.button(action_id)
        assert found is not None, f"no button {action_id} on the message, only {message.buttons}"
        block, button = found
        return await self.deliver("interactive", self.click_payload(user, message, block, button, value), copies=copies)

    def click_payload(self, user: User, message: Message, block: Json, button: Json, value: str | None = None) -> Json:
        """The block_actions payload of a button on a message."""
        channel = self.workspace.channels[message.channel]
        key = self.workspace.new_response_url(channel.id, user.id, message.ts)
        return {
            **self._head("block_actions", user),
            "container": {"type": "message", "message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": False},
            "channel": {"id": channel.id, "name": channel.name},
            "message": message.as_json(with_metadata=True),
            "state": {"values": {}},
            "response_url": self.url.replace("/api/", f"/response/{key}"),
            "actions": [self._action(block, button, value)],
        }

    async def click_in_view(self, user: User, view: View, action_id: str) -> Delivery:
        """Press a button inside an open modal."""
        assert view.open
        shown = view.as_json()
        for block in shown["blocks"]:
            for button in block.get("elements", []) if block["type"] == "actions" else []:
                if button["action_id"] == action_id:
                    payload = {
                        **self._head("block_actions", user), "container": {"type": "view", "view_id": view.id},
                        "view": shown, "actions": [self._action(block, button, None)],
                    }  # fmt: skip
                    return await self.deliver("interactive", payload)
        raise AssertionError(f"no button {action_id} in the modal")

    async def submit(
        self, user: User, view: View, values: dict[str, str | None] | None = None, *, copies: int = 1
    ) -> Delivery:
        """Fill in a modal (by block id) and press its submit button. What is not given keeps its initial value."""
        assert view.open
        assert view.user == user.id
        shown, given = view.as_json(), values or {}
        filled: Json = {}
        for block in shown["blocks"]:
            if block["type"] != "input":
                continue
            element = block["element"]
            text = given.get(block["block_id"], element.get("initial_value"))
            assert text or block.get("optional"), f"the client does not submit {block['block_id']} empty"
            assert utf16(text or "") <= element.get("max_length", 3000), (
                f"{block['block_id']} is too long for the client"
            )
            filled[block["block_id"]] = {element["action_id"]: {"type": "plain_text_input", "value": text or None}}
        assert given.keys() <= filled.keys(), f"no such inputs: {given.keys() - filled.keys()}"
        shown["state"] = {"values": filled}
        payload = {**self._head("view_submission", user), "view": shown, "response_urls": []}
        delivery = await self.deliver("interactive", payload, copies=copies)
        if delivery.acked:
            self._after_submission(view, delivery.body)
        return delivery

    def _after_submission(self, view: View, answer: Any) -> None:
        if not answer:
            view.open = False
            return
        match answer["response_action"]:
            case "errors":
                inputs = {b["block_id"] for b in view.as_json()["blocks"] if b["type"] == "input"}
                assert answer["errors"], "response_action errors without errors"
                assert answer["errors"].keys() <= inputs, "errors must name input blocks"
                view.errors = answer["errors"]
            case "update":
                self.methods.replace(view, answer["view"])
            case "push":
                self.methods.check_view(answer["view"])
                assert len(self.workspace.stack(view.root)) < 3
                self.workspace.open_view(view.user, answer["view"], view.root)
            case "clear":
                for other in self.workspace.stack(view.root):
                    other.open = False
            case other:
                raise AssertionError(f"unknown response_action {other}")

    async def command(self, user: User, channel: Channel, text: str, *, command: str = "/holdpoint") -> Delivery:
        """Type a slash command; the answer is an ephemeral message to who typed it."""
        key = self.workspace.new_response_url(channel.id, user.id, None)
        payload = {
            "token": "legacy", "api_app_id": "A0APP", "team_id": user.team, "team_domain": "fake",
            "channel_id": channel.id, "channel_name": channel.name, "user_id": user.id, "user_name": user.name.split()[0].lower(),
            "command": command, "text": text, "response_url": self.url.replace("/api/", f"/response/{key}"),
            "trigger_id": self.workspace.new_trigger(user.id), "is_enterprise_install": "false",
        }  # fmt: skip
        if user.enterprise is not None:
            payload |= {"enterprise_id": user.enterprise, "enterprise_name": "Grid"}
        delivery = await self.deliver("slash_commands", payload)
        if delivery.acked and delivery.body:
            answer = delivery.body if isinstance(delivery.body, dict) else {"text": delivery.body}
            self.workspace.ephemerals.append(
                Ephemeral(channel.id, user.id, answer.get("text", ""), answer.get("blocks") or [])
            )
        return delivery

    async def event(self, event: Json) -> list[Delivery]:
        """An event of the Events API, with Slack's three retries until it is acknowledged."""
        number = self.workspace.number()
        payload = {
            "token": "legacy", "team_id": "T0TEAM", "api_app_id": "A0APP", "type": "event_callback", "event": event,
            "event_id": f"Ev{number:04}", "event_time": self.workspace.now_ms() // 1000, "authorizations": [],
        }  # fmt: skip
        deliveries: list[Delivery] = []
        for attempt, reason in enumerate(EVENT_RETRIES):
            retry = {"x-slack-retry-num": str(attempt), "x-slack-retry-reason": reason} if attempt else {}
            deliveries.append(await self.deliver("events_api", payload, headers=retry))
            if deliveries[-1].acked:
                break
        return deliveries

    async def settle(self) -> None:
        """Let what is on its way arrive."""
        for _ in range(5):
            await asyncio.sleep(0)

    def told(self, user: User) -> list[str]:
        """The ephemeral messages that the person got, as read."""
        return [e.text for e in self.workspace.ephemerals if e.user == user.id]

    def _head(self, kind: str, user: User) -> Json:
        team = {"id": user.team, "domain": "fake"}
        if user.enterprise is not None:
            team |= {"enterprise_id": user.enterprise, "enterprise_name": "Grid"}
        return {
            "type": kind, "team": team, "user": {"id": user.id, "username": user.name.split()[0].lower(), "name": user.name.split()[0].lower(), "team_id": user.team},
            "api_app_id": "A0APP", "token": "legacy", "trigger_id": self.workspace.new_trigger(user.id),
            "enterprise": {"id": user.enterprise, "name": "Grid"} if user.enterprise else None, "is_enterprise_install": False,
        }  # fmt: skip

    def _action(self, block: Json, button: Json, value: str | None) -> Json:
        action = {
            "type": "button",
            "action_id": button["action_id"],
            "block_id": block.get("block_id", "b0"),
            "text": button["text"],
            "action_ts": "1.0",
        }
        if value is not None or "value" in button:
            action["value"] = value if value is not None else button["value"]
        return action | ({"style": button["style"]} if "style" in button else {})
