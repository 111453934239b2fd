"""What a card says, in words: titles, labelled facts, what people said, what was changed. Pure; knows no platform.

Texts are cut here to what a card has room for (UTF-16 units), so that every platform tells the same. A platform puts
them where they belong; each text is from outside and stays inert there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.pieces import Action
from bot.shared_views import BundleView, DigestView
from bot.units import clip
from bot.views import CardView
from holdpoint.model import Risk, State

TITLES = {
    Action.APPROVE: "Approve",
    Action.EDIT: "Edit & approve",
    Action.REJECT: "Reject",
    Action.ASK: "Ask the requester",
    Action.CLAIM: "I am on it",
    Action.UNCLAIM: "Hand it back",
    Action.VIEW: "View full",
    Action.GRANT: "Approve similar …",
    Action.REVEAL: "Reveal what is masked",
}
RISKS = {Risk.LOW: "⚪ Low risk", Risk.MEDIUM: "🟠 Medium risk", Risk.HIGH: "🔴 High risk"}
RISK_MARKS = {Risk.LOW: "⚪", Risk.MEDIUM: "🟠", Risk.HIGH: "🔴"}
_HEADERS = {
    State.PENDING: "held for review",
    State.APPROVED: "✅ Approved",
    State.RELEASED: "✅ Approved, with the model now",
    State.COMPLETED: "✅ Approved and answered",
    State.FAILED: "❗ Approved, but the model failed",
    State.REJECTED: "⛔ Rejected",
    State.EXPIRED: "⌛ Expired",
    State.CANCELLED: "🚫 Cancelled",
}
_MOST_IDS = 40


@dataclass(frozen=True, slots=True)
class Fact:
    """One labelled line. With ``at_ms`` a time stands behind ``text``."""

    label: str
    text: str
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said, of several lines perhaps."""

    label: str
    text: str
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What an edit changed: a diff, line by line."""

    label: str
    text: str


def header(view: CardView, count: int = 1) -> str:
    """``🔴 High risk, held for review · × 12``. Words of ours only."""
    times = f" · × {count:,}" if count > 1 else ""
    word = f"{RISKS[view.risk]}, {_HEADERS[view.state]}" if view.pending else _HEADERS[view.state]
    return word + times


def headline(view: CardView) -> str:
    """For notifications and screen readers: who and why, nothing that the request itself says. Not inert by itself."""
    return f"{header(view)}: {view.title} — {view.requester} → {view.connection} — {view.state_sentence}"


def facts(view: CardView, bundle: BundleView | None = None) -> list[Fact]:
    """What a reviewer has to know, the most important first."""
    several = len(view.progress) > 1 or any(item.needed > 1 for item in view.progress)
    return told(
        [
            *_why(view),
            Fact("Status", clip(view.state_sentence, 400)),
            *_clock(view),
            *_some("Approvals", [item.line for item in view.progress] if several else [], most=5, length=150),
            Fact("Confirming", clip(view.confirming, 250)),
            *absence(view),
            *claim(view),
            Fact("Identical", clip(bundle.line if bundle else _identical(view), 300)),
            Fact("History", clip(view.similar, 300) if view.pending else ""),
            Fact("Tools", clip(", ".join(view.tools), 200)),
            *_some("Warning", view.warnings, most=3, length=150),
            Fact("Requester", clip(view.told, 200)),
            Fact("Glass", clip(view.glass, 250)),
            Fact("Result", clip(view.outcome.line, 250) if view.outcome else ""),
        ]
    )


def said(view: CardView) -> list[Said]:
    """What people said about the request."""
    found = [Said("The requester says", clip(view.justification, 500))]
    for question in view.questions[-2:]:
        state = "  (no answer yet)" if question.is_open and view.pending else ""
        found.append(Said(f"{clip(question.by, 80)} asked{state}", clip(question.text, 250), question.at_ms))
        if question.answered_ms is not None:
            label = f"{clip(question.answered_by, 80)} answered"
            found.append(Said(label, clip(question.answer, 400), question.answered_ms))
    found.append(Said("Reason", clip(view.given_reason, 500)))
    return [each for each in found if each.text.strip()]


def left_out(view: CardView) -> str:
    """How much of the text the card does not show, and where it can be read."""
    where = "View full" if view.pending else "see the inbox"
    return f"{view.left_out}: {where}" if view.left_out else ""


def changed(view: CardView, *, most: int = 2) -> tuple[list[Changed], str]:
    """The first diffs, and how many there are beyond."""
    shown = [
        Changed(
            clip(f"{edit.label}, edited by {edit.by}", 150),
            clip("\n".join(f"{line.sign} {line.text}" for line in edit.lines if line.sign.strip()) or " ", 600),
        )
        for edit in view.edits[:most]
    ]
    beyond = len(view.edits) - most
    return shown, f"{beyond} more edit{'' if beyond == 1 else 's'} in the inbox" if beyond > 0 else ""


def history(view: CardView, *, most: int = 5) -> list[tuple[int, str]]:
    """What people did and when (ms), without what else stands on the card. The last lines; the inbox has them all."""
    lines = [line for line in view.timeline[1:] if not line.talk][-most:]  # the first one says that it was held
    return [(line.at_ms, clip(line.text if line.note == view.reason else line.line, 250)) for line in lines]


def reference(view: CardView) -> str:
    """Ours alone: id and digest."""
    return f"Hold {view.id} · text {view.digest[:12]}"


def covered(bundle: BundleView | None) -> list[str]:
    """The ids that the card stands for, as far as they fit. Ours alone."""
    if bundle is None or not bundle.ids:
        return []
    shown = bundle.ids[:_MOST_IDS]
    more = f" and {len(bundle.ids) - _MOST_IDS} more" if len(bundle.ids) > _MOST_IDS else ""
    return [f"Waiting: {', '.join(shown)}{more}"]


def digest_title(view: DigestView) -> str:
    """Of a card for many holds. Words of ours only."""
    waiting = len(view.waiting)
    return (
        f"{waiting:,} of {len(view.lines):,} requests wait" if waiting else f"{len(view.lines):,} requests, all decided"
    )


def digest_note(view: DigestView) -> str:
    """What has to be known before all are decided together. Words of ours only."""
    unread = sum(line.unread for line in view.waiting)
    sentences = [
        "Many requests came at once, so they share a card." if view.waiting else "",
        "A decision covers exactly those that wait on this list." if view.waiting else "",
        f"{unread} marked “read first” cannot be approved together: open them." if unread else "",
        f"{view.more:,} more wait beyond this list." if view.more else "",
    ]
    return " ".join(filter(None, sentences))


def told(found: Sequence[Fact]) -> list[Fact]:
    """Without those that say nothing."""
    return [fact for fact in found if fact.text.strip()]


def _some(label: str, texts: Sequence[str], *, most: int, length: int) -> list[Fact]:
    """The first texts, and how many there are beyond."""
    shown = [Fact(label, clip(text, length)) for text in texts[:most]]
    return [*shown, Fact(label, f"and {len(texts) - most} more, see the inbox")] if len(texts) > most else shown


def _why(view: CardView) -> list[Fact]:
    """The rules; what the policy says of the request first, where no rule says the same."""
    several = len(view.rules) > 1
    lines = [
        f"{rule.line} ({rule.verdict.value}, {rule.risk.value} risk)" if several else rule.line for rule in view.rules
    ]
    title = [] if any(rule.description == view.title for rule in view.rules) else [view.title]
    return _some("Why", [*title, *lines], most=4, length=250)


def _clock(view: CardView) -> list[Fact]:
    if not view.pending:
        return []
    if view.paused_ms is not None:
        return [Fact("Clock", "stands until the requester answers, since ", view.paused_ms)]
    return [Fact("Decide by", "⏰ " if view.reminded_ms is not None else "⏳ ", view.deadline_ms)]


def absence(view: CardView) -> list[Fact]:
    """Who is not there, and in whose place who looks would decide."""
    return told([Fact("Away", clip(view.off, 400)), Fact("In the place of", clip(view.in_place_of, 250))])


def claim(view: CardView) -> list[Fact]:
    """Who is on it."""
    return [Fact("On it", f"{clip(view.claim.name, 100)} until ", view.claim.until_ms)] if view.claim else []


def _identical(view: CardView) -> str:
    return f"{view.count:,} requests wait as one" if view.count > 1 else ""
