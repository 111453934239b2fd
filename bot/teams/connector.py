"""The door to Teams' Bot Connector (v3): messages and rosters, over the service URL of each conversation.

::

    call ─▶ places: where, whose ─▶ one write at a time for each conversation ─▶ pace ─▶ token ─▶ HTTP ─▶ replies

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference. A call has a budget
of seconds for everything, queueing and repeating included. What had an effect perhaps is never repeated if it makes a
message, but where Microsoft says that it must be (502, 504). The token goes to https addresses only, or to this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from bot.teams.arrived import bare
from bot.teams.courier import Courier, Errand
from bot.teams.credentials import Credentials
from bot.teams.pace import Family, Rank
from bot.teams.replies import TeamsRefused
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable
from holdpoint.store.conversations import Conversation, ConversationKind
from holdpoint.urls import is_safe

__all__ = ["Connector", "KnownPlaces", "TeamsRefused"]

PAGE = 500  # members of one page, Teams' maximum
MOST_PAGES = 20

Activity = Mapping[str, Any]


class KnownPlaces(Protocol):
    """What is asked of `bot.teams.places.Places`."""

    async def get(self, conversation: str) -> Conversation | None:
        """The conversation of that bare id, where the bot is in it."""
        ...


class Connector:
    """Open with `start`, close with `aclose`. Conversations are bare ids (no ``;messageid=``).

    Every method raises, besides what it says:
        ChannelRefused: Holdpoint is not in the conversation, or Teams refuses (`TeamsRefused`).
        MessageGone: the message was deleted.
        NobodyThere: a personal chat whose person has removed or blocked the app.
        AccessLost: Teams or the login service refuses the bot as such.
        ChannelUnavailable: not now. With ``retry_after_seconds`` it certainly had no effect.
        StoreUnavailable: Redis is lost, so nobody knows where the conversation is.
    """

    def __init__(self, credentials: Credentials, places: KnownPlaces, *, clock: Clock) -> None:
        self._places = places
        self._courier = Courier(credentials, clock=clock)

    async def start(self) -> None:
        """Open the connection pool that all calls share."""
        await self._courier.start()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._courier.aclose()

    async def post(self, conversation: str, activity: Activity, *, can_wait: bool = False) -> str:
        """A new message; its id."""
        return await self._send(conversation, activity, rank=Rank.LAST if can_wait else Rank.CARD)

    async def reply(self, conversation: str, message: str, activity: Activity, *, can_wait: bool = False) -> str:
        """A message in the thread of ``message``, where the conversation has threads; its id."""
        return await self._send(conversation, activity, thread=message, rank=_rank(can_wait=can_wait))

    async def update(self, conversation: str, message: str, activity: Activity, *, can_wait: bool = False) -> None:
        """Replace a message of ours."""
        path = f"/activities/{_segment(message)}"
        await self._write(conversation, "PUT", path, {**activity, "id": message}, rank=_rank(can_wait=can_wait))

    async def delete(self, conversation: str, message: str) -> None:
        """Take a message of ours away."""
        await self._write(conversation, "DELETE", f"/activities/{_segment(message)}", None, rank=Rank.LAST)

    async def member(self, conversation: str, member: str) -> Mapping[str, Any] | None:
        """The roster's entry of a person (``29:…``); None where they are not in it."""
        try:
            found = await self._read(conversation, f"/members/{_segment(member)}")
            _id_in(found)
            return found
        except TeamsRefused as error:
            if error.status == 404 and error.code != "ConversationNotFound":
                return None
            raise

    async def members(self, conversation: str) -> Sequence[Mapping[str, Any]]:
        """Everybody in the roster, as far as ten thousand."""
        found: list[Mapping[str, Any]] = []
        query = ""
        for _ in range(MOST_PAGES):
            page = await self._read(conversation, f"/pagedmembers?pageSize={PAGE}{query}")
            members, after = page.get("members"), page.get("continuationToken")
            if not isinstance(members, list):
                raise ChannelUnavailable("Teams answers without a roster")
            found += (each for each in members if isinstance(each, dict))
            if not isinstance(after, str) or not after:
                break
            query = f"&continuationToken={_segment(after)}"
        return found

    async def channels(self, conversation: str) -> Sequence[Mapping[str, Any]]:
        """The channels of a team of which ``conversation`` is one: id, name (None for General), type.

        https://learn.microsoft.com/microsoftteams/platform/bots/how-to/get-teams-context#get-the-list-of-channels-in-a-team
        """

        def errand_at(place: Conversation) -> Errand:
            team = place.team or place.id
            # A lane of its own: when this is refused, the members of the team can be asked for all the same.
            return Errand(
                "GET", f"{_base(place)}/teams/{_segment(team)}/conversations", None, family=Family.READ,
                lane=f"{team} channels", tenant=place.tenant, rank=Rank.CARD, personal=False, repeatable=True,
            )  # fmt: skip

        found = (await self._at(conversation, errand_at)).get("conversations")
        if not isinstance(found, list):
            raise ChannelUnavailable("Teams answers without channels")
        return [each for each in found if isinstance(each, dict)]

    async def open_personal(self, conversation: Conversation, member: str) -> str:
        """The id of the chat with somebody who is in ``conversation``; made if need be, and always the same one.

        Raises:
            NobodyThere: the app is not installed for them.
        """
        body = {
            "isGroup": False, "bot": {"id": conversation.bot}, "members": [{"id": member}],
            "tenantId": conversation.tenant, "channelData": {"tenant": {"id": conversation.tenant}},
        }  # fmt: skip
        errand = Errand(
            "POST", _root(conversation), body, family=Family.WRITE, lane=f"{conversation.tenant} {member}",
            tenant=conversation.tenant, rank=Rank.FIRST, personal=True, repeatable=True,
        )  # fmt: skip
        return _id_in(await self._courier.run(errand))

    async def _send(self, conversation: str, activity: Activity, *, rank: Rank, thread: str = "") -> str:
        said = await self._write(conversation, "POST", "/activities", activity, rank=rank, thread=thread)
        return _id_in(said)

    async def _write(
        self, conversation: str, method: str, path: str, activity: Activity | None, *, rank: Rank, thread: str = ""
    ) -> Mapping[str, Any]:
        def errand_at(place: Conversation) -> Errand:
            has_threads = place.kind is ConversationKind.CHANNEL
            where = f"{place.id};messageid={thread}" if thread and has_threads else place.id
            return Errand(
                method, f"{_root(place)}/{_segment(where)}{path}", _addressed(activity, place, where),
                family=Family.WRITE, lane=place.id, tenant=place.tenant, rank=rank,
                personal=place.kind is ConversationKind.PERSONAL, repeatable=method != "POST",
            )  # fmt: skip

        return await self._at(conversation, errand_at)

    async def _read(self, conversation: str, path: str) -> Mapping[str, Any]:
        def errand_at(place: Conversation) -> Errand:
            where = place.team or place.id  # the people of a channel are its team's
            return Errand(
                "GET", f"{_root(place)}/{_segment(where)}{path}", None, family=Family.READ, lane=where,
                tenant=place.tenant, rank=Rank.FIRST, personal=place.kind is ConversationKind.PERSONAL, repeatable=True,
            )  # fmt: skip

        return await self._at(conversation, errand_at)

    async def _at(self, conversation: str, errand_at: Callable[[Conversation], Errand]) -> Mapping[str, Any]:
        place = await self._place(conversation)
        try:
            return await self._courier.run(errand_at(place))
        except TeamsRefused as error:
            moved = await self._place(conversation) if error.code == "ConversationNotFound" else place
            if moved.service_url == place.service_url:
                raise
            return await self._courier.run(errand_at(moved))

    async def _place(self, conversation: str) -> Conversation:
        place = await self._places.get(bare(conversation))
        if place is None:
            raise ChannelRefused(
                "Holdpoint is not in this conversation: add the app to the team or chat, or mention it there; it cannot be "
                "in private and shared channels"
            )
        return place


def _rank(*, can_wait: bool) -> Rank:
    return Rank.LAST if can_wait else Rank.FIRST


def _root(place: Conversation) -> str:
    """Where conversations are at the place's service URL (ChannelRefused, see `_base`)."""
    return f"{_base(place)}/conversations"


def _base(place: Conversation) -> str:
    """Where version 3 of the connector is at the place's service URL.

    Raises:
        ChannelRefused: whoever listens there could be anybody.
    """
    if not is_safe(place.service_url):
        raise ChannelRefused("Teams' service URL of this conversation is neither https nor on this machine")
    return f"{place.service_url.rstrip('/')}/v3"


def _segment(text: str) -> str:
    return quote(text, safe="")


def _addressed(activity: Activity | None, place: Conversation, where: str) -> Activity | None:
    """The activity with what the connector wants in each: who speaks, and where."""
    if activity is None:
        return None
    return {"type": "message", **activity, "from": {"id": place.bot}, "conversation": {"id": where}}


def _id_in(said: Mapping[str, Any]) -> str:
    """The id in an answer. There is a message, but where it is nobody knows: the caller must not take it for unsent."""
    found = said.get("id")
    if not isinstance(found, str) or not found:
        raise ChannelUnavailable("Teams answers without an id")
    return found
