"""An approval that waits to be confirmed → what its page shows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bot.cards import CardView, card_view, edit_lines, part_label
from bot.passages import DiffLine
from bot.sentences import channel_words, duration
from bot.stepup import factor_of
from bot.visibility import may_see
from holdpoint.model import DecisionKind, GrantScope, Hold, Reviewer, State
from holdpoint.policy.mask import Masks, mask, restore
from holdpoint.store.bundles import Covered
from holdpoint.store.stepups import Intent
from holdpoint.visible import visible_line

SHOWN_CHARACTERS = 200_000  # of all texts together; beyond, the page offers the whole behind a link


@dataclass(frozen=True, slots=True)
class Item:
    """One text that was approved, for ``count`` holds. ``ready``: confirming would approve it; else ``sentence`` says why not.

    ``diffs`` are the approval's own edits, by the label of the part.
    """

    view: CardView
    count: int
    ready: bool
    sentence: str
    diffs: tuple[tuple[str, tuple[DiffLine, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """``fresh``: the person's sign-in is proof enough already. ``can_add``: passkeys work at our address."""

    items: tuple[Item, ...] = ()
    fresh: bool = False
    has_passkey: bool = False
    can_add: bool = False
    can_sign_in: bool = False

    @property
    def ready(self) -> int:
        """How many requests confirming would approve."""
        return sum(item.count for item in self.items if item.ready)


def items_of(
    intent: Intent,
    current: Collection[Covered],
    holds: Mapping[str, Hold],
    reviewer: Reviewer,
    *,
    now_ms: int,
    link_base: str,
    masks: Masks,
    whole: bool,
) -> tuple[Item, ...]:
    """Those that ``reviewer`` may see, in the order of the click, identical ones as one. ``current`` still wait to be confirmed."""
    groups = _alike(intent, current, holds, reviewer)
    limit = None if whole else SHOWN_CHARACTERS // max(len(groups), 1)
    found = []
    for group in groups:
        first = group[0]
        hold = holds[first.hold]
        view = card_view(
            hold, now_ms=now_ms, link_base=link_base, masks=masks, viewer=reviewer, limit=limit, fold=False, count=len(group)
        )  # fmt: skip
        waits = _waits(hold, first, current)
        ready = waits and not view.may_not_decide and bool(view.deadline_words)
        found.append(
            Item(
                view,
                len(group),
                ready,
                "" if ready else _why_not(hold, first, view),
                _diffs(intent, hold, masks) if waits else (),
            )
        )
    return tuple(found)


def page_of(
    items: tuple[Item, ...],
    holds: Iterable[Hold],
    reviewer: Reviewer,
    *,
    now_ms: int,
    has_passkey: bool,
    can_add: bool,
    can_sign_in: bool,
) -> Page:  # fmt: skip
    """The page; a sign-in is fresh when it is for every hold that waits."""
    waiting = [hold for hold in holds if hold.state is State.PENDING]
    fresh = bool(waiting) and all(
        factor_of(hold, reviewer, DecisionKind.APPROVE, None, now_ms) is not None for hold in waiting
    )
    return Page(items, fresh, has_passkey, can_add, can_sign_in)


def facts_of(intent: Intent, masks: Masks) -> list[tuple[str, str]]:
    """Label and text of what was approved, beside the texts themselves."""
    requests = f" · {len(intent.covered)} requests" if len(intent.covered) > 1 else ""
    word = "Approve with edits" if intent.edits else "Approve similar" if intent.grant else "Approve"
    found = [("You", intent.by), ("Decision", f"{word}{requests}"), ("Made", channel_words(intent.channel))]
    if intent.grant is not None:
        grant = intent.grant
        whom = f"requesters in {grant.subject}" if grant.scope is GrantScope.GROUP else "the same requester"
        found.append(("Also", f"{grant.uses} more like it of {whom}, for {duration(grant.age_ms)}"))
    if intent.reason:
        found.append(("Reason", intent.reason))
    return [(label, visible_line(mask(text, masks).text)) for label, text in found]


def _alike(
    intent: Intent, current: Collection[Covered], holds: Mapping[str, Hold], reviewer: Reviewer
) -> Collection[list[Covered]]:
    """What ``reviewer`` may see: of those that wait, the ones with the same text together; each of the others alone."""
    grouped: dict[tuple[str, str], list[Covered]] = {}
    for each in intent.covered:
        hold = holds.get(each.hold)
        if hold is not None and may_see(hold, reviewer):
            alike = (hold.digest, "") if _waits(hold, each, current) else (hold.digest, hold.id)
            grouped.setdefault(alike, []).append(each)
    return grouped.values()


def _waits(hold: Hold, each: Covered, current: Collection[Covered]) -> bool:
    """Whether it can still be confirmed: pending, the text that was approved, and nothing said by them since."""
    return hold.state is State.PENDING and hold.digest == each.digest and each in current


def _why_not(hold: Hold, each: Covered, view: CardView) -> str:
    """Why confirming changes nothing about this one."""
    if view.may_not_decide:
        return view.may_not_decide
    if hold.state is not State.PENDING or not view.deadline_words:
        return f"{view.state_sentence}."
    if hold.digest != each.digest:
        return "The text was edited since you approved it. Look at it again before you decide."
    return "Your approval does not wait to be confirmed any more."


def _diffs(intent: Intent, hold: Hold, masks: Masks) -> tuple[tuple[str, tuple[DiffLine, ...]], ...]:
    parts = {part.path: part for part in hold.query.parts}
    found = []
    for edit in intent.edits:
        part = parts.get(edit.path)
        if part is not None:
            after = restore(edit.text, mask(part.text, masks).originals)
            found.append((part_label(part), edit_lines(part.text, after, masks)))
    return tuple(found)
