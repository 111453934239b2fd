"""Approvals that do not count yet: kept, whole, until their person has confirmed that it is them, or ten minutes are over.

A step-up covers what one click was to decide: one hold, or those that a card showed together. There is one for each hold
and person: who approves again, in another way, puts the new one in its place, and the old link says so; the very same
approval again is the same step-up, but for its last minute. The token that names it gives no right to anybody else, so
it need not be secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound
from holdpoint.model import Confirming, Edit, EventKind, GrantScope
from holdpoint.store import codec, hold_events, keys
from holdpoint.store.as_json import to_json
from holdpoint.store.bundles import Covered
from holdpoint.store.client import Client, Script
from holdpoint.store.wire import Argument

LASTS_MS = 10 * 60_000
_TOO_LITTLE_MS = 60_000  # to sign in with: who approves again by then gets the ten minutes anew

_ASK = Script("ask_step_up")
_ATTEMPTS = 32
_LONGEST_TOKEN = 64


@dataclass(frozen=True, slots=True)
class GrantChoice:
    """What else an approval is to bring about: a grant, as its form was filled in (`bot.grants`)."""

    scope: GrantScope
    subject: str
    uses: int
    age_ms: int


@dataclass(frozen=True, slots=True)
class Intent:
    """The approval as it was made. ``channel`` and ``address`` say where and as whom, so that the platform can be asked again."""

    by: str
    name: str
    channel: str
    address: str
    covered: tuple[Covered, ...]
    reason: str = ""
    edits: tuple[Edit, ...] = ()
    seen_whole: bool = True
    grant: GrantChoice | None = None


@dataclass(frozen=True, slots=True)
class StepUp:
    """One of them, as stored. ``done_ms``: it was confirmed; kept, so that a second tab learns of it."""

    token: str
    intent: Intent
    until_ms: int
    done_ms: int | None = None


_STEP_UP = TypeAdapter(StepUp)


class StepUps:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def ask(self, intent: Intent) -> StepUp:
        """Keep ``intent``; the very same one that waits already is returned as it is.

        Raises:
            Conflict: none of the holds is pending, or the person keeps approving at the same moment.
        """
        pointers = [keys.step_up_of(each.hold, intent.by) for each in intent.covered]
        for _ in range(_ATTEMPTS):
            seen = [token.decode() if token else "" for token in await self._client.command("MGET", *pointers)]
            same = await self._same(seen, intent)
            if same is not None:
                return same
            token = secrets.token_urlsafe(24)
            made = StepUp(token, intent, self._clock() + LASTS_MS)
            answer = await self._keep(made, pointers, seen)
            if answer == b"ok":
                return made
            if answer == b"state":
                raise Conflict("none of the holds is pending")
        raise Conflict("another approval of the same person is being kept")

    async def get(self, token: str) -> StepUp:
        """The one that a link names.

        Raises:
            NotFound: there is none (any more).
        """
        if not token.isascii() or len(token) > _LONGEST_TOKEN:
            raise NotFound("not a token of ours")
        raw = await self._client.command("GET", keys.step_up(token))
        found = _STEP_UP.validate_json(raw) if raw is not None else None
        if found is None or self._clock() >= found.until_ms:
            raise NotFound("there is no such approval to be confirmed")
        return found

    async def current(self, step_up: StepUp) -> tuple[Covered, ...]:
        """What of it still waits to be confirmed: the person has approved nothing else of those holds since."""
        covered = step_up.intent.covered
        pointers = [keys.step_up_of(each.hold, step_up.intent.by) for each in covered]
        tokens = await self._client.command("MGET", *pointers)
        return tuple(
            each for each, token in zip(covered, tokens, strict=True) if token and token.decode() == step_up.token
        )

    async def finish(self, step_up: StepUp) -> None:
        """Note that it was confirmed: its link confirms nothing any more."""
        done = replace(step_up, done_ms=self._clock())
        await self._client.command("SET", keys.step_up(step_up.token), to_json(done), "XX", "KEEPTTL")

    async def _same(self, seen: Sequence[str], intent: Intent) -> StepUp | None:
        if not seen[0] or len(set(seen)) > 1:
            return None
        try:
            found = await self.get(seen[0])
        except NotFound:
            return None
        has_time = found.until_ms - self._clock() > _TOO_LITTLE_MS
        return found if found.intent == intent and found.done_ms is None and has_time else None

    async def _keep(self, made: StepUp, pointers: Sequence[str], seen: Sequence[str]) -> bytes:
        intent = made.intent
        confirming = Confirming(intent.by, intent.name, made.until_ms)
        edits = [edit.path for edit in intent.edits]
        named, extras = list[str](), list[Argument]()
        for each, pointer, token in zip(intent.covered, pointers, seen, strict=True):
            named += [keys.hold(each.hold), pointer]
            extra = hold_events.confirming(confirming, channel=intent.channel, digest=each.digest, edits=edits)
            extras += [token, extra]
        answer: bytes = await self._client.script(
            _ASK,
            [keys.step_up(made.token), keys.DUE, keys.EVENTS, *named],
            [self._clock(), made.token, LASTS_MS, made.until_ms, to_json(made), codec.confirming_field(intent.by),
             codec.confirming_json(confirming), EventKind.HOLD_CONFIRMING, *extras],
        )  # fmt: skip
        return answer
