"""What people say about a hold before it is decided: claims, questions, answers, justifications, reminders; who read it.

Like the verbs of `Holds`: each change is one script that acts on the ``rev`` that its caller saw, changes the hold, its
due time and the outbox together, and raises `Conflict` for who comes late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from holdpoint.clock import Clock
from holdpoint.errors import NotFound
from holdpoint.lifecycle import deadline_at, is_late, pause_left_ms, paused, pending_due_ms, resumed
from holdpoint.model import Claim, EventKind, Hold, Question
from holdpoint.store import card_events, codec, hold_events, keys
from holdpoint.store.client import Client, Script
from holdpoint.store.conflicts import conflict
from holdpoint.store.lifetimes import Lifetimes
from holdpoint.store.outbox import Outbox
from holdpoint.store.wire import Argument

_TALK = Script("talk")
_READ = Script("read")
_TOLD = Script("told")


class Talk:
    """Every method raises `StoreUnavailable` when Redis cannot do it; those that take a `Hold` raise `Conflict`."""

    def __init__(self, client: Client, *, clock: Clock, lifetimes: Lifetimes, outbox: Outbox) -> None:
        self._client = client
        self._clock = clock
        self._lifetimes = lifetimes
        self._outbox = outbox

    async def claim(self, hold: Hold, *, by: str, name: str, until_ms: int) -> Hold:
        """``by`` is on it until ``until_ms``, in the place of whoever was."""
        claim = Claim(by, name, until_ms)
        after = replace(hold, claim=claim)
        fields = {"claim": codec.claim_json(claim)}
        return await self._write(after, EventKind.HOLD_CLAIMED, hold_events.claimed(claim), fields)

    async def unclaim(self, hold: Hold, *, by: str) -> Hold:
        """Nobody is on it any more. ``by`` gave it back ("policy": it has lapsed)."""
        after = replace(hold, claim=None)
        return await self._write(
            after, EventKind.HOLD_UNCLAIMED, hold_events.unclaimed(hold.claim, by=by), {"claim": ""}
        )

    async def ask(self, hold: Hold, question: Question, *, pauses: bool) -> Hold:
        """Put a question to the requester. With ``pauses`` the clock stands from now on, as far as it still may.

        Raises:
            Conflict: the deadline has passed, too: no question stops a clock that has run out.
        """
        now = self._clock()
        if is_late(hold, now):
            raise conflict(b"late")
        after = replace(hold, questions=(*hold.questions, question))
        if pauses:
            after = paused(after, now)
        extra = hold_events.asked(question, pauses=after.paused_ms is not None)
        return await self._write(after, EventKind.HOLD_ASKED, extra, _question_fields(after))

    async def answer(self, hold: Hold, *, question: str, text: str, by: str) -> Hold:
        """Answer the open question with this id. With the last open one the clock runs on.

        Raises:
            NotFound: the hold has no such question, or it was answered already.
        """
        now = self._clock()
        open_ = [each for each in hold.questions if each.answered_ms is None]
        asked = next((each for each in open_ if each.id == question), None)
        if asked is None:
            raise NotFound(f"the hold has no open question {question!r}")
        answered = replace(asked, answer=text, answered_by=by, answered_ms=now)
        after = replace(hold, questions=tuple(answered if each is asked else each for each in hold.questions))
        if open_ == [asked]:
            after = resumed(after, now)
        extra = hold_events.answered(answered, deadline_ms=deadline_at(after, now))
        return await self._write(after, EventKind.HOLD_ANSWERED, extra, _question_fields(after))

    async def resume(self, hold: Hold) -> Hold:
        """The clock has stood for as long as it may, and runs on; the questions stay open."""
        after = resumed(hold, self._clock())
        extra = hold_events.resumed(deadline_ms=after.deadline_ms, paused_for_ms=after.paused_for_ms)
        return await self._write(after, EventKind.HOLD_RESUMED, extra, _question_fields(after))

    async def justify(self, hold: Hold, *, text: str, by: str) -> Hold:
        """The requester says why, in the place of what they said before."""
        after = replace(hold, justification=text)
        extra = hold_events.justified(text, by=by)
        return await self._write(after, EventKind.HOLD_JUSTIFIED, extra, {"justification": text})

    async def remind(self, hold: Hold) -> Hold:
        """Half of the time is over. Happens once."""
        now = self._clock()
        after = replace(hold, reminded_ms=now)
        extra = hold_events.reminded(deadline_ms=after.deadline_ms)
        return await self._write(after, EventKind.HOLD_REMINDED, extra, {"reminded_ms": now})

    async def lapse(self, hold: Hold) -> Hold:
        """Forget whose time to confirm their approval is over. Who approves again is asked again."""
        over = [each for each in hold.confirming if self._clock() >= each.until_ms]
        after = replace(hold, confirming=tuple(each for each in hold.confirming if each not in over))
        fields: dict[str, Argument] = {codec.confirming_field(each.by): "" for each in over}
        return await self._write(after, EventKind.HOLD_UNCONFIRMED, hold_events.unconfirmed(over), fields)

    async def read(self, hold_id: str, *, by: str, digest: str, channel: str) -> None:
        """``by`` has paged through the whole text that has ``digest``. Recorded once.

        Raises:
            NotFound: there is no such hold (any more).
        """
        answer = await self._client.script(
            _READ,
            [keys.hold(hold_id), keys.read(hold_id), keys.EVENTS],
            [hold_id, self._clock(), _reading(by, digest), card_events.card_read(hold_id, by=by, digest=digest, channel=channel)],
        )  # fmt: skip
        if answer != b"ok":
            raise NotFound(f"there is no hold {hold_id!r}")

    async def has_read(self, hold_id: str, *, by: str, digest: str) -> bool:
        """Whether ``by`` has read the whole text that has ``digest``."""
        return bool(await self._client.command("SISMEMBER", keys.read(hold_id), _reading(by, digest)))

    async def revealed(self, hold_id: str, *, by: str, digest: str, channel: str) -> None:
        """Record that ``by`` is about to see what the policy masks. Recorded every time."""
        entry = card_events.card_revealed(hold_id, by=by, digest=digest, channel=channel, at_ms=self._clock())
        await self._outbox.append([entry])

    async def told(self, hold_id: str, *, channel: str, reached: bool) -> None:
        """The requester could not be told of the hold in ``channel``, or was, where that is not the usual place.

        Changes the hold, whatever its state, so that its cards say so; noting the same once more changes nothing.

        Raises:
            NotFound: there is no such hold (any more).
        """
        answer = await self._client.script(
            _TOLD,
            [keys.hold(hold_id), keys.EVENTS],
            [self._clock(), channel, int(reached), EventKind.HOLD_TOLD, hold_events.told(channel, reached=reached)],
        )
        if answer != b"ok":
            raise NotFound(f"there is no hold {hold_id!r}")

    async def _write(self, after: Hold, kind: EventKind, extra: bytes, fields: Mapping[str, Argument]) -> Hold:
        """``after`` is the hold as it is to be, with the ``rev`` that was seen."""
        now = self._clock()
        due = pending_due_ms(after)
        # While the clock stands, the deadline may still move by all that is left.
        open_ms = after.deadline_ms - now + (pause_left_ms(after) if after.paused_ms is not None else 0)
        ttl: Argument = self._lifetimes.ttl_ms(open_ms) if "deadline_ms" in fields else ""
        answer = await self._client.script(
            _TALK,
            [keys.hold(after.id), keys.DUE, keys.EVENTS],
            [after.id, now, after.rev, due, ttl, kind, extra, *(item for pair in fields.items() for item in pair)],
        )
        if answer != b"ok":
            raise conflict(answer)
        return replace(after, rev=after.rev + 1, due_ms=due)


def _question_fields(hold: Hold) -> dict[str, Argument]:
    return {
        "questions": codec.questions_json(hold.questions),
        "deadline_ms": hold.deadline_ms,
        "paused_ms": "" if hold.paused_ms is None else hold.paused_ms,
        "paused_for_ms": hold.paused_for_ms,
    }


def _reading(by: str, digest: str) -> str:
    return f"{digest} {by}"
