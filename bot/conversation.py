"""Reviewer or requester + hold + words → the hold as it is now, or a `DecisionError`. Knows no platform.

Reviewers claim a hold, ask its requester, read all of it, and reveal what the policy masks. Requesters answer and
justify. None of it decides anything; the texts are data, masked and made visible where they are shown.

Whoever may decide (`policy.authority.check`) may claim, ask, read and reveal; who may only look (`visibility`) may
read. The requester, or the owner of the requesting agent, may answer and justify. All of it ends with the decision or
the deadline, but for reading. A repeat (a double click, a repeated delivery) changes nothing and is no error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.sentences import already_sentence, duration
from bot.visibility import may_see
from holdpoint.clock import Clock
from holdpoint.errors import BadText, Conflict, MayNotDecide, NotFound, StoreUnavailable, TooLate, WrongDigest
from holdpoint.lifecycle import claim_at, is_late
from holdpoint.live import Live
from holdpoint.model import Hold, Question, Reviewer, State
from holdpoint.policy import authority, people
from holdpoint.store import Store

CLAIM_MS = 600_000
LONGEST_QUESTION = 2_000  # characters
LONGEST_ANSWER = 4_000
LONGEST_JUSTIFICATION = 2_000
MOST_QUESTIONS = 10

_RENEWED_AFTER_MS = 60_000  # a claim that is younger than this is not renewed: it was a double click
_ATTEMPTS = 32  # as many people may say something at the very same moment

_Change = Callable[[Hold, int], Awaitable[Hold]]


class Conversation:
    """What people say and look at before a decision, from every channel, which has verified who they are.

    Every method raises `NotFound` when there is no such hold, `MayNotDecide` when this is not for this person,
    `TooLate` when the hold is no longer pending, and `StoreUnavailable` when it is not known whether it was written;
    then the same call may be repeated.
    """

    def __init__(self, store: Store, live: Live, *, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._clock = clock

    async def claim(self, hold_id: str, reviewer: Reviewer) -> Hold:
        """Say "I am on it", for ten minutes. Renews one's own claim, takes over somebody else's."""

        async def change(hold: Hold, now_ms: int) -> Hold:
            _refuse_late(hold, now_ms)
            authority.check(hold, reviewer, now_ms=now_ms)
            mine = claim_at(hold, now_ms)
            if (
                mine
                and people.same(mine.by, reviewer.principal)
                and mine.until_ms - now_ms > CLAIM_MS - _RENEWED_AFTER_MS
            ):
                return hold
            return await self._store.talk.claim(
                hold, by=reviewer.principal, name=reviewer.name, until_ms=now_ms + CLAIM_MS
            )

        return await self._try(hold_id, change)

    async def unclaim(self, hold_id: str, reviewer: Reviewer) -> Hold:
        """Give one's own claim back."""

        async def change(hold: Hold, now_ms: int) -> Hold:
            _refuse_late(hold, now_ms)
            authority.check(hold, reviewer, now_ms=now_ms)
            claim = claim_at(hold, now_ms)
            if claim is None:
                return hold
            if not people.same(claim.by, reviewer.principal):
                raise MayNotDecide(f"{claim.name or claim.by} is on it. Claim it yourself to take it over.")
            return await self._store.talk.unclaim(hold, by=reviewer.principal)

        return await self._try(hold_id, change)

    async def ask(self, hold_id: str, reviewer: Reviewer, text: str) -> Hold:
        """Put a question to the requester; the clock stands until the answer, where the rules say so.

        Raises:
            BadText: the question is empty or too long, or one too many.
        """
        text = _checked(text, "question", LONGEST_QUESTION)

        async def change(hold: Hold, now_ms: int) -> Hold:
            if any((each.by, each.text) == (reviewer.principal, text) for each in open_questions(hold)):
                return hold
            _refuse_late(hold, now_ms)
            authority.check(hold, reviewer, now_ms=now_ms)
            if len(hold.questions) >= MOST_QUESTIONS:
                raise BadText(f"The requester was asked {MOST_QUESTIONS} questions already; decide with what you know.")
            question = Question(
                f"q{len(hold.questions) + 1}", by=reviewer.principal, name=reviewer.name, text=text, at_ms=now_ms
            )
            return await self._store.talk.ask(hold, question, pauses=hold.evaluation.terms.question_pauses)

        return await self._try(hold_id, change)

    async def answer(self, hold_id: str, question_id: str, person: Reviewer, text: str) -> Hold:
        """The requester's one answer to a question.

        Raises:
            NotFound: there is no such question, too.
            BadText: the answer is empty or too long.
        """
        text = _checked(text, "answer", LONGEST_ANSWER)

        async def change(hold: Hold, now_ms: int) -> Hold:
            _refuse_others(hold, person)
            question = next((each for each in hold.questions if each.id == question_id), None)
            if question is None:
                raise NotFound(f"there is no question {question_id!r} on this request")
            if question.answered_ms is not None:
                if (question.answered_by, question.answer) == (person.principal, text):
                    return hold
                ago = duration(now_ms - question.answered_ms)
                raise TooLate(f"Already answered by {question.answered_by} {ago} ago")
            _refuse_late(hold, now_ms)
            return await self._store.talk.answer(hold, question=question_id, text=text, by=person.principal)

        return await self._try(hold_id, change)

    async def justify(self, hold_id: str, person: Reviewer, text: str) -> Hold:
        """The requester says why, in the place of what they said before.

        Raises:
            BadText: the justification is empty or too long.
        """
        text = _checked(text, "justification", LONGEST_JUSTIFICATION)

        async def change(hold: Hold, now_ms: int) -> Hold:
            _refuse_others(hold, person)
            if hold.justification == text:
                return hold
            _refuse_late(hold, now_ms)
            return await self._store.talk.justify(hold, text=text, by=person.principal)

        return await self._try(hold_id, change)

    async def read(self, hold_id: str, reviewer: Reviewer, digest: str) -> None:
        """Note that ``reviewer`` has paged through everything that has ``digest``: a decision may need it.

        Raises:
            WrongDigest: another text is held by now.
        """
        hold = await self._store.holds.get(hold_id)
        if not may_see(hold, reviewer):
            authority.check(hold, reviewer, now_ms=self._clock())
        _refuse_other_text(hold, digest)
        await self._store.talk.read(hold_id, by=reviewer.principal, digest=digest, channel=reviewer.channel)

    async def reveal(self, hold_id: str, reviewer: Reviewer, digest: str) -> Hold:
        """The hold, for ``reviewer`` to see without masks. It is on the record before this returns.

        Raises:
            WrongDigest: another text is held by now.
        """
        await self._live.ensure_fresh()
        hold = await self._store.holds.get(hold_id)
        _refuse_late(hold, self._clock())
        authority.check(hold, reviewer, now_ms=self._clock())
        _refuse_other_text(hold, digest)
        await self._store.talk.revealed(hold_id, by=reviewer.principal, digest=digest, channel=reviewer.channel)
        return hold

    async def _try(self, hold_id: str, change: _Change) -> Hold:
        """``change`` on the hold as it is stored; once more from the top when somebody else was quicker."""
        await self._live.ensure_fresh()  # what is known of groups is as of now, or nothing is written
        for _ in range(_ATTEMPTS):
            hold = await self._store.holds.get(hold_id)
            try:
                return await change(hold, self._clock())
            except Conflict:
                continue
        raise StoreUnavailable("the hold kept changing; nothing was written")


def open_questions(hold: Hold) -> tuple[Question, ...]:
    """What was asked and not answered."""
    return tuple(each for each in hold.questions if each.answered_ms is None)


def is_requester(hold: Hold, principal: str) -> bool:
    """Whether ``principal`` speaks for the request: who sent it, or the owner of the agent that did."""
    return principal in (hold.requester.principal, hold.requester.owner)


def _checked(text: str, what: str, longest: int) -> str:
    """``text`` without white space around it, or `BadText`."""
    text = text.strip()
    if not text:
        raise BadText(f"The {what} is empty.")
    if len(text) > longest:
        raise BadText(f"The {what} is longer than {longest:,} characters.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadText(f"The {what} is not valid Unicode.") from None
    return text


def _refuse_late(hold: Hold, now_ms: int) -> None:
    if hold.state is not State.PENDING or is_late(hold, now_ms):
        raise TooLate(already_sentence(hold, now_ms=now_ms))


def _refuse_others(hold: Hold, person: Reviewer) -> None:
    if not is_requester(hold, person.principal):
        raise MayNotDecide(
            "Only who sent this request, or the owner of the agent that did, can say something about it."
        )


def _refuse_other_text(hold: Hold, digest: str) -> None:
    if digest != hold.digest:
        raise WrongDigest("The text has been edited since. Look at it again.")
