"""What a scenario can do on a surface, in words that fit all of them."""

from __future__ import annotations

from typing import Protocol

from holdpoint.model import Hold

REQUESTER = "dana"
REVIEWERS = ("sam", "kim")  # of the group "security"
LEAD = "lee"  # an admin, of the group "platform-leads", which joins by escalation
STRANGER = "ola"  # in no group


def principal(person: str) -> str:
    return f"{person}@example.com"


class Surface(Protocol):
    """One place where people review. ``person`` is a first name; what they were told comes back, empty for nothing."""

    name: str
    channel: str  # as decisions name it

    async def text(self, hold: Hold) -> str:
        """What the card shows to reviewers, once it is there."""
        ...

    async def offers(self, hold: Hold, person: str) -> set[str]:
        """What the card offers this person: of approve, reject, edit, ask, claim."""
        ...

    async def remember(self, hold: Hold, person: str) -> object:
        """The card as it is on this person's screen now, to be clicked later."""
        ...

    async def approve(self, hold: Hold, person: str, *, screen: object = None) -> str: ...

    async def reject(self, hold: Hold, person: str, reason: str, *, screen: object = None) -> str: ...

    async def edit(self, hold: Hold, person: str, text: str) -> str:
        """Replace the text of the first part, and approve."""
        ...

    async def ask(self, hold: Hold, person: str, question: str) -> str: ...

    async def claim(self, hold: Hold, person: str) -> str: ...

    async def read(self, hold: Hold, person: str) -> str:
        """Everything that is held, from the first page to the last."""
        ...


class Requester(Protocol):
    """A surface on which requesters have a message of their own about each request."""

    name: str

    async def message(self, hold: Hold) -> str:
        """What it says, once it is there."""
        ...

    async def withdraw(self, hold: Hold) -> str: ...

    async def justify(self, hold: Hold, text: str) -> str: ...

    async def answer(self, hold: Hold, text: str) -> str: ...


class Commander(Protocol):
    """A surface on which commands are typed."""

    name: str

    async def command(self, person: str, text: str) -> str:
        """What was answered, as text."""
        ...
