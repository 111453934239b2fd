"""The Bot Connector v3, as Teams answers it: `handle` is every call of the bot.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference; errors from
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/conversation-messages#status-code-responses
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.teams import activities, rosters
from tests.fakes.teams.faults import Faults, error_body, suffer
from tests.fakes.teams.login import SCOPE, Login
from tests.fakes.teams.rates import Rates
from tests.fakes.teams.things import BotsFault, Json, Place, Says, bare
from tests.fakes.teams.world import World

WRITES = frozenset({"post", "reply", "update", "delete"})
WRITING_S = 0.004  # how long a write takes: two at once are found out
TROUBLES = {
    "BotNotInConversationRoster": "The bot is not part of the conversation roster.",
    "BotDisabledByAdmin": "The tenant admin disabled this bot.",
    "MessageWritesBlocked": "Message writes are blocked for this conversation.",
    "ConversationBlockedByUser": "User blocked the conversation with the bot.",
    "ForbiddenOperationException": "Bot is not installed in user's personal scope.",
}


@dataclass
class Call:
    """One call as it came and was answered; ``status`` 0: the connection was broken."""

    operation: str
    conversation: str
    message: str
    status: int
    code: str
    why: str
    at_s: float
    body: Any

    def as_json(self) -> Json:
        return dict(vars(self))


@dataclass
class Connector:
    world: World
    login: Login
    faults: Faults
    rates: Rates
    calls: list[Call] = field(default_factory=list)
    overlaps: int = 0
    _writing: Counter[str] = field(default_factory=Counter)

    async def handle(self, request: web.Request, operation: str) -> web.Response:
        """Answer, after what is in the way: faults, token, rate, address."""
        info = request.match_info
        conversation, message = info.get("conversation", ""), info.get("message", "")
        raw = await request.read()
        call = Call(operation, bare(conversation), message, 0, "", "", self.world.now_s(), _loaded(raw))
        self.calls.append(call)
        fault = self.faults.take(operation, conversation)
        instead = None
        if fault is not None and not fault.committed:
            instead = await suffer(self.faults, fault, request, None)
        answer = instead or await self._answer(request, call, conversation)
        if fault is not None and fault.committed:
            answer = await suffer(self.faults, fault, request, answer) or answer
        call.status = 0 if fault is not None and fault.kind == "reset" else answer.status
        return answer

    async def _answer(self, request: web.Request, call: Call, conversation: str) -> web.Response:
        try:
            self.login.check(request.headers.get("Authorization"), SCOPE, self.world.now_s())
            body = await self._done(request, call, conversation)
        except Says as says:
            call.code, call.why = says.code, says.message
            if isinstance(says, BotsFault):
                self.world.problem(f"{call.operation}: {says}")
            headers = {"Retry-After": says.message} if says.status == 429 else {}
            text = "Too many requests." if says.status == 429 else says.message
            return web.json_response(error_body(says.code, text), status=says.status, headers=headers)
        status = 201 if call.operation in {"post", "reply", "create"} else 200
        return web.Response(status=status) if body is None else web.json_response(body, status=status)

    async def _done(self, request: web.Request, call: Call, conversation: str) -> Json | list[Json] | None:
        operation = call.operation
        if operation == "create":
            self._spend("create", str(call.body.get("members")) if isinstance(call.body, dict) else "")
            return rosters.create(self.world, call.body, request.match_info["region"])
        place = self._place(conversation, request.match_info["region"])
        if operation in WRITES:
            self._spend("write", place.id)
            return await self._write(call, place, conversation)
        if operation == "channels" and place.id != place.team:
            raise Says(404, "ConversationNotFound", "Team not found.")
        self._spend("roster" if operation == "members" else "read", place.id)
        return rosters.read(self.world, place, operation, request)

    def _place(self, conversation: str, region: str) -> Place:
        place = self.world.place(conversation)
        if place.region != region:
            raise Says(404, "ConversationNotFound", "Conversation not found.")
        if place.trouble:
            raise Says(403, place.trouble, TROUBLES[place.trouble])
        if place.kind == "personal":
            person = self.world.people[place.members[0]]
            if person.blocked:
                raise Says(403, "MessageWritesBlocked", TROUBLES["MessageWritesBlocked"])
        if not place.bot_in:
            raise Says(403, "BotNotInConversationRoster", TROUBLES["BotNotInConversationRoster"])
        return place

    def _spend(self, family: str, conversation: str) -> None:
        seconds = self.rates.spend(family, conversation, self.world.now_s())
        if seconds is not None:
            raise Says(429, "Throttled", str(seconds))

    async def _write(self, call: Call, place: Place, conversation: str) -> Json | None:
        if self._writing[place.id]:
            self.overlaps += 1
            raise Says(412, "PreconditionFailed", "Precondition failed, please try again.")
        self._writing[place.id] += 1
        try:
            await asyncio.sleep(WRITING_S)
            return self._written(call, place, conversation)
        finally:
            self._writing[place.id] -= 1

    def _written(self, call: Call, place: Place, conversation: str) -> Json | None:
        world, activity = self.world, call.body
        if call.operation == "delete":
            own = self._own(place, call.message)
            own.deleted = True
            return None
        activities.check(world, place, activity)
        if call.operation == "update":
            own = self._own(place, call.message)
            own.history.append(own.activity)
            own.activity = activity
            own.edits += 1
            own.views.clear()
            return {"id": own.id}
        if call.operation == "reply":
            world.message(place.id, call.message)
        if activity["type"] == "typing":
            return {"id": world.new_id()}
        root = self._root(place, conversation)
        return {"id": world.put(place.id, activity, root=root).id}

    def _own(self, place: Place, message_id: str) -> Any:
        message = self.world.message(place.id, message_id)
        if message.sender != "bot":
            raise Says(403, "NotEnoughPermissions", "Bots can only change their own messages.")
        return message

    def _root(self, place: Place, conversation: str) -> str:
        """The thread is in the address, ``;messageid=``; what is replied to decides nothing."""
        thread = conversation.partition(";messageid=")[2]
        if not thread or place.kind != "channel":
            return ""
        found = self.world.messages.get((place.id, thread))
        if found is None:
            raise Says(404, "ConversationNotFound", "Conversation not found.")
        return found.root


def _loaded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None
