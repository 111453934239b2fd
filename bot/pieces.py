"""The smaller things that a card shows, as values. Pure. `bot.views` puts them together, `bot.cards` builds them.

Every string is plain text with the policy's masks applied and hidden characters written out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot import sentences
from bot.passages import DiffLine, Segment
from bot.sentences import Clean
from holdpoint.model import Hold, PartRole, Question, Risk, State, Verdict
from holdpoint.visible import visible_line


class Action(StrEnum):
    """What can be done from a card."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    ASK = "ask"
    CLAIM = "claim"
    UNCLAIM = "unclaim"
    GRANT = "grant"
    VIEW = "view"
    REVEAL = "reveal"


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
    A part without segments of which characters are left out is *folded*.
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

    @property
    def is_folded(self) -> bool:
        """Whether nothing of its text is shown."""
        return self.cut > 0 and not self.shows_text

    @property
    def shows_text(self) -> bool:
        """Whether at least one character of its own is shown."""
        return any(not segment.gap for segment in self.segments)


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule that matched."""

    id: str
    description: str
    verdict: Verdict
    risk: Risk

    @property
    def line(self) -> str:
        """``secrets: Credentials in a prompt``."""
        return f"{self.id}: {self.description}" if self.description else self.id


@dataclass(frozen=True, slots=True)
class ProgressView:
    """How far one requirement is. ``people`` have approved; ``alternates`` are groups that joined by escalation.

    ``after`` are the groups that have to approve before it is this one's turn; empty once it is.
    """

    group: str
    alternates: tuple[str, ...]
    needed: int
    people: tuple[str, ...]
    after: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return len(self.people) >= self.needed

    @property
    def groups(self) -> str:
        """``security``, or ``security or platform-leads`` after an escalation."""
        return " or ".join((self.group, *self.alternates))

    @property
    def line(self) -> str:
        """``1 of 2 from security: Sam``, or ``0 of 1 from security, after leads``."""
        people = f": {', '.join(self.people)}" if self.people else ""
        after = f", after {' and '.join(self.after)}" if self.after else ""
        return f"{len(self.people)} of {self.needed} from {self.groups}{people}{after}"


@dataclass(frozen=True, slots=True)
class EditView:
    """What one decision changed in one part."""

    path: str
    label: str
    by: str
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class ClaimView:
    """Who is on it, until when."""

    by: str
    name: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class QuestionView:
    """What was asked, and the answer once there is one (``answered_ms``). ``text`` and ``answer`` may have several lines."""

    id: str
    by: str
    text: str
    at_ms: int
    answer: str
    answered_by: str
    answered_ms: int | None

    @property
    def is_open(self) -> bool:
        return self.answered_ms is None


@dataclass(frozen=True, slots=True)
class OutcomeView:
    """What became of the release. Times in milliseconds; tokens None where the model did not say."""

    status: int
    ok: bool
    duration_ms: int
    prompt_tokens: int | None
    completion_tokens: int | None
    size_bytes: int
    error: str

    @property
    def line(self) -> str:
        """``Answered with 200 after 1.2 s, 31 tokens in, 118 out, 2.3 kB``."""
        parts = [
            f"Answered with {self.status} after {sentences.duration(self.duration_ms)}" if self.ok else self._failed
        ]
        if self.prompt_tokens is not None:
            parts.append(f"{self.prompt_tokens:,} token{'' if self.prompt_tokens == 1 else 's'} in")
        if self.completion_tokens is not None:
            unit = "" if self.prompt_tokens is not None else " token" if self.completion_tokens == 1 else " tokens"
            parts.append(f"{self.completion_tokens:,}{unit} out")
        if self.size_bytes:
            parts.append(sentences.size(self.size_bytes))
        return ", ".join(parts)

    @property
    def _failed(self) -> str:
        what = f"Failed with {self.status}" if self.status else "Failed"
        return f"{what}: {self.error}" if self.error else what


def claim_view(hold: Hold, clean: Clean) -> ClaimView | None:
    if hold.claim is None or hold.state is not State.PENDING:
        return None
    return ClaimView(visible_line(hold.claim.by), clean(hold.claim.name or hold.claim.by), hold.claim.until_ms)


def question_view(question: Question, clean: Clean, clean_line: Clean) -> QuestionView:
    return QuestionView(
        id=question.id,
        by=clean_line(question.name or question.by),
        text=clean(question.text),
        at_ms=question.at_ms,
        answer=clean(question.answer),
        answered_by=clean_line(question.answered_by),
        answered_ms=question.answered_ms,
    )


def outcome_view(hold: Hold, clean: Clean) -> OutcomeView | None:
    outcome = hold.outcome
    if outcome is None:
        return None
    return OutcomeView(
        status=outcome.status,
        ok=hold.state is State.COMPLETED,
        duration_ms=outcome.duration_ms,
        prompt_tokens=outcome.prompt_tokens,
        completion_tokens=outcome.completion_tokens,
        size_bytes=outcome.size_bytes,
        error=clean(outcome.error),
    )
