"""What a card shows, as values: the view model of every channel. Pure. `bot.cards` builds it, templates read it.

Every string is plain text with the policy's masks applied and hidden characters written out; whoever renders it escapes
it for the medium.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot import sentences
from bot.passages import DiffLine, Segment
from bot.sentences import TimelineLine
from holdpoint.model import PartRole, Risk, State, Verdict
from holdpoint.visible import visible_line

PREVIEW = 90  # characters of the one-line summary of a prompt


class Action(StrEnum):
    """What can be done from a card."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    VIEW = "view"


class Tone(StrEnum):
    """How a state feels, for colours and icons; the words always say it, too."""

    WAITING = "waiting"
    GOOD = "good"
    BAD = "bad"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class PartView:
    """One text of the query. ``cut`` counts the characters left out; ``text`` is the whole text, masked, for editing.

    ``text`` keeps hidden characters as they are, because what is edited goes to the model: show ``segments`` beside it.
    """

    path: str
    role: PartRole
    label: str
    segments: tuple[Segment, ...]
    cut: int
    editable: bool
    marked: bool
    text: str

    @property
    def path_shown(self) -> str:
        """The path, whose keys may be anybody's text, on one line."""
        return visible_line(self.path)

    @property
    def is_detail(self) -> bool:
        """Whether this is no message but a string of a tool's definition or a parameter."""
        return self.role in (PartRole.DEFINITION, PartRole.PARAMETER)

    @property
    def plain(self) -> str:
        """What the segments show, as one string."""
        return "".join(segment.text for segment in self.segments)


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule that matched."""

    id: str
    description: str
    verdict: Verdict
    risk: Risk


@dataclass(frozen=True, slots=True)
class ProgressView:
    """How far one requirement is. ``people`` have approved; ``alternates`` are groups that joined by escalation."""

    group: str
    alternates: tuple[str, ...]
    needed: int
    people: tuple[str, ...]

    @property
    def done(self) -> bool:
        return len(self.people) >= self.needed

    @property
    def groups(self) -> str:
        """``security``, or ``security or platform-leads`` after an escalation."""
        return " or ".join((self.group, *self.alternates))

    @property
    def line(self) -> str:
        """``1 of 2 from security: Sam``."""
        people = f": {', '.join(self.people)}" if self.people else ""
        return f"{len(self.people)} of {self.needed} from {self.groups}{people}"


@dataclass(frozen=True, slots=True)
class EditView:
    """What one decision changed in one part."""

    path: str
    label: str
    by: str
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class OutcomeView:
    """What became of the release. Times in milliseconds; tokens None where the model did not say."""

    status: int
    ok: bool
    duration_ms: int
    prompt_tokens: int | None
    completion_tokens: int | None
    error: str

    @property
    def line(self) -> str:
        """``Answered with 200 after 1.2 s, 31 tokens in, 118 out``."""
        parts = [
            f"Answered with {self.status} after {sentences.duration(self.duration_ms)}" if self.ok else self._failed
        ]
        if self.prompt_tokens is not None:
            parts.append(f"{self.prompt_tokens:,} tokens in")
        if self.completion_tokens is not None:
            parts.append(f"{self.completion_tokens:,} out")
        return ", ".join(parts)

    @property
    def _failed(self) -> str:
        what = f"Failed with {self.status}" if self.status else "Failed"
        return f"{what}: {self.error}" if self.error else what


@dataclass(frozen=True, slots=True)
class CardView:
    """Everything that a card of any channel may show. See the module's docstring."""

    id: str
    rev: int
    digest: str
    url: str
    state: State
    tone: Tone
    title: str
    state_sentence: str
    requester: str
    requester_groups: tuple[str, ...]
    requester_line: str
    connection: str
    model: str
    environment: str
    justification: str
    address: str
    risk: Risk
    rules: tuple[RuleView, ...]
    warnings: tuple[str, ...]
    tools: tuple[str, ...]
    created_ms: int
    deadline_ms: int
    deadline_words: str
    progress: tuple[ProgressView, ...]
    parts: tuple[PartView, ...]
    cut: int
    edits: tuple[EditView, ...]
    timeline: tuple[TimelineLine, ...]
    outcome: OutcomeView | None
    actions: tuple[Action, ...]
    may_not_decide: str
    count: int

    @property
    def pending(self) -> bool:
        return self.state is State.PENDING

    @property
    def preview(self) -> str:
        """The first words of what was asked, on one line, for lists."""
        text = " ".join(self.parts[0].plain.split()) if self.parts else ""
        return text if len(text) <= PREVIEW else text[:PREVIEW].rstrip() + "…"


def plain_text(view: CardView) -> str:
    """What the card shows, as plain text: for the record, and for channels without markup."""
    lines = [view.title, view.state_sentence, view.requester_line, f"Risk: {view.risk.value}"]
    lines += (f"Rule {rule.id}: {rule.description}" for rule in view.rules)
    lines += view.warnings
    lines += (progress.line for progress in view.progress)
    for part in view.parts:
        lines += ("", f"[{part.label}]", part.plain)
    for edit in view.edits:
        lines += ("", f"[{edit.label}, edited by {edit.by}]", *(f"{line.sign} {line.text}" for line in edit.lines))
    return "\n".join(lines)
