"""The way in from Teams over HTTP, with handlers that write down what reaches them: real tokens, a real store, no Teams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from bot.teams.adapter import Adapter
from bot.teams.arrived import Activity, Click, Message
from bot.teams.intake import Intake
from bot.teams.listener import Handlers, Listener
from bot.teams.openid import SigningKeys
from bot.teams.reactions import Dialog, Opened, Reaction, Showed
from bot.teams.tokens import Tokens
from bot.web.teams_door import PATH, teams_routes
from holdpoint.clock import Clock, now_ms
from holdpoint.metrics import Metrics
from holdpoint.store import Store
from holdpoint.tasks import Tasks
from tests.bot.teams.key_server import KeyServer
from tests.fakes.teams.keys import ISSUER
from tests.fakes.teams.things import APP_ID, BOT, TENANT

RIGHT = "the right one"
SERVICE_URL = "https://smba.trafficmanager.net/amer/"
CONVERSATION = "19:security@thread.tacv2"
CARD = {"type": "AdaptiveCard", "version": "1.5", "body": []}
AAD = "cccccccc-0000-4000-8000-000000000003"


def activity(**changes: Any) -> dict[str, Any]:
    """A message to the bot in a channel; None leaves a field out."""
    value = {
        "type": "message", "id": "1700000000001", "channelId": "msteams", "serviceUrl": SERVICE_URL, "text": "help",
        "from": {"id": "29:sam", "name": "Sam", "aadObjectId": AAD}, "recipient": {"id": BOT, "name": "Holdpoint"},
        "conversation": {"id": f"{CONVERSATION};messageid=1699", "conversationType": "channel", "tenantId": TENANT},
        "channelData": {"tenant": {"id": TENANT}},
    }  # fmt: skip
    value |= changes
    return {name: each for name, each in value.items() if each is not None}


def execute(verb: str = "approve", **changes: Any) -> dict[str, Any]:
    """The invoke of a button."""
    action = {"type": "Action.Execute", "verb": verb, "data": {"verb": verb, "hold": "h0 d"}}
    value = {"action": action, "trigger": "manual"}
    return activity(
        **{
            "type": "invoke",
            "name": "adaptiveCard/action",
            "value": value,
            "replyToId": "1699",
            "text": None,
            **changes,
        }
    )


def dialog(name: str = "task/fetch", **changes: Any) -> dict[str, Any]:
    """The invoke of a dialog."""
    data = {"verb": "reject", "hold": "h0 d", "msteams": {"type": "task/fetch"}}
    value = {"data": data, "context": {"theme": "default"}}
    return activity(**{"type": "invoke", "name": name, "value": value, "replyToId": "1699", "text": None, **changes})


class Sent:
    """Stands for the connector: writes down what leaves."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    async def post(self, conversation: str, activity: Mapping[str, Any]) -> str:
        self.calls.append(("post", conversation, str(activity.get("text"))))
        return "1"

    async def reply(self, conversation: str, message: str, activity: Mapping[str, Any]) -> str:
        self.calls.append(("reply", conversation, message, str(activity.get("text"))))
        return "2"

    async def update(self, conversation: str, message: str, activity: Mapping[str, Any]) -> None:
        self.calls.append(("update", conversation, message, str(activity.get("text"))))

    async def delete(self, conversation: str, message: str) -> None:
        self.calls.append(("delete", conversation, message))


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reached:
    """What reached the handlers, and what they do: a test puts another coroutine function in place of one."""

    learnt: list[Activity] = field(default_factory=list)
    clicks: list[Click] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    gone: list[tuple[str, ...]] = field(default_factory=list)
    welcomed: list[Activity] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    on_click: Callable[[Click], Awaitable[Reaction]] | None = None
    on_dialog: Callable[[Click], Awaitable[Dialog]] | None = None
    on_message: Callable[[Message], Awaitable[None]] | None = None
    on_learn: Callable[[Activity], Awaitable[None]] | None = None
    on_tell: Callable[[str], Awaitable[None]] | None = None

    async def act(self, click: Click) -> Reaction:
        self.clicks.append(click)
        return await self.on_click(click) if self.on_click else Showed(CARD)

    async def open(self, click: Click) -> Dialog:
        self.clicks.append(click)
        return await self.on_dialog(click) if self.on_dialog else Opened("Reject", CARD)

    async def command(self, message: Message) -> None:
        self.messages.append(message)
        if self.on_message:
            await self.on_message(message)

    async def learn(self, arrived: Activity) -> None:
        self.learnt.append(arrived)
        if self.on_learn:
            await self.on_learn(arrived)

    async def forget(self, conversation: str) -> None:
        self.forgotten.append(conversation)

    async def left(self, conversation: str, members: Sequence[str]) -> None:
        self.gone.append((conversation, *members))

    async def welcome(self, arrived: Activity) -> None:
        self.welcomed.append(arrived)

    async def tell(self, _where: Activity, sentence: str) -> None:
        self.told.append(sentence)
        if self.on_tell:
            await self.on_tell(sentence)

    @property
    def handlers(self) -> Handlers:
        return Handlers(
            self.act, self.open, self.open, self.command, self.learn, self.forget, self.left, self.welcome, self.tell
        )


class Doorway:
    """One bot's way in. ``server`` signs for Teams."""

    def __init__(self, server: KeyServer, store: Store, *, clock: Clock = now_ms) -> None:
        self.server = server
        self.reached = Reached()
        self.metrics = Metrics()
        self.tasks = Tasks()
        self.sent = Sent()
        self.keys = SigningKeys(server.url, clock=clock)
        tokens = Tokens(self.keys, issuer=ISSUER, audience=APP_ID, clock=clock)
        listener = Listener(self.reached.handlers, store.seen, metrics=self.metrics, tasks=self.tasks)
        self.adapter = Adapter(self.sent)
        self.intake = Intake(tokens, self.adapter, listener, metrics=self.metrics)
        self.url = ""

    async def start(self) -> None:
        await self.keys.start()
        app = web.Application()
        app.router.add_routes(teams_routes(self.intake))
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{PATH}"
        self.client = aiohttp.ClientSession()

    async def stop(self) -> None:
        await self.client.close()
        await self._runner.cleanup()
        await self.tasks.aclose()
        await self.keys.aclose()

    async def send(self, value: object, *, header: str | None = RIGHT, **more: Any) -> Answer:
        """POST ``value`` (bytes as they are) with a right token, or another ``header`` (None: without)."""
        said = value.get("serviceUrl") if isinstance(value, dict) else None
        right = self.server.ring.bearer(said if isinstance(said, str) else SERVICE_URL)
        authorization = right if header == RIGHT else header
        headers = {"Content-Type": "application/json"}
        if authorization is not None:
            headers["Authorization"] = authorization
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        async with self.client.post(self.url, **{"data": body, "headers": headers, **more}) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())

    async def many(self, *values: object) -> list[Answer]:
        return list(await asyncio.gather(*(self.send(value) for value in values)))
