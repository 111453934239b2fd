"""Where the cards of a hold stand, so that every copy can be found and redrawn, after a crash too.

A place is written twice: before the post, as an intent, and after it, with what the platform said. Who finds an intent
without a place looks for the message by the intent's id before it posts another one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import orjson

from holdpoint.clock import Clock
from holdpoint.store import keys
from holdpoint.store.client import Client, as_dict

_TTL_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class CardPlace:
    """One copy of a card. ``message`` is the platform's id (Slack's ts), empty while it is only intended.

    ``channel`` is the platform's channel id as it came back (a DM's ``D…``). ``shown_rev`` is the hold's ``rev`` that
    the copy shows, ``shown`` the SHA-256 of the rendering, so that an unchanged card is not sent again. ``refused`` is
    the platform's word when it will never take this card.
    """

    intent: str
    intended_ms: int
    channel: str = ""
    message: str = ""
    shown_rev: int = 0
    shown: str = ""
    refused: str = ""


class Cards:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def all(self, hold_id: str) -> dict[str, CardPlace]:
        """Target ("slack:C0123", "slack:dm:dana@example.com") → its copy."""
        row = await self._client.command("HGETALL", keys.cards(hold_id))
        return {target.decode(): CardPlace(**orjson.loads(raw)) for target, raw in as_dict(row).items()}

    async def intend(self, hold_id: str, target: str, *, intent: str) -> bool:
        """Say that this copy is about to be posted. False when there is a place or an intent already."""
        place = CardPlace(intent=intent, intended_ms=self._clock())
        return bool(await self._write("HSETNX", hold_id, target, place))

    async def posted(self, hold_id: str, target: str, *, place: CardPlace) -> None:
        """The copy stands at ``place`` and shows what it says."""
        await self._write("HSET", hold_id, target, place)

    async def forget(self, hold_id: str, target: str) -> None:
        """There is no such copy (any more)."""
        await self._client.command("HDEL", keys.cards(hold_id), target)

    async def _write(self, command: str, hold_id: str, target: str, place: CardPlace) -> int:
        key = keys.cards(hold_id)
        answer, _ = await self._client.pipeline(
            [(command, key, target, orjson.dumps(asdict(place))), ("PEXPIRE", key, _TTL_MS)]
        )
        return int(answer)


def adopted(place: CardPlace, *, channel: str, message: str) -> CardPlace:
    """The place of a message that was found on the platform, showing nobody knows what."""
    return replace(place, channel=channel, message=message, shown_rev=0, shown="")
