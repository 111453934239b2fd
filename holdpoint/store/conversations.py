"""Where a chat platform told us that we are: conversations, and what is needed to speak there again after a restart.

No secrets, and nothing that decides who may do what: that is asked of the platform at every click.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter

from holdpoint.store import keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client


class ConversationKind(StrEnum):
    """What kind of place it is."""

    CHANNEL = "channel"
    GROUP = "group"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class Conversation:
    """One place on one platform ("teams"), as the platform last told us.

    ``service_url`` is where the platform takes our messages for it, ``tenant`` whose it is, ``bot`` our id there.
    ``team`` is the id of the team that a channel belongs to; ``name`` what people call the place. Of a personal chat,
    ``person`` is the principal (lower-case e-mail), ``user`` the platform's stable id of the person and ``member`` the one
    that this platform's calls want.
    """

    platform: str
    id: str
    kind: ConversationKind
    tenant: str
    service_url: str
    bot: str
    at_ms: int
    team: str = ""
    name: str = ""
    person: str = ""
    user: str = ""
    member: str = ""


_CONVERSATION = TypeAdapter(Conversation)


class Conversations:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, conversation: Conversation) -> None:
        """Note a place, over what was known of it; one with a person is found by them from now on."""
        field = f"{conversation.platform}:{conversation.id}"
        commands: list[tuple[str | bytes | int, ...]] = [("HSET", keys.CONVERSATIONS, field, to_json(conversation))]
        if conversation.person:
            of = f"{conversation.platform}:{conversation.person}"
            commands.append(("HSET", keys.CONVERSATIONS_OF, of, conversation.id))
        await self._client.pipeline(commands)

    async def get(self, platform: str, conversation_id: str) -> Conversation | None:
        """What is known of the place."""
        raw = await self._client.command("HGET", keys.CONVERSATIONS, f"{platform}:{conversation_id}")
        return _CONVERSATION.validate_json(raw) if raw else None

    async def of_person(self, platform: str, principal: str) -> Conversation | None:
        """The personal chat with ``principal``."""
        raw = await self._client.command("HGET", keys.CONVERSATIONS_OF, f"{platform}:{principal.lower()}")
        found = await self.get(platform, raw.decode()) if raw else None
        return found if found is not None and found.person == principal.lower() else None

    async def all(self, platform: str) -> list[Conversation]:
        """All of them, by id."""
        rows = [_CONVERSATION.validate_json(raw) for raw in await self._client.command("HVALS", keys.CONVERSATIONS)]
        return sorted((each for each in rows if each.platform == platform), key=lambda each: each.id)

    async def forget(self, platform: str, conversation_id: str) -> None:
        """We are not there any more."""
        await self._client.command("HDEL", keys.CONVERSATIONS, f"{platform}:{conversation_id}")
