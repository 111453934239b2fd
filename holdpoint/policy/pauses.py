"""What a pause makes of the policy's verdict. Pure.

While traffic is held (`PauseMode.HOLD`) everything that is not blocked waits for an admin, as if one more review rule
had matched: its demands are added to those of the policy, and take nothing away.
"""

from __future__ import annotations

from dataclasses import replace

from holdpoint.model import Evaluation, OnTimeout, Requirement, Role, RuleHit, Verdict
from holdpoint.policy.engine import Policy
from holdpoint.policy.rules import PAUSE
from holdpoint.policy.verdicts import Ruling, with_review
from holdpoint.standing import EVERYTHING, Pause, PauseMode


def sentence(pause: Pause) -> str:
    """For the requester: what is paused, by whom, and why in the admin's own words."""
    what = "All traffic" if pause.connection == EVERYTHING else f"Traffic to {pause.connection}"
    return f"{what} was paused by {pause.by}" + (f": {pause.reason}" if pause.reason else ".")


def refuses(pause: Pause, policy: Policy) -> bool:
    """Whether ``pause`` lets nothing in: it says so, or nobody could ever decide on what it would hold."""
    return pause.mode is PauseMode.REFUSE or not policy.roles.get(Role.ADMIN)


def held(evaluation: Evaluation, pause: Pause, policy: Policy) -> Evaluation:
    """``evaluation`` while ``pause`` holds everything. Without groups of admins (see `refuses`) nobody may decide."""
    admins = sorted(policy.roles.get(Role.ADMIN, ()))
    defaults = policy.defaults
    ruling = Ruling(
        position=0,
        hit=RuleHit(PAUSE, sentence(pause), Verdict.REVIEW, defaults.risk),
        requirements=(Requirement(admins[0], 1, tuple(admins[1:])),) if admins else (),
        timeout_ms=defaults.timeout_ms,
        on_timeout=OnTimeout.REJECT,
        terms=policy.authority.added(max(evaluation.risk, defaults.risk, key=lambda risk: risk.height)),
    )
    # Who joins by escalation would stand in for the admin too.
    return replace(with_review(evaluation, ruling), escalations=())
