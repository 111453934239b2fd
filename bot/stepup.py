"""When an approval has to be confirmed by its person, and how they are asked. What they answer is `bot.confirmation`.

::

    approve ─▶ Decider ─ asked for, and not shown yet? ─▶ kept in Redis ─▶ StepUpNeeded(url) ─▶ the channel tells that person
"""

from __future__ import annotations

from collections.abc import Sequence

from holdpoint.errors import Conflict, StepUpNeeded, TooLate
from holdpoint.model import Decision, DecisionKind, Edit, Factor, Hold, Reviewer
from holdpoint.store import Store
from holdpoint.store.bundles import Covered
from holdpoint.store.stepups import GrantChoice, Intent

_SKEW_MS = 60_000  # by which an identity provider's clock may be ahead


class StepUpAsking:
    """Keeps approvals until they are confirmed. ``link_base`` is where people reach the web inbox."""

    def __init__(self, store: Store, *, link_base: str) -> None:
        self._store = store
        self._link_base = link_base

    async def ask(
        self,
        reviewer: Reviewer,
        covered: Sequence[Covered],
        *,
        reason: str = "",
        edits: Sequence[Edit] = (),
        seen_whole: bool = True,
        grant: GrantChoice | None = None,
    ) -> StepUpNeeded:
        """Keep an approval of ``covered`` until the person has confirmed it; what to raise, or to tell them.

        Raises:
            TooLate: none of them waits any more.
            StoreUnavailable: it is not known whether it was kept; the same call may be repeated.
        """
        intent = Intent(
            reviewer.principal, reviewer.name, reviewer.channel, reviewer.address, tuple(covered),
            reason=reason, edits=tuple(edits), seen_whole=seen_whole, grant=grant,
        )  # fmt: skip
        try:
            step_up = await self._store.stepups.ask(intent)
        except Conflict as error:
            raise TooLate("It has been decided in this very moment. Look at it again.") from error
        return StepUpNeeded(f"{self._link_base}/confirm/{step_up.token}")


def factor_of(hold: Hold, reviewer: Reviewer, kind: DecisionKind, shown: Factor | None, now_ms: int) -> Factor | None:
    """How ``reviewer`` has shown once more that it is them, where the rules of ``hold`` ask for that: ``shown``, or a fresh sign-in."""
    within_ms = hold.evaluation.terms.step_up_ms
    if within_ms is None or kind is not DecisionKind.APPROVE:
        return None
    if shown is None and reviewer.auth_ms is not None and -_SKEW_MS <= now_ms - reviewer.auth_ms <= within_ms:
        return Factor.SIGN_IN
    return shown


def is_unconfirmed(hold: Hold, decision: Decision) -> bool:
    """Whether ``decision`` has to be confirmed before it counts. A rejection never has: it is the safe direction."""
    asked = hold.evaluation.terms.step_up_ms is not None
    return asked and decision.kind is DecisionKind.APPROVE and decision.factor is None
