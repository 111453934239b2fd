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

from dataclasses import dataclass

from bot import sentences
from bot.needs import needs_of
from bot.offers import offers
from bot.parts import Portion, part_label, portion
from bot.passages import DiffLine, diff_lines
from bot.pieces import Action, EditView, PartView, RuleView, Tone, claim_view, outcome_view, question_view
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
    clean = _Cleaner(Masks() if reveal else masks)
    texts = portion(hold, clean.masks, limit=limit, fold=fold)
    offer = _offer(hold, clean, viewer, now_ms=now_ms, masked=texts.masked)
    url = f"{link_base}/review/{hold.id}"
    return _drawn(hold, clean, texts, offer, now_ms=now_ms, url=url, revealed=reveal, count=count, off=off)


@dataclass(frozen=True, slots=True)
class _Cleaner:
    """Makes anybody's text fit to be shown: with the masks applied, and hidden characters written out."""

    masks: Masks

    def text(self, text: str) -> str:
        """It may have several lines."""
        return visible(mask(text, self.masks).text)

    def line(self, text: str) -> str:
        """It is one line."""
        return visible_line(mask(text, self.masks).text)


@dataclass(frozen=True, slots=True)
class _Offer:
    """What can be done by who looks, and ``in_place_of`` whom; or why they may not decide."""

    actions: tuple[Action, ...]
    may_not_decide: str
    in_place_of: str


@dataclass(frozen=True, slots=True)
class _Origin:
    """Who asks what of which model, and where."""

    requester: str
    groups: tuple[str, ...]
    is_agent: bool
    model: str
    connection: str
    environment: str

    @property
    def line(self) -> str:
        """``dana@example.com (contractors) → llama-3.3-70b → demo · production``.

        An agent is called by its owner instead of its groups.
        """
        more = len(self.groups) - MOST_GROUPS
        named = [*self.groups[:MOST_GROUPS], *([f"{more} more"] if more > 0 else [])]
        of = f" ({', '.join(named)})" if named and not self.is_agent else ""
        where = " · ".join(filter(None, (self.connection, self.environment)))
        return " → ".join(filter(None, (self.requester + of, self.model, where)))


def _drawn(
    hold: Hold, clean: _Cleaner, texts: Portion, offer: _Offer,
    *, now_ms: int, url: str, revealed: bool, count: int, off: str,
) -> CardView:  # fmt: skip
    """All that the card says."""
    origin = _origin(hold, clean)
    needs = needs_of(hold, clean.line)
    asks = hold.evaluation.terms
    return CardView(
        id=hold.id, rev=hold.rev, digest=hold.digest, url=url, count=count,
        # how it stands, and until when
        state=hold.state, tone=_TONES[hold.state], title=_title(hold, clean),
        state_sentence=sentences.state_sentence(hold, waiting_for=needs.words, clean=clean.line),
        reason=clean.text(sentences.end_reason(hold)), took=sentences.took(hold),
        outcome=outcome_view(hold, clean.line),
        created_ms=hold.created_ms, deadline_ms=hold.deadline_ms, deadline_words=_deadline_words(hold, now_ms),
        paused_ms=hold.paused_ms if hold.state is State.PENDING else None, reminded_ms=hold.reminded_ms,
        # who asks what of which model, and why
        requester=origin.requester, requester_groups=origin.groups, requester_line=origin.line, senders=_senders(hold),
        connection=origin.connection, model=origin.model, environment=origin.environment,
        justification=clean.text(hold.justification), address=visible_line(hold.address),
        # what the policy found
        risk=hold.evaluation.risk, rules=_rules(hold, clean), similar=sentences.similar_sentence(hold, clean=clean.line),
        warnings=tuple(clean.line(f"Not inspected: {what}") for what in hold.query.uninspectable),
        tools=tuple(clean.line(tool) for tool in hold.query.tools),
        # the texts
        parts=texts.parts, cut=texts.cut, folded=texts.folded, masked=texts.masked, revealed=revealed,
        paths=tuple(part.path for part in hold.query.parts), edits=_edits(hold, clean),
        # what people say and have done
        progress=needs.progress, confirmation=needs.confirmation,
        confirming=clean.line(sentences.confirming_sentence(hold, now_ms=now_ms)),
        claim=claim_view(hold, clean.line), off=clean.line(off), question_pauses=asks.question_pauses,
        questions=tuple(question_view(question, clean.text, clean.line) for question in hold.questions),
        timeline=timeline(hold, clean=clean.text), glass=clean.line(sentences.glass_sentence(hold)),
        told=clean.line(sentences.told_sentence(hold)),
        # what can be done
        actions=offer.actions, may_not_decide=offer.may_not_decide, in_place_of=offer.in_place_of,
        grant=asks.grant, reasons=tuple(clean.line(reason) for reason in asks.reasons),
    )  # fmt: skip


def _offer(hold: Hold, clean: _Cleaner, viewer: Reviewer | None, *, now_ms: int, masked: bool) -> _Offer:
    actions, refusal = offers(hold, now_ms=now_ms, viewer=viewer, masked=masked)
    in_place_of = clean.line(_in_place_of(hold, viewer, now_ms)) if Action.APPROVE in actions else ""
    return _Offer(actions, refusal, in_place_of)


def _in_place_of(hold: Hold, viewer: Reviewer | None, now_ms: int) -> str:
    """In whose place ``viewer``, who may decide, does so; empty where they have the right themselves."""
    if viewer is None or not viewer.stands_in_for:
        return ""
    absent = authority.check(hold, viewer, now_ms=now_ms).absent
    return f"{absent.principal}, away until {told(absent.until_ms, sentences.UTC)}" if absent is not None else ""


def _origin(hold: Hold, clean: _Cleaner) -> _Origin:
    return _Origin(
        requester=clean.line(_requester_name(hold)),
        groups=tuple(sorted(visible_line(group) for group in hold.requester.groups)),
        is_agent=hold.requester.owner is not None,
        model=clean.line(hold.query.model),
        connection=clean.line(hold.connection),
        environment=clean.line(hold.environment),
    )


def _requester_name(hold: Hold) -> str:
    """``dana@example.com``, or ``build-bot (agent of dana@example.com)``."""
    requester = hold.requester
    return f"{requester.principal} (agent of {requester.owner})" if requester.owner else requester.principal


def _senders(hold: Hold) -> frozenset[str]:
    return frozenset(filter(None, (hold.requester.principal, hold.requester.owner)))


def _rules(hold: Hold, clean: _Cleaner) -> tuple[RuleView, ...]:
    return tuple(
        RuleView(visible_line(hit.rule), clean.line(hit.description), hit.verdict, hit.risk)
        for hit in hold.evaluation.hits
    )


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


def _title(hold: Hold, clean: _Cleaner) -> str:
    reason = hold.evaluation.reason or next((hit.description for hit in hold.evaluation.hits), "")
    return clean.line(reason) or "A request that needs a decision"


def _deadline_words(hold: Hold, now_ms: int) -> str:
    """How long is left to decide; empty when nobody can any more."""
    if hold.state is not State.PENDING:
        return ""
    left = deadline_at(hold, now_ms) - now_ms
    return f"{sentences.duration(left)} left" if left > 0 else "deadline passed"


def _edits(hold: Hold, clean: _Cleaner) -> tuple[EditView, ...]:
    labels = {part.path: part_label(part) for part in hold.query.parts}
    return tuple(
        EditView(
            path=visible_line(edit.path),
            label=labels.get(edit.path, visible_line(edit.path)),
            by=clean.line(sentences.person(decision)),
            lines=edit_lines(_text_at(decision, edit.path), edit.text, clean.masks),
        )
        for decision in hold.decisions
        for edit in decision.edits
    )


def edit_lines(before: str, after: str, masks: Masks) -> tuple[DiffLine, ...]:
    """The diff of two texts as it may be shown: masked on both sides."""
    return diff_lines(mask(before, masks).text, mask(after, masks).text)


def _text_at(decision: Decision, path: str) -> str:
    return next((edit.text for edit in decision.before if edit.path == path), "")
