"""What became of a hold, in words: the state sentence, durations, sizes. Pure. `bot.timeline` tells the whole story.

Names and reasons that people typed go through ``clean`` (masks, hidden characters) before they stand in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never
from zoneinfo import ZoneInfo

from bot.until import told
from holdpoint.clock import iso
from holdpoint.model import Decision, DecisionKind, Factor, GrantScope, Hold, State, Tally

Clean = Callable[[str], str]
UTC = ZoneInfo("UTC")

_CHANNELS = {
    "web": "from the web",
    "slack": "from Slack",
    "teams": "from Teams",
    "email": "by e-mail",
    "api": "through the API",
    "timer": "by the policy",
}
_WAYS = {"teams": "in Teams", "slack": "in Slack", "email": "by e-mail"}
_NOT_THERE = {
    "teams": "the app is not installed for them in Teams",
    "slack": "they have no account in Slack",
    "email": "no mail could be sent to them",
}


def duration(milliseconds: int) -> str:
    """``0.8 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``: two units at most."""
    if milliseconds < 9_950:
        return f"{max(milliseconds, 0) / 1000:.1f} s"
    seconds = round(milliseconds / 1000)
    for size, unit, smaller, smaller_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
    return f"{seconds} s"


def size(count: int) -> str:
    """``4 bytes``, ``2.3 kB``, ``1.2 MB``: of ``count`` bytes."""
    if count < 1_000:
        return f"{count} byte{'' if count == 1 else 's'}"
    return f"{count / 1_000:.1f} kB" if count < 999_950 else f"{count / 1_000_000:.1f} MB"


def channel_words(channel: str) -> str:
    """``from Slack`` for "slack", and so on."""
    return _CHANNELS.get(channel, f"from {channel}")


def person(decision: Decision) -> str:
    """How to call who decided, on a line."""
    return decision.name or decision.by


def full_person(decision: Decision) -> str:
    """The same beyond doubt: a display name may be anybody's."""
    return f"{decision.name} ({decision.by})" if decision.name and decision.name != decision.by else decision.by


def in_place_of(decision: Decision) -> str:
    """`` for sam@example.com (away until Wed 2026-12-02 00:00 UTC)``; empty where they decided by their own right."""
    if not decision.behalf:
        return ""
    until = f" (away until {told(decision.behalf_until_ms, UTC)})" if decision.behalf_until_ms is not None else ""
    return f" for {counted(decision.behalf)}{until}"


def counted(names: Sequence[str]) -> str:
    """``Sam``, ``Sam and Kim``, ``Sam, Kim and Ola``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def state_sentence(hold: Hold, *, waiting_for: str, clean: Clean) -> str:
    """One sentence: the state, who brought it about, from where, and after how long."""
    match hold.state:
        case State.PENDING:
            return f"Waiting for {waiting_for}" if waiting_for else "Waiting for a decision"
        case State.APPROVED:
            return _approval(hold, clean)
        case State.RELEASED:
            return f"{_approval(hold, clean)}; with the model now"
        case State.COMPLETED:
            return f"{_approval(hold, clean)}; the model has answered"
        case State.FAILED:
            return f"{_approval(hold, clean)}; the model's answer failed"
        case State.REJECTED:
            return _deed("Rejected", _last(hold, DecisionKind.REJECT), hold, clean)
        case State.EXPIRED:
            return _with_reason("Expired", hold, clean)
        case State.CANCELLED:
            return _with_reason("Cancelled", hold, clean)
        case _:
            assert_never(hold.state)


def similar_sentence(hold: Hold, *, clean: Clean) -> str:
    """What became of similar requests, the same at every drawing; empty when it is not known.

    ``Similar requests of Dana, 30 days: 12 approved (Sam 9, Kim 3), 2 rejected (Kim 2), the last one on 2026-01-31``
    """
    similar = hold.similar
    if similar is None:
        return ""
    if similar.last_ms is None:
        return "No similar request in the 30 days before"
    own = similar.scope is GrantScope.REQUESTER
    who = (hold.requester.name or hold.requester.principal) if own else counted(sorted(hold.requester.groups))
    numbers = (
        (similar.approved, f"approved{_tallies(similar.approved_by)}"),
        (similar.rejected, f"rejected{_tallies(similar.rejected_by)}"),
        (similar.expired, "expired"),
        (similar.cancelled, "cancelled"),
    )
    told = ", ".join(f"{count:,} {what}" for count, what in numbers if count)
    period = "the newest of 30 days" if similar.more else "30 days"
    return clean(f"Similar requests of {who}, {period}: {told}, the last one on {iso(similar.last_ms)[:10]}")


def _tallies(tallies: Sequence[Tally]) -> str:
    people = ", ".join(f"{tally.name or tally.by} {tally.count:,}" for tally in tallies)
    return f" ({people})" if people else ""


def already_sentence(hold: Hold, *, now_ms: int) -> str:
    """For who comes too late: what the hold is, who did it, how long ago."""
    decision = hold.decisions[-1] if hold.decisions else None
    match hold.state:
        case State.REJECTED | State.APPROVED | State.RELEASED | State.COMPLETED | State.FAILED if decision:
            word = "rejected" if hold.state is State.REJECTED else "approved"
            return f"Already {word} by {full_person(decision)} {duration(now_ms - decision.at_ms)} ago"
        case State.EXPIRED | State.CANCELLED if hold.closed_ms is not None:
            why = f" ({hold.close_reason})" if hold.close_reason else ""
            return f"Already {hold.state.value} {duration(now_ms - hold.closed_ms)} ago{why}"
        case State.PENDING:
            return "The deadline has passed"
        case _:
            return f"Already {hold.state.value}"


def took(hold: Hold) -> str:
    """How long the decision took, or how long nobody took one; empty while the hold waits."""
    if hold.state is State.PENDING:
        return ""
    nobody = hold.state in (State.EXPIRED, State.CANCELLED) or not hold.decisions
    at_ms = hold.closed_ms if nobody else hold.decisions[-1].at_ms
    return duration(at_ms - hold.created_ms) if at_ms is not None else ""


def end_reason(hold: Hold) -> str:
    """What was said with the decision that ended the hold, or why it expired or was cancelled."""
    match hold.state:
        case State.PENDING:
            return ""
        case State.EXPIRED | State.CANCELLED:
            return hold.close_reason
        case _:
            return hold.decisions[-1].reason if hold.decisions else ""


def glass_sentence(hold: Hold) -> str:
    """That an admin broke the glass; empty when nobody did."""
    broken = next((each for each in hold.decisions if each.glass), None)
    if broken is None:
        return ""
    return f"{full_person(broken)} broke the glass: nobody else was asked. Another admin has to look at it."


def confirming_sentence(hold: Hold, *, now_ms: int) -> str:
    """Whose approvals do not count yet: they have to confirm that it is them; empty for nobody's.

    ``Sam is confirming their approval``
    """
    if hold.state is not State.PENDING:
        return ""
    names = [each.name or each.by for each in hold.confirming if now_ms < each.until_ms]
    if not names:
        return ""
    return f"{counted(names)} {'is' if len(names) == 1 else 'are'} confirming their approval{'' if len(names) == 1 else 's'}"


def factor_words(decision: Decision) -> str:
    """How they showed once more that it is them, with a comma in front; empty where that was not asked for."""
    match decision.factor:
        case None:
            return ""
        case Factor.SIGN_IN:
            return ", confirmed by a fresh sign-in"
        case Factor.PASSKEY:
            return ", confirmed with a passkey"
        case _:
            assert_never(decision.factor)


def told_sentence(hold: Hold) -> str:
    """How the requester was told of the hold, where it was not in the usual place; empty where it was.

    ``Told by e-mail: the app is not installed for them in Teams``, ``Could not be told: …``
    """
    reached = [channel for channel, well in hold.told if well]
    failed = [channel for channel, well in hold.told if not well]
    why = "; ".join(_NOT_THERE.get(channel, f"not reached by {channel}") for channel in failed)
    if not reached:
        return f"Could not be told: {why}" if why else ""
    ways = counted([_WAYS.get(channel, channel) for channel in reached])
    return f"Told {ways}: {why}" if why else f"Told {ways}"


def decision_word(decision: Decision) -> str:
    """``Rejected``, ``Approved with edits``, ``Approved``."""
    if decision.kind is DecisionKind.REJECT:
        return "Rejected"
    return "Approved with edits" if decision.edits else "Approved"


def _last(hold: Hold, kind: DecisionKind) -> Decision | None:
    return next((each for each in reversed(hold.decisions) if each.kind is kind), None)


def _approval(hold: Hold, clean: Clean) -> str:
    approvals = [each for each in hold.decisions if each.kind is DecisionKind.APPROVE]
    if len(approvals) < 2:
        return _deed(
            decision_word(approvals[0]) if approvals else "Approved", approvals[-1] if approvals else None, hold, clean
        )
    names = list(dict.fromkeys(f"{person(each)}{in_place_of(each)}" for each in approvals))
    word = "Approved with edits" if any(each.edits for each in approvals) else "Approved"
    return clean(f"{word} by {counted(names)} after {duration(approvals[-1].at_ms - hold.created_ms)}")


def _deed(word: str, decision: Decision | None, hold: Hold, clean: Clean) -> str:
    if decision is None:
        return word
    after = duration(decision.at_ms - hold.created_ms)
    if decision.channel == "timer":
        return f"{word} by the policy after {after}"
    if decision.glass:
        return clean(
            f"{word} by {person(decision)}, who broke the glass, {channel_words(decision.channel)} after {after}"
        )
    who = f"{person(decision)}{in_place_of(decision)}"
    return clean(f"{word} by {who} {channel_words(decision.channel)} after {after}")


def _with_reason(word: str, hold: Hold, clean: Clean) -> str:
    after = f" after {duration(hold.closed_ms - hold.created_ms)}" if hold.closed_ms is not None else ""
    return clean(f"{word}{after}: {hold.close_reason}" if hold.close_reason else f"{word}{after}")
