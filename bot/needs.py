"""What a hold waits for: approvals, in their order, and perhaps somebody other than who edited its text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot import sentences
from bot.pieces import ProgressView
from bot.sentences import Clean
from holdpoint.model import Hold, State
from holdpoint.policy import authority
from holdpoint.visible import visible_line


@dataclass(frozen=True, slots=True)
class Needs:
    """How far each requirement is; ``confirmation`` says what an edited text needs beside them, empty when nothing."""

    progress: tuple[ProgressView, ...]
    confirmation: str

    @property
    def words(self) -> str:
        """``1 more approval from security and 2 approvals from legal``; empty when nothing is missing."""
        return sentences.counted([*_missing(self.progress), *([self.confirmation] if self.confirmation else [])])


def needs_of(hold: Hold, clean: Clean) -> Needs:
    """What ``hold`` waits for, by the decisions that it has."""
    so_far = authority.progress(hold, hold.decisions)
    confirmation = _confirmation(hold, so_far, clean) if hold.state is State.PENDING else ""
    return Needs(_progress(hold, so_far, clean), confirmation)


def _progress(hold: Hold, so_far: authority.Progress, clean: Clean) -> tuple[ProgressView, ...]:
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


def _confirmation(hold: Hold, so_far: authority.Progress, clean: Clean) -> str:
    if not so_far.unconfirmed:
        return ""
    editor = next((decision for decision in reversed(hold.decisions) if decision.edits), None)
    return (
        clean(f"an approval by somebody other than {sentences.person(editor)}, who edited the text") if editor else ""
    )


def _missing(progress: Sequence[ProgressView]) -> list[str]:
    """``1 more approval from security``, ``2 approvals from legal``; of those whose turn it is."""
    missing = [(item.needed - len(item.people), item) for item in progress if not (item.done or item.after)]
    return [
        f"{count} {'more ' if item.people else ''}approval{'' if count == 1 else 's'} from {item.groups}"
        for count, item in missing
    ]
