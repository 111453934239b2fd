"""The kill switch at work: what is refused at the door, what is held although the policy allows it, what is not released.

Without a pause each of these is one look at an empty mapping.
"""

from __future__ import annotations

from holdpoint.errors import Refusal
from holdpoint.model import Decision, DecisionKind, Evaluation, Hold, RefusalCode, State
from holdpoint.policy import pauses
from holdpoint.snapshot import Snapshot
from holdpoint.standing import Pause, PauseMode
from holdpoint.store.holds import TIMER


class Paused(Refusal):
    """The connection is paused. An approval that waits stays as it is, and may be collected later."""

    def __init__(self, pause: Pause, hold: Hold | None = None) -> None:
        super().__init__(
            RefusalCode.UNAVAILABLE,
            pauses.sentence(pause),
            status=503,
            hold=hold.id if hold is not None else None,
            state=hold.state if hold is not None else None,
        )


def refuse_paused(snapshot: Snapshot, connection: str) -> None:
    """Let nothing in, while traffic to ``connection`` is refused.

    Raises:
        Paused: it is.
    """
    pause = snapshot.pause_of(connection)
    if pause is not None and pauses.refuses(pause, snapshot.policy):
        raise Paused(pause)


def held_by_pause(snapshot: Snapshot, connection: str, evaluation: Evaluation) -> Evaluation:
    """``evaluation`` as it stands while everything is held; itself when ``connection`` is not paused."""
    pause = snapshot.pause_of(connection)
    return evaluation if pause is None else pauses.held(evaluation, pause, snapshot.policy)


def refuse_release(pause: Pause, hold: Hold) -> None:
    """Keep the approval of ``hold``, if it has one, unspent under ``pause``.

    While everything is held, what people have approved is released, and what a mere deadline approved is not.

    Raises:
        Paused: the hold is approved, and must not be released now.
    """
    if hold.state is not State.APPROVED:
        return
    if pause.mode is PauseMode.REFUSE or not any(_is_a_persons(decision) for decision in hold.decisions):
        raise Paused(pause, hold)


def _is_a_persons(decision: Decision) -> bool:
    return decision.kind is DecisionKind.APPROVE and decision.channel != TIMER
