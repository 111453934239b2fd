"""What every family of commands has in common: the desk it works at, the call it answers, and asking "really?"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol, assert_never

from bot.answers import Answer, fingerprint
from bot.cards import CardView
from bot.decide import Decider
from bot.glass import BreakGlass
from bot.grammar import Form
from bot.grants import Grants
from bot.history import History
from bot.visibility import may_read, sees_all
from holdpoint.clock import Clock
from holdpoint.findings import Finding
from holdpoint.live import Live
from holdpoint.model import Reviewer, Role
from holdpoint.store import Store
from holdpoint.store.confirmations import Asked


class Access(Enum):
    """Who may run a command. The handlers look at the rest: which holds, whose grant."""

    EVERYBODY = "everybody"
    READERS = "those who may decide, admins and auditors"
    REVIEWERS = "reviewers, admins and auditors"
    OVERSEERS = "admins and auditors"
    ADMINS = "admins"

    def includes(self, reviewer: Reviewer) -> bool:
        match self:
            case Access.EVERYBODY:
                return True
            case Access.READERS:
                return may_read(reviewer)
            case Access.REVIEWERS:
                return Role.REVIEWER in reviewer.roles or sees_all(reviewer)
            case Access.OVERSEERS:
                return sees_all(reviewer)
            case Access.ADMINS:
                return Role.ADMIN in reviewer.roles
            case _:
                assert_never(self)


class Sampler(Protocol):
    """One platform that can show a card which stands for nothing."""

    async def sample(self, channel: str, view: CardView) -> None:
        """Post ``view``, marked as a sample and without buttons, to ``channel`` ("slack:C0123").

        Raises:
            ChannelError: the platform did not take it; a line for the admin.
        """
        ...


Checkup = Callable[[], Awaitable[Sequence[Finding]]]
"""Looks at one part of the installation, for ``doctor``. What is wrong is a `Finding`, not an error."""

Acquaintance = Callable[[str], Awaitable[bool]]
"""Whether a platform knows somebody of that principal. May raise `ChannelError`."""

Lookup = Callable[[str], Awaitable[str]]
"""A channel ("teams:19:…@thread.tacv2") → a sentence on why no card can appear there as things are; empty for none."""


@dataclass(frozen=True, slots=True)
class Office:
    """What the handlers work with.

    ``samplers``, ``lookups`` and ``acquaintances`` go by the kind of channel ("slack"); they and ``checkups`` are put there by
    the platforms that run in this process. ``history`` is None where the ledger is not at hand.
    """

    store: Store
    live: Live
    clock: Clock
    link_base: str
    decider: Decider
    grants: Grants
    glass: BreakGlass
    history: History | None
    samplers: dict[str, Sampler] = field(default_factory=dict)
    lookups: dict[str, Lookup] = field(default_factory=dict)
    acquaintances: dict[str, Acquaintance] = field(default_factory=dict)
    checkups: list[Checkup] = field(default_factory=list)

    async def unless_confirmed(self, call: Call, question: Answer) -> Answer | None:
        """None when ``question`` is what this person has confirmed; else the question with the way to confirm it.

        What the question says is part of it: where it has changed since it was asked, it is asked again.
        """
        shown = fingerprint(question)
        if call.confirmed == shown:
            return None
        token = await self.store.confirmations.ask(Asked(call.by.principal, call.text, shown))
        again = ("This is not what you were asked about: something has changed meanwhile.",) if call.confirmed else ()
        hint = f"Nothing has been changed yet. Within five minutes: confirm {token}"
        return replace(question, lines=(*again, *question.lines, hint), confirm=f"confirm {token}")


@dataclass(frozen=True, slots=True)
class Call:
    """One command as typed. ``confirmed`` is the fingerprint of what ``by`` has been asked, and said yes to; else empty.

    ``place`` is the channel ("teams:19:…@thread.tacv2") in which it was typed; empty elsewhere.
    """

    by: Reviewer
    text: str
    arguments: Mapping[str, str]
    confirmed: str = ""
    place: str = ""

    def __getitem__(self, name: str) -> str:
        return self.arguments[name]

    def get(self, name: str, default: str = "") -> str:
        """An argument that may be left out."""
        return self.arguments.get(name, default)


Handler = Callable[[Office, Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table. ``personal``: done in one's own name, so never by an agent, nor by who only claims a name."""

    form: Form
    access: Access
    help: str
    run: Handler
    personal: bool = False


def command(form: str, access: Access, help_: str, run: Handler, *, personal: bool = False) -> Command:
    """A row, with its form as help shows it (see `bot.grammar`)."""
    return Command(Form.parse(form), access, help_, run, personal)
