"""Every error that Holdpoint raises on purpose.

::

    HoldpointError
    ├── ConfigurationError      a setting, file or argument is wrong: one line for the operator, exit code 2
    │   └── PolicyError         the policy document does not validate; carries every problem with its line
    ├── Refusal                 the gateway answers the client with a refusal; carries status, code and reason
    ├── StoreError              the store could not do what was asked
    │   ├── StoreUnavailable    Redis is lost, slow, full or read-only, or its policy not ready in time: the caller refuses
    │   ├── NotFound            no such hold, key, policy version or route
    │   └── Conflict            the stored state is not the one that the caller acted on; nothing was changed
    ├── DecisionError           a decision does not count; nothing was changed
    │   ├── MayNotDecide        the person has no authority over this hold, and why
    │   │   └── NotRead         … as long as they have not read all of it
    │   ├── TooLate             already decided, expired or withdrawn, and by whom
    │   ├── WrongDigest         the card showed another text than the one that is held now
    │   ├── BadEdit             an edit names no part of the query, or its text is refused by the policy
    │   └── BadText             a question, an answer or a justification is empty, too long, or one too many
    ├── LedgerError             the ledger cannot be read or written, or its chain is broken
    └── ChannelError            a chat platform refused or could not be reached
        ├── ChannelRefused      it will refuse again: an unknown channel, a revoked token, a bad card
        └── ChannelUnavailable  worth trying again; may carry the seconds to wait
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdpoint.model import RefusalCode, State


class HoldpointError(Exception):
    """The root: whatever Holdpoint raises on purpose."""


class ConfigurationError(HoldpointError):
    """A setting, file or argument is wrong. ``str()`` is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a policy document. ``line`` counts from 1; 0 when no line can be named."""

    message: str
    line: int = 0
    rule: str | None = None
    warning: bool = False

    def render(self, file: str) -> str:
        """``file:line: rule 'x': what is wrong``, the way compilers say it."""
        where = f"{file}:{self.line}" if self.line else file
        rule = f" rule {self.rule!r}:" if self.rule else ""
        return f"{where}:{' warning:' if self.warning else ''}{rule} {self.message}"


class PolicyError(ConfigurationError):
    """The policy document does not validate, or its own tests fail."""

    def __init__(self, problems: Sequence[Problem], file: str = "policy") -> None:
        self.problems = tuple(problems)
        self.file = file
        super().__init__("\n".join(problem.render(file) for problem in problems))


class Refusal(HoldpointError):
    """The answer to this request is no. Raised anywhere on the data path, written in one place (``gateway/refuse.py``).

    ``status`` is the HTTP status, ``code`` the machine-readable word, ``reason`` one sentence without any secret,
    ``hold`` the hold's id when there is one and ``state`` the state it is in, ``retry`` whether a client may usefully
    send the same request again.
    """

    def __init__(
        self,
        code: RefusalCode,
        reason: str,
        *,
        status: int = 403,
        retry: bool = False,
        retry_after_seconds: int | None = None,
        hold: str | None = None,
        state: State | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.status = status
        self.retry = retry
        self.retry_after_seconds = retry_after_seconds
        self.hold = hold
        self.state = state
        self.param = param


class StoreError(HoldpointError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """Redis is lost, slow, full or read-only. Whoever gets this refuses."""


class NotFound(StoreError):
    """No such hold, key, policy version or route."""


class Conflict(StoreError):
    """The stored state is not the one that the caller acted on; nothing was changed."""


class DecisionError(HoldpointError):
    """A decision that does not count. Nothing was changed. ``str()`` may be shown to the person."""


class MayNotDecide(DecisionError):
    """The person has no authority over this hold."""


class NotRead(MayNotDecide):
    """The person has authority, but saw only a part of a text whose risk is high. Reading all of it helps."""


class TooLate(DecisionError):
    """The hold is no longer pending."""


class WrongDigest(DecisionError):
    """The decision names another text than the one that is held now."""


class BadEdit(DecisionError):
    """An edit names no part of the query, or the policy refuses the edited text."""


class BadText(DecisionError):
    """A question, an answer or a justification is empty, too long, no text, or one too many."""


class LedgerError(HoldpointError):
    """The ledger cannot be read or written, or its chain is broken."""


class ChannelError(HoldpointError):
    """A chat platform refused or could not be reached. ``str()`` is a line for the admin."""


class ChannelRefused(ChannelError):
    """The platform will refuse again: unknown channel, revoked token, bad card."""


class ChannelUnavailable(ChannelError):
    """Worth trying again, after ``retry_after_seconds`` when the platform said so."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
