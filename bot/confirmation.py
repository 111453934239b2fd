"""What becomes of an approval once its person has confirmed that it is them. Knows no platform. See `bot.stepup` for the asking.

The steps of `Confirmations.confirm`; any doubt refuses, and the approval goes on waiting:

1. Whoever confirms is the very person who approved, and no agent (`opened`).
2. Where they approved in a chat, the platform is asked once more who that account is, and still says so (`reviewer_of`).
3. Each approval is made as if it were made now: state, deadline, authority, digest and policy are all looked at again.
4. The step-up is done: its link confirms nothing any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from bot.accounts import UnknownPerson
from bot.decide import Decider
from bot.grants import Grants
from holdpoint.errors import DecisionError, MayNotDecide, NotFound
from holdpoint.model import DecisionKind, Factor, Reviewer, Role
from holdpoint.policy.people import same
from holdpoint.store import Store
from holdpoint.store.bundles import Covered
from holdpoint.store.stepups import StepUp

OURS = frozenset({"web", "api", "cli"})
"""Channels in which people are known by what they are signed in with."""

Verify = Callable[[str, str], Awaitable[Reviewer]]
"""(account, principal) → who that account is, as its platform says now. UnknownPerson, ChannelError, StoreUnavailable."""


class NotYours(MayNotDecide):
    """The link is for another person, who alone may know what is behind it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one hold: ``why`` it was not approved, empty when it was."""

    hold: str
    why: str = ""


class Confirmations:
    """``verifiers`` go by channel ("slack"): those of the platforms that this bot serves."""

    def __init__(
        self, store: Store, decider: Decider, grants: Grants, *, verifiers: Mapping[str, Verify]
    ) -> None:  # fmt: skip
        self._store = store
        self._decider = decider
        self._grants = grants
        self._verifiers = verifiers

    async def opened(self, token: str, person: Reviewer) -> StepUp:
        """What ``person``, who is signed in, is asked to confirm.

        Raises:
            NotFound: there is nothing (any more).
            NotYours: it is another person's.
            StoreUnavailable.
        """
        step_up = await self._store.stepups.get(token)
        if person.owner is not None or not same(person.principal, step_up.intent.by):
            raise NotYours("This link is for somebody else.")
        return step_up

    async def reviewer_of(self, step_up: StepUp, person: Reviewer) -> Reviewer:
        """As whom ``person`` decides: as they were known where they approved, looked up again.

        Raises:
            MayNotDecide, UnknownPerson: they are not known there any more, or as somebody else.
            ChannelError, StoreUnavailable: it cannot be told now.
        """
        intent = step_up.intent
        if intent.channel in OURS:
            if Role.REVIEWER not in person.roles:
                raise MayNotDecide("You are signed in with a key that has no reviewer role.")
            return replace(person, channel=intent.channel)
        verify = self._verifiers.get(intent.channel)
        if verify is None:
            raise MayNotDecide("Holdpoint is not connected any more to where you approved this.")
        known = await verify(intent.address, intent.by)
        if not same(known.principal, intent.by):
            raise UnknownPerson("The account with which you approved this is not yours any more.")
        return replace(known, aliases=known.aliases | person.aliases, auth_ms=person.auth_ms)

    async def confirm(self, step_up: StepUp, reviewer: Reviewer, *, factor: Factor | None) -> list[Settled]:
        """Approve what still waits of it. ``factor`` is None where a fresh sign-in is the proof.

        Raises:
            StoreUnavailable: it is not known how far it came; it may be confirmed again.
        """
        settled = [
            await self._approve(step_up, each, reviewer, factor) for each in await self._store.stepups.current(step_up)
        ]
        if any(not each.why for each in settled):
            await self._store.stepups.finish(step_up)
        return settled

    async def _approve(self, step_up: StepUp, each: Covered, reviewer: Reviewer, factor: Factor | None) -> Settled:
        intent, grant = step_up.intent, step_up.intent.grant
        try:
            if grant is None:
                await self._decider.decide(
                    each.hold, reviewer, DecisionKind.APPROVE, digest=each.digest, reason=intent.reason,
                    edits=intent.edits, seen_whole=intent.seen_whole, factor=factor, asking=False,
                )  # fmt: skip
            else:
                await self._grants.approve_similar(
                    each.hold, reviewer, digest=each.digest, scope=grant.scope, subject=grant.subject, uses=grant.uses,
                    age_ms=grant.age_ms, reason=intent.reason, seen_whole=intent.seen_whole, factor=factor,
                )  # fmt: skip
        except DecisionError as error:
            return Settled(each.hold, str(error))
        except NotFound:
            return Settled(each.hold, "There is no such hold any more.")
        return Settled(each.hold)
