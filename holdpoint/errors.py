"""Every error that Holdpoint raises on purpose.

::

    HoldpointError
    ├── ConfigurationError      a setting, file or argument is wrong: one line for the operator, exit code 2
    │   └── PolicyError         the policy document does not validate; carries every problem with its line
    ├── Refusal                 the gateway answers the client with a refusal; carries status, code and reason
    ├── StoreError              the store could not do what was asked
    │   ├── StoreUnavailable    Redis is lost, slow, full or read-only, or its policy not ready in time: the caller refuses
    │   │   └── Unheard         … and may have made a hold before it was, or noted who waits; carries its id
    │   ├── NotFound            no such hold, key, policy version or route
    │   ├── OverLimit           what is about to be made is one more than a limit of the policy allows
    │   └── Conflict            the stored state is not the one that the caller acted on; nothing was changed
    ├── DecisionError           a decision does not count; nothing was changed
    │   ├── MayNotDecide        the person has no authority over this hold, and why
    │   │   └── NotRead         … as long as they have not read all of it
    │   ├── TooLate             already decided, expired or withdrawn, and by whom
    │   ├── WrongDigest         the card showed another text than the one that is held now
    │   ├── StepUpNeeded        it counts once the person has confirmed that it is them; carries where
    │   ├── BadEdit             an edit names no part of the query, or its text is refused by the policy
    │   └── BadText             a question, an answer or a justification is empty, too long, or one too many
    ├── BadToken                a token of an identity provider does not count; nothing of why reaches its sender
    │   ├── UnknownKeyId        … by the keys that are known: the provider may have newer ones
    │   └── MissingGroups       … because its groups were too many to be in it
    ├── SignInFailed            somebody could not be signed in, and what they can do about it
    ├── GrantRefused            an identity provider gives no tokens for what it was shown; carries its code
    ├── ProviderUnavailable     the keys of an identity provider cannot be had: the caller refuses
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
    send the same request again. ``recorded`` is what the record says where the client must not be told as much.
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
        recorded: str = "",
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
        self.recorded = recorded or reason


class StoreError(HoldpointError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """Redis is lost, slow, full or read-only. Whoever gets this refuses."""


class Unheard(StoreUnavailable):
    """Nobody knows whether the hold with the id ``hold`` was made, or is waited for now."""

    def __init__(self, hold: str, why: str) -> None:
        super().__init__(why)
        self.hold = hold


class NotFound(StoreError):
    """No such hold, key, policy version or route."""


class Conflict(StoreError):
    """The stored state is not the one that the caller acted on; nothing was changed."""


class OverLimit(StoreError):
    """One more than a limit of the policy allows; nothing was changed. ``place`` is that of its budget in the call."""

    def __init__(self, place: int, wait_ms: int) -> None:
        super().__init__("a limit of the policy is reached")
        self.place = place
        self.wait_ms = wait_ms


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


class StepUpNeeded(DecisionError):
    """An approval that counts once the person has confirmed that it is them: it is kept, and waits for that.

    ``url`` is where, and works for nobody else; empty where the caller asks for several holds together.
    """

    NOT_YET = "Your approval does not count yet: confirm that it is you."

    def __init__(self, url: str = "") -> None:
        super().__init__(f"{self.NOT_YET} Open {url} within ten minutes." if url else self.NOT_YET)
        self.url = url


class BadEdit(DecisionError):
    """An edit names no part of the query, or the policy refuses the edited text."""


class BadText(DecisionError):
    """A question, an answer or a justification is empty, too long, no text, or one too many."""


class BadToken(HoldpointError):
    """A token of an identity provider does not count here. ``str()`` is for the log, never for a client; it quotes nothing."""


class UnknownKeyId(BadToken):
    """None of the keys that are known has signed it. The provider may have newer ones."""


class MissingGroups(BadToken):
    """The provider left out the groups, because they were too many. Its sender may be told so: an admin can help."""


class SignInFailed(HoldpointError):
    """Somebody could not be signed in. ``str()`` is a sentence for the person; ``status`` the HTTP status that fits."""

    def __init__(self, message: str, *, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


class GrantRefused(HoldpointError):
    """An identity provider gives no tokens for this code, refresh token or device. ``code`` is its word (RFC 6749, 5.2).

    ``str()`` is a line for the log or for who operates a terminal: the provider's own text, inert.
    """

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


class ProviderUnavailable(HoldpointError):
    """An identity provider's keys or addresses cannot be had, so nobody knows. Worth trying again after a while."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


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
