"""Where the cards of a hold stand, so that every copy can be found and redrawn, after a crash too.

A place is written twice: before the post, as an intent, and after it, with what the platform said. Who finds an intent
without a place looks for the message by the intent's id before it posts another one. A hold that has no card of its own
somewhere, because one card stands for several, has a pointer to that card there (see bundles.py), whose places are kept
here too, under the bundle's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import orjson

from holdpoint.clock import Clock
from holdpoint.model import State
from holdpoint.store import keys
from holdpoint.store.client import Client, Script, as_dict

TTL_MS = 30 * 86_400_000
_BATCH = 500
_PLACE = Script("place")
_SAY = Script("say")


@dataclass(frozen=True, slots=True)
class CardPlace:
    """One copy of a card. ``message`` is the platform's id (Slack's ts), empty while it is only intended.

    ``channel`` is the platform's channel id as it came back (a DM's ``D…``). ``shown_rev`` is the hold's ``rev`` that
    the copy shows, ``shown`` the SHA-256 of the rendering, so that an unchanged card is not sent again, ``gist`` that
    of what matters in it. ``refused`` is the platform's word when it will not take this card. ``bundle`` names the
    bundle whose card shows the hold instead; then ``intent`` is that id, too, and the rest is empty.
    """

    intent: str
    intended_ms: int
    channel: str = ""
    message: str = ""
    shown_rev: int = 0
    shown: str = ""
    gist: str = ""
    refused: str = ""
    bundle: str = ""


@dataclass(frozen=True, slots=True)
class Failing:
    """A target ("slack:C0123"; "slack" or "slack:T0123" for all of it) whose last card was refused, and why, as a line for the admin."""

    target: str
    text: str
    at_ms: int


class Cards:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock, retention_ms: int) -> None:
        self._client = client
        self._clock = clock
        self._retention_ms = retention_ms

    async def all(self, hold_id: str) -> dict[str, CardPlace]:
        """Target ("slack:C0123", "slack:dm:dana@example.com") → its copy."""
        return _places(await self._client.command("HGETALL", keys.cards(hold_id)))

    async def all_of(self, hold_ids: Sequence[str]) -> list[dict[str, CardPlace]]:
        """The same for many holds, in their order."""
        rows = await self._client.pipeline([("HGETALL", keys.cards(hold_id)) for hold_id in hold_ids])
        return [_places(row) for row in rows]

    async def get(self, hold_id: str, target: str) -> CardPlace | None:
        """One copy; None when there is none, nor the intent of one."""
        raw = await self._client.command("HGET", keys.cards(hold_id), target)
        return CardPlace(**orjson.loads(raw)) if raw else None

    async def intend(self, hold_id: str, target: str, *, intent: str) -> bool:
        """Say that this copy is about to be posted. False when there is a place or an intent already."""
        place, key = CardPlace(intent=intent, intended_ms=self._clock()), keys.cards(hold_id)
        answer, _ = await self._client.pipeline([("HSETNX", key, target, _json(place)), ("PEXPIRE", key, TTL_MS)])
        return bool(answer)

    async def posted(
        self, hold_id: str, target: str, *, place: CardPlace, seen: str | None = None, taken: bool | None = None
    ) -> bool:
        """The copy stands at ``place`` and shows what it says. False, and nothing done, when it is another copy by now.

        So it is when ``place`` has no message, and the copy was posted since it was read.

        ``seen`` is the intent of the place that it follows (None: the same one). ``taken``: the platform has just taken
        something at this target (True) or refused it (False, with ``place.refused``); None: nothing was sent.
        """
        refusal = orjson.dumps({"text": place.refused, "at_ms": self._clock()})
        word = b"" if taken is None else b"-" if taken else refusal
        answer = await self._client.script(
            _PLACE,
            [keys.cards(hold_id), keys.FAILING],
            [target, place.intent if seen is None else seen, _json(place), TTL_MS, word, installation(target)],
        )
        return bool(answer == b"ok")

    async def forget(self, hold_id: str, target: str) -> None:
        """There is no such copy (any more)."""
        await self._client.command("HDEL", keys.cards(hold_id), target)

    async def failed(self, target: str, text: str) -> None:
        """Cards for ``target`` do not get through, and waiting does not help. Forgotten with the next one that does."""
        value = orjson.dumps({"text": text, "at_ms": self._clock()})
        await self._client.command("HSET", keys.FAILING, target, value)

    async def failing(self) -> list[Failing]:
        """Where cards are refused now, for App Home, by target."""
        rows = as_dict(await self._client.command("HGETALL", keys.FAILING))
        return [Failing(target.decode(), **orjson.loads(raw)) for target, raw in sorted(rows.items())]

    async def prune(self) -> None:
        """Forget where the last card was refused a retention time ago: none has been sent there since, and perhaps none will."""
        before = self._clock() - self._retention_ms
        over = [each.target for each in await self.failing() if each.at_ms < before]
        if over:
            await self._client.command("HDEL", keys.FAILING, *over)

    async def recent(self, since_ms: int) -> tuple[list[str], list[str]]:
        """Ids of the holds that are open, and of those that ended at ``since_ms`` or later."""
        opened: list[str] = []
        closed: list[str] = []
        for state in State:
            ids = [raw.decode() for raw in await self._client.command("ZRANGE", keys.state(state), 0, -1)]
            if not state.is_final:
                opened += ids
                continue
            for start in range(0, len(ids), _BATCH):
                batch = ids[start : start + _BATCH]
                ends = await self._client.pipeline([("HGET", keys.hold(hold_id), "closed_ms") for hold_id in batch])
                closed += (hold_id for hold_id, end in zip(batch, ends, strict=True) if int(end or 0) >= since_ms)
        return opened, closed

    async def say(self, owner: str, things: Sequence[str]) -> frozenset[str]:
        """Take on to say these things about a hold or bundle; returns those that nobody had said or taken on."""
        if not things:
            return frozenset()
        mine = await self._client.script(_SAY, [keys.said(owner)], [TTL_MS, *things])
        return frozenset(raw.decode() for raw in mine)

    async def unsay(self, owner: str, things: Sequence[str]) -> None:
        """They were certainly not said: somebody may take them on again."""
        if things:
            await self._client.command("SREM", keys.said(owner), *things)


def installation(target: str) -> str:
    """What a target is reached by: "slack", or "slack:T0123" where it names another workspace than the usual one."""
    kind, _, rest = target.partition(":")
    place, slash, _ = rest.partition("/")
    return f"{kind}:{place}" if slash and ":" not in place else kind


def adopted(place: CardPlace, *, channel: str, message: str) -> CardPlace:
    """The place of a message that was found on the platform, showing nobody knows what."""
    return replace(place, channel=channel, message=message, shown_rev=0, shown="", gist="")


def _json(place: CardPlace) -> bytes:
    return orjson.dumps({name: value for name, value in asdict(place).items() if value or name.startswith("intent")})


def _places(row: Sequence[bytes]) -> dict[str, CardPlace]:
    return {target.decode(): CardPlace(**orjson.loads(raw)) for target, raw in as_dict(row).items()}
