"""A hold as people see it: one view model for every channel. Pure: no I/O, the time is an argument.

::

    Hold ─┬─ who, what, where, why, risk ──────────┐
          ├─ parts ─ passages (mask, mark, fold) ──┤
          ├─ claim, questions, similar, terms ─────┤
          ├─ decisions ─ diff, progress, timeline ─┼──▶ CardView ──▶ template of a channel
          └─ state, deadline, viewer ─ actions ────┘

Every string is plain text with the policy's masks applied and hidden characters written out; whoever renders it escapes
it for the medium. A card is always drawn anew from the stored hold, so it cannot disagree with the record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot import sentences
from bot.offers import offers
from bot.parts import part_label, portion
from bot.passages import DiffLine, diff_lines
from bot.pieces import Action, EditView, PartView, ProgressView, RuleView, Tone, claim_view, outcome_view, question_view
from bot.timeline import timeline
from bot.until import told
from bot.views import CardView, plain_text
from holdpoint.lifecycle import deadline_at
from holdpoint.model import Decision, Hold, Reviewer, State
from holdpoint.policy import authority
from holdpoint.policy.mask import Masks, mask
from holdpoint.visible import visible, visible_line

__all__ = ["Action", "CardView", "EditView", "PartView", "card_view", "edit_lines", "part_label", "plain_text"]

MOST_GROUPS = 3  # of the requester's, in the line that says who asks what of which model


def card_view(
    hold: Hold,
    *,
    now_ms: int,
    link_base: str,
    masks: Masks,
    viewer: Reviewer | None = None,
    limit: int | None = None,
    fold: bool = True,
    reveal: bool = False,
    count: int = 1,
    off: str = "",
) -> CardView:
    """``hold`` as seen at ``now_ms``.

    ``link_base`` is the URL in front of ``/review``. ``limit`` bounds the characters of the parts in all (None: show
    everything); with ``fold``, a limited view shows the newest user turn and what matched, and nothing else. ``viewer``
    is who looks: without the right to decide, the actions are gone and ``may_not_decide`` says why; None draws a card
    for everybody. ``reveal`` leaves the masks off: for the eyes of one reviewer, never for a card, and only after it was
    recorded. ``count`` is how many identical holds this card stands for. ``off`` says that
    nobody is there of a group that has to decide (`bot.presence`).
    """
    masks = Masks() if reveal else masks

    def clean(text: str) -> str:
        return visible(mask(text, masks).text)

    def clean_line(text: str) -> str:
        return visible_line(mask(text, masks).text)

    shown = portion(hold, masks, limit=limit, fold=fold)
    so_far = authority.progress(hold, hold.decisions)
    progress = _progress(hold, so_far, clean_line)
    actions, refusal = offers(hold, now_ms=now_ms, viewer=viewer, masked=shown.masked)
    confirmation = _confirmation(hold, so_far, clean_line) if hold.state is State.PENDING else ""
    model, connection, environment = (
        clean_line(text) for text in (hold.query.model, hold.connection, hold.environment)
    )
    who = requester_name(hold, clean_line)
    groups = tuple(sorted(visible_line(group) for group in hold.requester.groups))
    waiting_for = sentences.counted([*_missing(progress), *([confirmation] if confirmation else [])])
    return CardView(
        id=hold.id,
        rev=hold.rev,
        digest=hold.digest,
        url=f"{link_base}/review/{hold.id}",
        state=hold.state,
        tone=_TONES[hold.state],
        title=_title(hold, clean_line),
        state_sentence=sentences.state_sentence(hold, waiting_for=waiting_for, clean=clean_line),
        reason=clean(sentences.end_reason(hold)),
        took=sentences.took(hold),
        requester=who,
        requester_groups=groups,
        requester_line=_requester_line(who, groups, hold, model, connection, environment),
        connection=connection,
        model=model,
        environment=environment,
        justification=clean(hold.justification),
        address=visible_line(hold.address),
        risk=hold.evaluation.risk,
        rules=tuple(
            RuleView(visible_line(hit.rule), clean_line(hit.description), hit.verdict, hit.risk)
            for hit in hold.evaluation.hits
        ),
        similar=sentences.similar_sentence(hold, clean=clean_line),
        warnings=tuple(clean_line(f"Not inspected: {what}") for what in hold.query.uninspectable),
        tools=tuple(clean_line(tool) for tool in hold.query.tools),
        created_ms=hold.created_ms,
        deadline_ms=hold.deadline_ms,
        deadline_words=_deadline_words(hold, now_ms),
        paused_ms=hold.paused_ms if hold.state is State.PENDING else None,
        reminded_ms=hold.reminded_ms,
        progress=progress,
        confirmation=confirmation,
        confirming=clean_line(sentences.confirming_sentence(hold, now_ms=now_ms)),
        claim=claim_view(hold, clean_line),
        questions=tuple(question_view(question, clean, clean_line) for question in hold.questions),
        grant=hold.evaluation.terms.grant,
        reasons=tuple(clean_line(reason) for reason in hold.evaluation.terms.reasons),
        glass=clean_line(sentences.glass_sentence(hold)),
        parts=shown.parts,
        cut=shown.cut,
        folded=shown.folded,
        masked=shown.masked,
        revealed=reveal,
        edits=tuple(_edits(hold, masks)),
        timeline=timeline(hold, clean=clean),
        outcome=outcome_view(hold, clean_line),
        actions=actions,
        may_not_decide=refusal,
        count=count,
        told=clean_line(sentences.told_sentence(hold)),
        senders=frozenset(filter(None, (hold.requester.principal, hold.requester.owner))),
        question_pauses=hold.evaluation.terms.question_pauses,
        paths=tuple(part.path for part in hold.query.parts),
        off=clean_line(off),
        in_place_of=clean_line(_in_place_of(hold, viewer, now_ms)) if Action.APPROVE in actions else "",
    )


def _in_place_of(hold: Hold, viewer: Reviewer | None, now_ms: int) -> str:
    """In whose place ``viewer``, who may decide, does so; empty where they have the right themselves."""
    if viewer is None or not viewer.stands_in_for:
        return ""
    absent = authority.check(hold, viewer, now_ms=now_ms).absent
    return f"{absent.principal}, away until {told(absent.until_ms, sentences.UTC)}" if absent is not None else ""


def requester_name(hold: Hold, clean: Callable[[str], str]) -> str:
    """``dana@example.com``, or ``build-bot (agent of dana@example.com)``."""
    requester = hold.requester
    return clean(f"{requester.principal} (agent of {requester.owner})" if requester.owner else requester.principal)


def _requester_line(
    who: str, groups: Sequence[str], hold: Hold, model: str, connection: str, environment: str
) -> str:  # fmt: skip
    """Who → what → where: ``dana@example.com (contractors) → llama-3.3-70b → demo · production``.

    An agent is called by its owner instead of its groups.
    """
    named = [*groups[:MOST_GROUPS], *([f"{len(groups) - MOST_GROUPS} more"] if len(groups) > MOST_GROUPS else [])]
    of = f" ({', '.join(named)})" if named and hold.requester.owner is None else ""
    return " → ".join(filter(None, (who + of, model, " · ".join(filter(None, (connection, environment))))))


_TONES = {
    State.PENDING: Tone.WAITING,
    State.APPROVED: Tone.GOOD,
    State.RELEASED: Tone.GOOD,
    State.COMPLETED: Tone.GOOD,
    State.FAILED: Tone.BAD,
    State.REJECTED: Tone.BAD,
    State.EXPIRED: Tone.ENDED,
    State.CANCELLED: Tone.ENDED,
}


def _title(hold: Hold, clean: Callable[[str], str]) -> str:
    reason = hold.evaluation.reason or next((hit.description for hit in hold.evaluation.hits), "")
    return clean(reason) or "A request that needs a decision"


def _missing(progress: Sequence[ProgressView]) -> list[str]:
    """``1 more approval from security``, ``2 approvals from legal``; of those whose turn it is."""
    missing = [(item.needed - len(item.people), item) for item in progress if not (item.done or item.after)]
    return [
        f"{count} {'more ' if item.people else ''}approval{'' if count == 1 else 's'} from {item.groups}"
        for count, item in missing
    ]


def _confirmation(hold: Hold, so_far: authority.Progress, clean: Callable[[str], str]) -> str:
    """What an edited text still needs beside the approvals; empty when nothing is missing."""
    if not so_far.unconfirmed:
        return ""
    editor = next((decision for decision in reversed(hold.decisions) if decision.edits), None)
    return (
        clean(f"an approval by somebody other than {sentences.person(editor)}, who edited the text") if editor else ""
    )


def _deadline_words(hold: Hold, now_ms: int) -> str:
    """How long is left to decide; empty when nobody can any more."""
    if hold.state is not State.PENDING:
        return ""
    left = deadline_at(hold, now_ms) - now_ms
    return f"{sentences.duration(left)} left" if left > 0 else "deadline passed"


def _progress(hold: Hold, so_far: authority.Progress, clean: Callable[[str], str]) -> tuple[ProgressView, ...]:
    names = {decision.by: sentences.person(decision) for decision in hold.decisions}
    return tuple(
        ProgressView(
            visible_line(requirement.group),
            tuple(visible_line(group) for group in requirement.alternates),
            requirement.approvals,
            tuple(clean(names.get(who, who)) for who in people),
            tuple(map(visible_line, requirement.after)) if requirement.group in so_far.early else (),
        )
        for requirement, people in so_far.items
    )


def _edits(hold: Hold, masks: Masks) -> list[EditView]:
    labels = {part.path: part_label(part) for part in hold.query.parts}
    return [
        EditView(
            path=visible_line(edit.path),
            label=labels.get(edit.path, visible_line(edit.path)),
            by=visible_line(mask(sentences.person(decision), masks).text),
            lines=edit_lines(_text_at(decision, edit.path), edit.text, masks),
        )
        for decision in hold.decisions
        for edit in decision.edits
    ]


def edit_lines(before: str, after: str, masks: Masks) -> tuple[DiffLine, ...]:
    """The diff of two texts as it may be shown: masked on both sides."""
    return diff_lines(mask(before, masks).text, mask(after, masks).text)


def _text_at(decision: Decision, path: str) -> str:
    return next((edit.text for edit in decision.before if edit.path == path), "")
