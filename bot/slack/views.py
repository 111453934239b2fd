"""Reviewers' modals: the reason of a rejection, the edited text, a question, a grant. `TABLE` maps modal to function.

A submission is answered after the decision is in Redis. What went wrong is shown in the modal itself, where the person's
text is still there to be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.inputs import AGE, REASON, SCOPE, TEXT, USES, WHOLE, edits_of, number_of, reason_of, scope_of
from bot.slack import ASK_MODAL, EDIT_MODAL, GRANT_MODAL, REJECT_MODAL, bulk, requester
from bot.slack.desk import Ack, Act, Body, Desk, Shown, in_words
from bot.slack.inputs import close, filled, metadata
from holdpoint.model import DecisionKind

MOST_INPUTS = 8  # with 3,000 units each, and six bytes a unit at worst, a view stays under Slack's 250 kB
INPUT_UNITS = 3_000


async def reject(desk: Desk, ack: Ack, body: Body) -> None:
    """Reject with the reason."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        reviewer = await desk.who(body)
        hold = await desk.look(shown.hold)
        reason = reason_of(filled(body), hold.evaluation.terms.reasons)
        await desk.decider.decide(shown.hold, reviewer, DecisionKind.REJECT, digest=shown.digest, reason=reason)
    await close(ack, body, trouble)


async def edit(desk: Desk, ack: Ack, body: Body) -> None:
    """Approve with the edited parts. A part that came back as it was is no edit."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        reviewer = await desk.who(body)
        hold = await desk.look(shown.hold)
        given = filled(body)
        edits = edits_of(await desk.view(hold, reviewer, limit=None), hold, given)
        await desk.decider.decide(
            shown.hold, reviewer, DecisionKind.APPROVE, digest=shown.digest, reason=given.get(REASON, ""), edits=edits,
            seen_whole=shown.word == WHOLE,
        )  # fmt: skip
    await close(ack, body, trouble)


async def ask(desk: Desk, ack: Ack, body: Body) -> None:
    """Put the question to the requester."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        await desk.conversation.ask(shown.hold, await desk.who(body), filled(body).get(TEXT, ""))
    await close(ack, body, trouble)


async def grant(desk: Desk, ack: Ack, body: Body) -> None:
    """Approve this request, and those like it."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        given = filled(body)
        scope, group = scope_of(given.get(SCOPE, ""))
        await desk.grants.approve_similar(
            shown.hold, await desk.who(body), digest=shown.digest, scope=scope, subject=group,
            uses=number_of(given.get(USES, "")), age_ms=number_of(given.get(AGE, "")), reason=given.get(REASON, ""),
            seen_whole=shown.word == WHOLE,
        )  # fmt: skip
    await close(ack, body, trouble)


TABLE: Mapping[str, Act] = {
    REJECT_MODAL: reject,
    EDIT_MODAL: edit,
    ASK_MODAL: ask,
    GRANT_MODAL: grant,
    **requester.VIEWS,
    **bulk.VIEWS,
}
