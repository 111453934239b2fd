"""A hold as people see it: one view model for every channel. Pure: no I/O, the time is an argument.

::

    Hold ─┬─ who, where to, why, risk ─────────────┐
          ├─ parts ─ passages (mask, mark, cut) ───┤
          ├─ decisions ─ diff, progress, timeline ─┼──▶ CardView ──▶ template of a channel
          └─ state, deadline, viewer ─ actions ────┘

Every string is plain text with the policy's masks applied and hidden characters written out; whoever renders it escapes
it for the medium. A card is always drawn anew from the stored hold, so it cannot disagree with the record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot import sentences
from bot.passages import DiffLine, diff_lines, segments, shorten
from bot.views import Action, CardView, EditView, OutcomeView, PartView, ProgressView, RuleView, Tone, plain_text
from holdpoint.errors import MayNotDecide
from holdpoint.model import Decision, Hold, Part, PartRole, Reviewer, Span, State
from holdpoint.policy import authority
from holdpoint.policy.mask import Masks, mask
from holdpoint.visible import visible, visible_line

__all__ = ["Action", "CardView", "EditView", "PartView", "card_view", "edit_lines", "part_label", "plain_text"]


def card_view(
    hold: Hold,
    *,
    now_ms: int,
    link_base: str,
    masks: Masks,
    viewer: Reviewer | None = None,
    limit: int | None = None,
    count: int = 1,
) -> CardView:
    """``hold`` as seen at ``now_ms``.

    ``link_base`` is the URL in front of ``/review``. ``limit`` bounds the characters of the parts in all (None: show
    everything). ``viewer`` is who looks: without the right to decide, the actions are gone and ``may_not_decide`` says
    why; None draws a card for everybody. ``count`` is how many identical holds this card stands for.
    """

    def clean(text: str) -> str:
        return visible(mask(text, masks).text)

    def clean_line(text: str) -> str:
        return visible_line(mask(text, masks).text)

    parts, cut = _parts(hold, masks, limit)
    progress = _progress(hold)
    actions, refusal = _actions(hold, now_ms, viewer)
    model, connection, environment = (
        clean_line(text) for text in (hold.query.model, hold.connection, hold.environment)
    )
    who = requester_name(hold, clean_line)
    return CardView(
        id=hold.id,
        rev=hold.rev,
        digest=hold.digest,
        url=f"{link_base}/review/{hold.id}",
        state=hold.state,
        tone=_TONES[hold.state],
        title=_title(hold, clean_line),
        state_sentence=sentences.state_sentence(hold, waiting_for=_waiting_for(progress), clean=clean_line),
        requester=who,
        requester_groups=tuple(sorted(visible_line(group) for group in hold.requester.groups)),
        requester_line=f"{who} → {' · '.join(filter(None, (connection, model, environment)))}",
        connection=connection,
        model=model,
        environment=environment,
        justification=clean(hold.justification),
        address=visible_line(hold.address),
        risk=hold.evaluation.risk,
        rules=tuple(
            RuleView(hit.rule, clean_line(hit.description), hit.verdict, hit.risk) for hit in hold.evaluation.hits
        ),
        warnings=tuple(clean_line(f"Not inspected: {what}") for what in hold.query.uninspectable),
        tools=tuple(clean_line(tool) for tool in hold.query.tools),
        created_ms=hold.created_ms,
        deadline_ms=hold.deadline_ms,
        deadline_words=_deadline_words(hold, now_ms),
        progress=progress,
        parts=parts,
        cut=cut,
        edits=tuple(_edits(hold, masks)),
        timeline=sentences.timeline(hold, clean=clean),
        outcome=_outcome(hold, clean),
        actions=actions,
        may_not_decide=refusal,
        count=count,
    )


def requester_name(hold: Hold, clean: Callable[[str], str]) -> str:
    """``dana@example.com``, or ``build-bot (agent of dana@example.com)``."""
    requester = hold.requester
    return clean(f"{requester.principal} (agent of {requester.owner})" if requester.owner else requester.principal)


def part_label(part: Part) -> str:
    """``User``, ``Tool result`` …, with the message's number where there is one: ``User · message 3``."""
    label = _ROLES[part.role]
    keys = part.path.split("/")
    if part.role in (PartRole.PARAMETER, PartRole.DEFINITION):
        return f"{label} · {visible_line(part.path)}"
    if len(keys) > 2 and keys[1].isdigit():
        return f"{label} · message {int(keys[1]) + 1}"
    return label


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

_ROLES = {
    PartRole.SYSTEM: "System",
    PartRole.USER: "User",
    PartRole.ASSISTANT: "Assistant",
    PartRole.TOOL: "Tool result",
    PartRole.DEFINITION: "Tool definition",
    PartRole.PARAMETER: "Parameter",
}


def _title(hold: Hold, clean: Callable[[str], str]) -> str:
    reason = hold.evaluation.reason or next((hit.description for hit in hold.evaluation.hits), "")
    return clean(reason) or "A request that needs a decision"


def _waiting_for(progress: Sequence[ProgressView]) -> str:
    """``1 more approval from security and 2 approvals from legal``."""
    missing = [(item.needed - len(item.people), item) for item in progress if not item.done]
    return sentences.counted(
        [
            f"{count} {'more ' if item.people else ''}approval{'' if count == 1 else 's'} from {item.groups}"
            for count, item in missing
        ]
    )


def _deadline_words(hold: Hold, now_ms: int) -> str:
    """How long is left to decide; empty when nobody can any more."""
    if hold.state is not State.PENDING:
        return ""
    left = hold.deadline_ms - now_ms
    return f"{sentences.duration(left)} left" if left > 0 else "deadline passed"


def _progress(hold: Hold) -> tuple[ProgressView, ...]:
    names = {decision.by: sentences.person(decision) for decision in hold.decisions}
    return tuple(
        ProgressView(
            requirement.group,
            requirement.alternates,
            requirement.approvals,
            tuple(visible_line(names.get(who, who)) for who in people),
        )
        for requirement, people in authority.progress(hold, hold.decisions).items
    )


def _actions(hold: Hold, now_ms: int, viewer: Reviewer | None) -> tuple[tuple[Action, ...], str]:
    if hold.state is not State.PENDING or now_ms >= hold.deadline_ms:
        return (Action.VIEW,), ""
    if viewer is not None:
        try:
            authority.check(hold, viewer)
        except MayNotDecide as refusal:
            return (Action.VIEW,), str(refusal)
    editable = any(part.editable for part in hold.query.parts)
    edit = (Action.EDIT,) if editable else ()
    return (Action.APPROVE, *edit, Action.REJECT, Action.VIEW), ""


def _parts(hold: Hold, masks: Masks, limit: int | None) -> tuple[tuple[PartView, ...], int]:
    """The parts, most telling first: the newest user turn, then what matched, then the rest from new to old."""
    spans: dict[str, list[Span]] = {}
    for hit in hold.evaluation.hits:
        for span in hit.spans:
            spans.setdefault(span.path, []).append(span)
    newest = _newest_turn(hold.query.parts)
    order = sorted(
        enumerate(hold.query.parts), key=lambda item: _rank(*item, newest=newest, marked=item[1].path in spans)
    )
    views: list[PartView] = []
    room, cut = limit, 0
    for _, part in order:
        view = _part(part, spans.get(part.path, ()), masks, room)
        if room is not None:
            room = max(room - len(view.plain), 0)
        cut += view.cut
        views.append(view)
    return tuple(views), cut


def _rank(index: int, part: Part, *, newest: str | None, marked: bool) -> tuple[bool, bool, bool, int]:
    """What sorts a part. Within the newest turn, and among tools and parameters, the order of the body stays."""
    is_newest = newest is not None and _turn(part) == newest
    is_detail = part.role in (PartRole.DEFINITION, PartRole.PARAMETER)
    return (not is_newest, not marked, is_detail, index if is_newest or is_detail else -index)


def _part(part: Part, spans: Sequence[Span], masks: Masks, room: int | None) -> PartView:
    masked = mask(part.text, masks)
    whole = segments(part.text, [(span.start, span.end) for span in spans], masked.originals, masked.text)
    shown, cut = (whole, 0) if room is None else shorten(whole, room)
    return PartView(part.path, part.role, part_label(part), shown, cut, part.editable, bool(spans), masked.text)


def _turn(part: Part) -> str:
    """What the parts of one message have in common: its path. Parameters have none."""
    return "/".join(part.path.split("/")[:2])


def _newest_turn(parts: Sequence[Part]) -> str | None:
    return next((_turn(part) for part in reversed(parts) if part.role is PartRole.USER), None)


def _edits(hold: Hold, masks: Masks) -> list[EditView]:
    labels = {part.path: part_label(part) for part in hold.query.parts}
    return [
        EditView(
            path=visible_line(edit.path),
            label=labels.get(edit.path, visible_line(edit.path)),
            by=visible_line(sentences.person(decision)),
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


def _outcome(hold: Hold, clean: Callable[[str], str]) -> OutcomeView | None:
    outcome = hold.outcome
    if outcome is None:
        return None
    return OutcomeView(
        status=outcome.status,
        ok=hold.state is State.COMPLETED,
        duration_ms=outcome.duration_ms,
        prompt_tokens=outcome.prompt_tokens,
        completion_tokens=outcome.completion_tokens,
        error=clean(outcome.error),
    )
