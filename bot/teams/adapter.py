"""The Bot Framework's adapter with nothing of its own on the wire: callbacks are verified and messages sent by our code.

::

    verified activity ─▶ CloudAdapterBase ─▶ a TurnContext ─▶ the listener ─▶ an invoke's answer
    whatever the listener sends ─▶ send/update/delete ─▶ Sends (`bot.teams.connector.Connector`)

The SDK's own client blocks the event loop, tries once, and turns bodies of invokes into errors; it is never made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from botbuilder.core import CloudAdapterBase, InvokeResponse, TurnContext
from botbuilder.schema import Activity as SdkActivity
from botbuilder.schema import ActivityTypes, ConversationReference, ResourceResponse
from botframework.connector.auth import (
    AuthenticateRequestResult,
    BotFrameworkAuthentication,
    ClaimsIdentity,
    ConnectorFactory,
)

from bot.teams.arrived import Activity, bare, text_at
from bot.teams.tokens import Caller

_TEXTS = ("type", "id", "name", "action", "channelId", "serviceUrl", "replyToId")
_ACCOUNTS = ("from", "recipient", "conversation")
_TURN = "holdpoint.turn"

Logic = Callable[[TurnContext], Awaitable[None]]


class Sends(Protocol):
    """How messages leave (`bot.teams.connector.Connector`)."""

    async def post(self, conversation: str, activity: Mapping[str, Any]) -> str: ...
    async def reply(self, conversation: str, message: str, activity: Mapping[str, Any]) -> str: ...
    async def update(self, conversation: str, message: str, activity: Mapping[str, Any]) -> None: ...
    async def delete(self, conversation: str, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Returned:
    """The answer to a callback: HTTP status, and the body as JSON (empty: none)."""

    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn of the listener is about: the activity as it came, and until when it has to be answered (loop time)."""

    activity: Activity
    deadline: float


def turn_of(context: TurnContext) -> Turn:
    """The turn that the SDK's ``context`` stands for."""
    turn: Turn = context.turn_state[_TURN]
    return turn


class Adapter(CloudAdapterBase):  # type: ignore[misc]  # the SDK has no types
    """Turns one verified activity into one turn of the listener."""

    def __init__(self, sends: Sends) -> None:
        super().__init__(_Verified())
        self._sends = sends

    async def receive(self, turn: Turn, caller: Caller, logic: Logic) -> Returned:
        """Run ``logic`` for one verified activity. What it raises is raised."""

        async def run(context: TurnContext) -> None:
            context.turn_state[_TURN] = turn
            await logic(context)

        verified = AuthenticateRequestResult()
        verified.claims_identity = ClaimsIdentity(dict(caller.claims), is_authenticated=True)
        verified.audience = str(caller.claims.get("aud", ""))
        verified.connector_factory = _NoClients()
        answer = await self.process_activity(verified, _known(turn.activity), run)
        if not isinstance(answer, InvokeResponse):
            return Returned(200)
        body = b"" if answer.body is None else orjson.dumps(answer.body)
        return Returned(int(answer.status), body)

    async def send_activities(
        self, context: TurnContext, activities: Sequence[SdkActivity]
    ) -> list[ResourceResponse]:  # fmt: skip
        """Send each, in order; an invoke's answer is kept for the HTTP answer. See `Sends` for what it raises."""
        sent: list[ResourceResponse] = []
        for activity in activities:
            identifier = ""
            if activity.type == ActivityTypes.invoke_response:
                context.turn_state[self._INVOKE_RESPONSE_KEY] = activity
            elif activity.type != ActivityTypes.trace:
                identifier = await self._send(activity)
            sent.append(ResourceResponse(id=identifier))
        return sent

    async def update_activity(self, context: TurnContext, activity: SdkActivity) -> ResourceResponse:  # noqa: ARG002 - the SDK's
        """Replace a message. See `Sends` for what it raises."""
        await self._sends.update(bare(activity.conversation.id), activity.id, activity.serialize())
        return ResourceResponse(id=activity.id)

    async def delete_activity(self, context: TurnContext, reference: ConversationReference) -> None:  # noqa: ARG002 - the SDK's
        """Take a message away. See `Sends` for what it raises."""
        await self._sends.delete(bare(reference.conversation.id), reference.activity_id)

    async def _send(self, activity: SdkActivity) -> str:
        conversation = activity.conversation.id
        thread = conversation.partition(";messageid=")[2]
        if thread:
            return await self._sends.reply(bare(conversation), thread, activity.serialize())
        return await self._sends.post(bare(conversation), activity.serialize())


def _known(activity: Activity) -> SdkActivity:
    """What the SDK is told: what it dispatches and addresses by. It fails on odd shapes of the rest."""
    texts = {name: activity[name] for name in _TEXTS if activity.get(name)}
    accounts = {name: {"id": text_at(activity, name, "id")} for name in _ACCOUNTS}
    return SdkActivity().deserialize(texts | accounts)


class _NoClients(ConnectorFactory):  # type: ignore[misc]  # the SDK has no types
    """The SDK insists on a client for every turn: this is one that can do nothing."""

    async def create(self, service_url: str, audience: str) -> object:  # noqa: ARG002 - the SDK's
        return object()


class _Verified(BotFrameworkAuthentication):  # type: ignore[misc]  # the SDK has no types
    """What the SDK asks of an authentication after we have done it: nothing but a client for signing users in."""

    async def create_user_token_client(self, claims_identity: ClaimsIdentity) -> None:  # noqa: ARG002 - the SDK's
        return None

    async def authenticate_request(self, activity: SdkActivity, auth_header: str) -> AuthenticateRequestResult:
        raise NotImplementedError("callbacks are verified by bot.teams.tokens")

    async def authenticate_streaming_request(
        self, auth_header: str, channel_id_header: str
    ) -> AuthenticateRequestResult:
        raise NotImplementedError("there are no streams")

    def create_connector_factory(self, claims_identity: ClaimsIdentity) -> ConnectorFactory:
        raise NotImplementedError("messages leave by bot.teams.connector")
