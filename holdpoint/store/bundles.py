"""Cards that stand for several holds: one for identical requests, or a channel's digest while it is near its limit.

A bundle lists holds; each of them has a pointer to it where its own card would be (`CardPlace.bundle`), written by the
same script, so that a hold is on exactly one card of a channel. What a drawing of the bundle offers to decide is an
*offer*: the waiting holds that it listed, each with the digest that it showed. Buttons carry the bundle's id and a hash
of the list, so a click covers what its card listed, whoever has joined or been decided since.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import orjson

from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound
from holdpoint.model import Hold
from holdpoint.store import keys
from holdpoint.store.cards import TTL_MS, CardPlace
from holdpoint.store.client import Client, Script, as_dict
from holdpoint.store.fingerprints import fingerprint

OFFERED_FOR_MS = 86_400_000  # after the last deadline in it
_PREFIX = "b"  # hold ids never begin with it
_MAKE = Script("bundle")
_JOIN = Script("join")
_PART = Script("part")


class BundleKind(StrEnum):
    """Why several holds share a card."""

    SAME = "same"  # the same person asked the same thing of the same model at the same time
    DIGEST = "digest"  # the channel is near its rate limit


@dataclass(frozen=True, slots=True)
class Bundle:
    """A card for the holds ``holds`` (ids, in the order in which they came) at one target."""

    id: str
    kind: BundleKind
    target: str
    created_ms: int
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Covered:
    """A hold, and the digest of the text that was shown with it."""

    hold: str
    digest: str


class Bundles:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def get(self, bundle_id: str) -> Bundle:
        """The bundle as it is now.

        Raises:
            NotFound: there is none (any more).
        """
        row = as_dict(await self._client.command("HGETALL", keys.bundle(bundle_id)))
        if not row:
            raise NotFound(f"there is no bundle {bundle_id!r}")
        return Bundle(
            row[b"id"].decode(), BundleKind(row[b"kind"].decode()), row[b"target"].decode(), int(row[b"created_ms"]),
            tuple(orjson.loads(row[b"holds"])),
        )  # fmt: skip

    async def make(self, kind: BundleKind, target: str, *, hold: str, seen: CardPlace | None) -> str:
        """A new bundle with one hold, whose place at ``target`` is ``seen``; returns its id.

        A message of that place becomes the bundle's. A digest takes in holds from then on (see `taking`).

        Raises:
            Conflict: the hold's place is another one by now.
        """
        bundle_id = _PREFIX + secrets.token_hex(8)
        answer = await self._client.script(
            _MAKE,
            [keys.bundle(bundle_id), keys.cards(hold), keys.cards(bundle_id), keys.DIGESTS],
            [
                bundle_id, kind.value, target, hold, self._clock(), seen.intent if seen else "",
                self._pointer(bundle_id), TTL_MS, "1" if kind is BundleKind.SAME else "",
            ],
        )  # fmt: skip
        if answer != b"ok":
            raise Conflict("the card stands somewhere else by now")
        return bundle_id

    async def join(self, bundle_id: str, target: str, *, hold: str, seen: CardPlace | None, most: int) -> bool:
        """List one more hold, whose place at ``target`` is ``seen``. False when the bundle has ``most`` or is gone.

        Raises:
            Conflict: the hold's place is another one by now.
        """
        answer = await self._client.script(
            _JOIN,
            [keys.bundle(bundle_id), keys.cards(hold)],
            [target, hold, seen.intent if seen else "", self._pointer(bundle_id), TTL_MS, most],
        )
        if answer == b"moved":
            raise Conflict("the card stands somewhere else by now")
        return bool(answer == b"ok")

    async def taking(self, target: str) -> str | None:
        """The digest that takes in holds at ``target``."""
        raw = await self._client.command("HGET", keys.DIGESTS, target)
        return raw.decode() if raw else None

    async def leave(self, bundle_id: str, target: str, *, hold: str) -> None:
        """The hold is no longer what the card stands for: it has no place at ``target`` any more, and may get its own.

        The last one takes the card's place with it.
        """
        places = [keys.cards(hold), keys.cards(bundle_id)]
        await self._client.script(_PART, [keys.bundle(bundle_id), *places], [target, hold, bundle_id, TTL_MS])

    async def revs(self, holds: Sequence[str]) -> list[int]:
        """The ``rev`` of each of the holds, 0 for those that are gone: whether one has moved, without reading it."""
        return [int(rev or 0) for rev in await self._client.pipeline([("HGET", keys.hold(h), "rev") for h in holds])]

    async def latest_equal(self, hold: Hold, target: str) -> str | None:
        """The hold of the same requester, connection and original digest that got its place at ``target`` last."""
        raw = await self._client.command("HGET", self._equals(hold), target)
        return raw.decode() if raw else None

    async def note_latest(self, hold: Hold, target: str) -> None:
        """``hold`` got its place at ``target``: the next one like it looks there."""
        key = self._equals(hold)
        await self._client.pipeline([("HSET", key, target, hold.id), ("PEXPIRE", key, TTL_MS)])

    async def offer(self, value: str, covered: Sequence[Covered], *, until_ms: int) -> None:
        """Keep what a drawing is about to offer under the ``value`` of its buttons: ``<bundle id> <mark>``.

        The mark is a hash of what is listed. ``until_ms`` is the latest deadline in it; `resolve` knows it for a day
        longer.

        Raises:
            NotFound: ``value`` has another form.
        """
        ttl_ms = max(until_ms - self._clock(), 0) + OFFERED_FOR_MS
        text = orjson.dumps([asdict(each) for each in covered])
        await self._client.command("SET", keys.offer(*_parsed(value)), text, "PX", ttl_ms)

    async def resolve(self, value: str) -> tuple[Covered, ...]:
        """Exactly what still waited of what the card listed whose button carries ``value``, when it was drawn.

        Raises:
            NotFound: no value of ours, or one of long ago.
        """
        raw = await self._client.command("GET", keys.offer(*_parsed(value)))
        if raw is None:
            raise NotFound("this card is too old")
        return tuple(Covered(**each) for each in orjson.loads(raw))

    def _equals(self, hold: Hold) -> str:
        return keys.equals(fingerprint(hold.requester, hold.connection, hold.original_digest))

    def _pointer(self, bundle_id: str) -> bytes:
        return orjson.dumps({"intent": bundle_id, "intended_ms": self._clock(), "bundle": bundle_id})


def is_bundle(owner: str) -> bool:
    """Whether an id in a button's value is that of a bundle, not of a hold."""
    return owner.startswith(_PREFIX) and owner.isalnum() and owner.isascii()


def _parsed(value: str) -> tuple[str, str]:
    bundle_id, _, rest = value.partition(" ")
    mark = rest.partition(" ")[0]
    if not (is_bundle(bundle_id) and mark.isalnum() and mark.isascii()):
        raise NotFound("not a value of ours")
    return bundle_id, mark
